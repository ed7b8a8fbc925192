"""Training IdentityEncoder: the teacher's vector of the clean crop, from crops as cameras and detectors leave them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reliableswap.data.crops import Crops, crops_of_triplets
from reliableswap.errors import ReliableSwapError
from reliableswap.faces.align import IDENTITY_WINDOW
from reliableswap.models.base import Network
from reliableswap.models.identity import IdentityEncoder
from reliableswap.training.core.settings import setting
from reliableswap.training.core.task import Task
from reliableswap.training.core.trainer import train

from .common import (
    WHOLE,
    EncoderSettings,
    Pool,
    Samples,
    described,
    encode,
    say,
    seen,
    teacher_features,
    to_network,
)
from .verification import draw_pairs


@dataclass
class IdentitySettings(EncoderSettings):
    initial: Path | None = setting(
        None,
        "an IdentityEncoder's folder to start from (default: from nothing); a tenth of the rate suits it",
    )
    name: str = setting("reliableswap-mobilefacenet", "what generators will call this encoder")
    triplets: Path | None = setting(None, "a folder of triplets, to learn from their surrogate faces as well")
    surrogate_share: float = setting(0.3, "share of the samples that are surrogates, if there are triplets")
    relation_weight: float = setting(10.0, "weight of how the faces of a batch lie to each other")


class IdentityTask(Task):
    """One minus the cosine to the teacher, and the batch's table of similarities; measured by verification."""

    def __init__(self, settings: IdentitySettings, crops: Crops, features: np.ndarray) -> None:
        super().__init__()
        self.settings, self.crops, self.features = settings, crops, features
        pools = [Pool(crops, crops.rows(training=True), features)]
        shares = [1.0]
        if settings.triplets is not None:
            pools.append(_surrogates(settings, crops))
            shares = [1 - settings.surrogate_share, settings.surrogate_share]
        self.dataset = Samples(pools, shares, IDENTITY_WINDOW, settings)
        self.pairs = draw_pairs(crops, crops.rows(training=False), settings.validation_pairs)

    def losses(self, network: torch.nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        vectors, wanted = network(to_network(batch["image"])).float(), batch["features"]
        return {
            "cosine": 1 - (vectors * wanted).sum(1).mean(),
            "relation": self.settings.relation_weight * relation_loss(vectors, wanted),
        }

    @cached_property
    def worse(self) -> np.ndarray:
        """(M,128,128,3) the held-out crops as a worse photo shows them, the same at every validation."""
        strength = self.settings.degradation or 1.0
        crops = (np.ascontiguousarray(self.crops.pixels[i]) for i in self.pairs.rows)
        return np.stack(
            [seen(crop, WHOLE, np.random.default_rng([1, k]), strength) for k, crop in enumerate(crops)]
        )

    @cached_property
    def teacher_figures(self) -> dict[str, float]:
        """What the teacher itself makes of the same pairs; it stays, so it is asked once."""
        worse = self.settings.choice.load()(list(self.worse))
        wanted = self.features[self.pairs.rows]
        return {
            "teacher_accuracy": self.pairs.accuracy(wanted),
            "teacher_accuracy_worse": self.pairs.accuracy(worse),
            "teacher_cosine_worse": float((worse * wanted).sum(1).mean()),
        }

    def validate(self, network: Network) -> dict[str, float]:
        """accuracy: of verification; cosine: to the teacher's vector of the clean crop; worse: of worse photos."""
        wanted = self.features[self.pairs.rows]
        rows, columns = IDENTITY_WINDOW
        clean = encode(network, self.crops.pixels[self.pairs.rows][:, rows, columns])
        worse = encode(network, self.worse[:, rows, columns])
        return {
            "accuracy": self.pairs.accuracy(clean),
            "accuracy_worse": self.pairs.accuracy(worse),
            "cosine": float((clean * wanted).sum(1).mean()),
            "cosine_worse": float((worse * wanted).sum(1).mean()),
            **self.teacher_figures,
        }

    def facts(self) -> dict[str, str]:
        return {"photos": "; ".join(described(self.crops)), "teacher": str(self.settings.choice.path.name)}


def relation_loss(vectors: Tensor, wanted: Tensor) -> Tensor:
    """(B,D), (B,D) of length 1 -> mean squared difference of the cosines between different faces of the batch."""
    with torch.autocast(vectors.device.type, enabled=False):  # a cosine in bfloat16 has but three digits
        off = (vectors @ vectors.T - wanted @ wanted.T).square()
    count = len(vectors) * (len(vectors) - 1)
    return (off.sum() - off.diagonal().sum()) / max(1, count)


def _surrogates(settings: IdentitySettings, crops: Crops) -> Pool:
    """The surrogate faces of the triplets, with the teacher's vectors of them."""
    assert settings.triplets is not None
    held_out = {crops.shown[i].person for i in crops.rows(training=False)}
    made = crops_of_triplets(settings.triplets, settings.output_dir / "surrogates.npy", held_out)
    rows = made.rows(training=True)
    say(f"surrogates: {len(rows):,} faces; {len(made.shown) - len(rows):,} of held-out people left out")
    if not len(rows):
        raise ReliableSwapError(
            f"{settings.triplets} shows held-out people only; make triplets of more people"
        )
    return Pool(made, rows, teacher_features(made, settings.choice, settings.workers))


def student(settings: IdentitySettings, embedding_size: int) -> IdentityEncoder:
    """The network to train: a fresh one, or the one to start from under its new name."""
    if settings.initial is None:
        return IdentityEncoder(embedding_size=embedding_size, name=settings.name)
    network = IdentityEncoder.from_pretrained(settings.initial)
    if network.embedding_size != embedding_size:
        raise ReliableSwapError(
            f"{settings.initial} gives {network.embedding_size}-d vectors, but the teacher {embedding_size}-d ones; "
            "start from another network, or from nothing"
        )
    network.register_to_config(name=settings.name)
    return network


def run(settings: IdentitySettings) -> dict[str, Any]:
    """Align, ask the teacher, train, save; returns the figures on held-out people."""
    choice = settings.choice  # complains before the work begins
    crops = settings.load_crops()
    features = teacher_features(crops, choice, settings.workers)
    torch.manual_seed(settings.seed)
    return train(student(settings, features.shape[1]), IdentityTask(settings, crops, features), settings)
