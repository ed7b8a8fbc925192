"""Train IdentityEncoder on degraded and misaligned crops to give the teacher's vectors of the clean ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reliableswap.data.crops import Crops, crops_of_triplets
from reliableswap.data.splits import Split
from reliableswap.data.storage import work_folder
from reliableswap.errors import ReliableSwapError
from reliableswap.faces.align import IDENTITY_WINDOW
from reliableswap.models.base import Network
from reliableswap.models.identity import IdentityEncoder
from reliableswap.training.core.settings import setting
from reliableswap.training.core.task import Task
from reliableswap.training.core.trainer import train
from reliableswap.training.tasks.pixels import to_network

from .losses import relation_loss
from .samples import WHOLE, Pool, Samples, degraded_window
from .settings import EncoderSettings, describe, log_on_main
from .teacher import digest_of_array, encode, teacher_features
from .verification import draw_pairs


@dataclass
class IdentitySettings(EncoderSettings):
    initial: Path | None = setting(
        None,
        "folder of an IdentityEncoder to start from; lower --learning_rate to a tenth then",
    )
    name: str = setting("reliableswap-mobilefacenet", "name of the encoder, which generators store")
    triplets: Path | None = setting(None, "folder of triplets whose surrogate faces are also used as samples")
    surrogate_share: float = setting(0.3, "share of samples that are surrogates, with --triplets")
    relation_weight: float = setting(10.0, "weight of the relational loss: cosines within a batch")


class IdentityTask(Task):
    """Cosine to the teacher and relations within the batch; validation verifies held-out people."""

    def __init__(self, settings: IdentitySettings, crops: Crops, features: np.ndarray) -> None:
        super().__init__()
        self.settings, self.crops, self.features = settings, crops, features
        pools = [Pool(crops, crops.rows(training=True), features)]
        shares = [1.0]
        if settings.triplets is not None:
            pools.append(_surrogates(settings))
            shares = [1 - settings.surrogate_share, settings.surrogate_share]
        self.samples = self.dataset = Samples(pools, shares, IDENTITY_WINDOW, settings)
        self.pairs = draw_pairs(crops, crops.rows(training=False), settings.validation_pairs)

    def losses(self, network: torch.nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        vectors, wanted = network(to_network(batch["image"])).float(), batch["features"]
        return {
            "cosine": 1 - (vectors * wanted).sum(1).mean(),
            "relation": self.settings.relation_weight * relation_loss(vectors, wanted),
        }

    @cached_property
    def degraded(self) -> np.ndarray:
        """(M,128,128,3) the degraded held-out crops, the same at every validation."""
        strength = self.settings.degradation or 1.0
        crops = (np.ascontiguousarray(self.crops.pixels[i]) for i in self.pairs.rows)
        return np.stack(
            [
                degraded_window(crop, WHOLE, np.random.default_rng([1, k]), strength)
                for k, crop in enumerate(crops)
            ]
        )

    @cached_property
    def teacher_figures(self) -> dict[str, float]:
        """The teacher's figures on the same pairs."""
        worse = self.settings.choice.load()(list(self.degraded))
        wanted = self.features[self.pairs.rows]
        return {
            "teacher_accuracy": self.pairs.accuracy(wanted),
            "teacher_accuracy_worse": self.pairs.accuracy(worse),
            "teacher_cosine_worse": float((worse * wanted).sum(1).mean()),
        }

    def validate(self, network: Network) -> dict[str, float]:
        """Return verification accuracy and cosine to the teacher, on clean and on degraded (`_worse`) crops."""
        wanted = self.features[self.pairs.rows]
        rows, columns = IDENTITY_WINDOW
        clean = encode(network, self.crops.pixels[self.pairs.rows][:, rows, columns])
        worse = encode(network, self.degraded[:, rows, columns])
        return {
            "accuracy": self.pairs.accuracy(clean),
            "accuracy_worse": self.pairs.accuracy(worse),
            "cosine": float((clean * wanted).sum(1).mean()),
            "cosine_worse": float((worse * wanted).sum(1).mean()),
            **self.teacher_figures,
        }

    def facts(self) -> dict[str, str]:
        return {"photos": "; ".join(describe(self.crops)), "teacher": str(self.settings.choice.path.name)}

    def fingerprint(self) -> dict[str, str]:
        crops = [pool.crops.key for pool in self.samples.pools]
        return {"crops": ", ".join(crops), "teacher": digest_of_array(self.features)}


def _surrogates(settings: IdentitySettings) -> Pool:
    """Load or make the surrogate faces of the triplets, with the teacher's vectors."""
    assert settings.triplets is not None
    folder, split = work_folder(settings.output_dir) / "surrogates", Split.parse(settings.split)
    made = crops_of_triplets(settings.triplets, folder, split, settings.workers)
    rows = made.rows(training=True)
    log_on_main(
        f"surrogates: {len(rows):,} faces; {len(made.shown) - len(rows):,} of held-out people left out"
    )
    if not len(rows):
        raise ReliableSwapError(
            f"{settings.triplets} shows held-out people only; make triplets of more people"
        )
    return Pool(made, rows, teacher_features(made, settings.choice, settings.workers))


def student(settings: IdentitySettings, embedding_size: int) -> IdentityEncoder:
    """Return the network to train: a new one, or the one of --initial under its new name."""
    if settings.initial is None:
        return IdentityEncoder(embedding_size=embedding_size, name=settings.name)
    network = IdentityEncoder.from_pretrained(settings.initial)
    if network.embedding_size != embedding_size:
        raise ReliableSwapError(
            f"{settings.initial} gives {network.embedding_size}-d vectors, but the teacher {embedding_size}-d ones; "
            "pass another --initial or none"
        )
    network.register_to_config(name=settings.name)
    return network


def run(settings: IdentitySettings) -> dict[str, Any]:
    """Align the photos, run the teacher, train and save; return the figures on held-out people."""
    choice = settings.choice  # raises before any work is done
    crops = settings.load_crops()
    features = teacher_features(crops, choice, settings.workers)
    torch.manual_seed(settings.seed)
    return train(student(settings, features.shape[1]), IdentityTask(settings, crops, features), settings)
