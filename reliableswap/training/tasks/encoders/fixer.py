"""Train FixerNet to tell people apart by the lower face: a margin loss, and a teacher that sees whole faces."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from reliableswap.data.crops import CROP, Crops
from reliableswap.errors import ReliableSwapError
from reliableswap.faces.align import FIXER_WINDOW, IDENTITY_WINDOW
from reliableswap.models.base import Network
from reliableswap.models.fixer import FIXER_SIZE, FixerNet
from reliableswap.models.hub import load_network
from reliableswap.models.identity import IdentityEncoder
from reliableswap.training.core.settings import setting
from reliableswap.training.core.task import Task
from reliableswap.training.core.trainer import train
from reliableswap.training.tasks.pixels import to_network

from .losses import MarginHead, relation_loss
from .samples import Pool, Samples
from .settings import EncoderSettings, describe
from .teacher import digest_of_array, encode, teacher_features
from .verification import draw_pairs


@dataclass
class FixerSettings(EncoderSettings):
    initial: Path | None = setting(None, "folder of a FixerNet or an IdentityEncoder to start from")
    embedding_size: int = setting(
        128, "length of v_fix; must be that of the teacher's vectors, if there is a teacher"
    )
    margin_weight: float = setting(
        0.1, "weight of the margin loss, which uses only people with two or more photos"
    )
    # Deng et al., ArcFace (CVPR 2019), section 3.1: feature scale s = 64, angular margin m = 0.5.
    scale: float = setting(64.0, "ArcFace's s, by which cosines are multiplied")
    margin: float = setting(0.5, "ArcFace's m, added to the angle to the sample's own class, in radians")
    margin_warmup_steps: int = setting(200, "steps over which the margin grows from 0")
    distil_weight: float = setting(10.0, "weight of the distillation; at 0 no --teacher is needed")
    relation_weight: float = setting(
        1.0, "weight of the relational loss (cosines within a batch), relative to --distil_weight"
    )
    name: str = setting("reliableswap-fixer", "the network's name")


class FixerTask(Task):
    """Margin loss, distillation or both; validation verifies held-out people by the lower face."""

    def __init__(self, settings: FixerSettings, crops: Crops, features: np.ndarray | None) -> None:
        super().__init__()
        self.settings, self.crops, self.features = settings, crops, features
        rows = crops.rows(training=True)
        labels = None
        if settings.margin_weight > 0:
            several = crops.people(rows)
            if len(several) < 2:
                raise ReliableSwapError(
                    f"{len(several)} people have two or more photos, but the margin loss needs two such people; add "
                    "photos, one sub-folder per person, or pass --margin_weight 0"
                )
            labels = np.full(len(crops.shown), -1, np.int64)
            for label, own in enumerate(several.values()):
                labels[own] = label
            if features is None:  # without a teacher, people with a single photo have no loss
                rows = rows[labels[rows] >= 0]
            self.companions["head"] = MarginHead(settings.embedding_size, len(several), settings.scale)
        self.margin = settings.margin
        self.dataset = Samples([Pool(crops, rows, features, labels)], [1.0], FIXER_WINDOW, settings)
        self.pairs = draw_pairs(crops, crops.rows(training=False), settings.validation_pairs)

    def start(self, step: int, device: torch.device) -> None:
        """Warm up the margin: the full one is too hard for a new network."""
        self.margin = self.settings.margin * min(1.0, step / max(1, self.settings.margin_warmup_steps))

    def losses(self, network: torch.nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        vectors = network(to_network(batch["image"])).float()
        losses = {}
        if "head" in self.companions:
            loss = self.companions["head"](vectors, batch["label"], self.margin)
            losses["margin"] = self.settings.margin_weight * loss
        if "features" in batch:
            wanted, weight = batch["features"], self.settings.distil_weight
            vectors = F.normalize(vectors, dim=1)
            losses["distil"] = weight * (1 - (vectors * wanted).sum(1).mean())
            relation = relation_loss(vectors, wanted)
            losses["relation"] = weight * self.settings.relation_weight * relation
        return losses

    @cached_property
    def teacher_figures(self) -> dict[str, float]:
        """The teacher's accuracy on whole faces, and on the lower-face window with grey around it."""
        if self.features is None:
            return {}
        windows = np.full((len(self.pairs.rows), CROP, CROP, 3), 127, np.uint8)
        rows, columns = FIXER_WINDOW
        windows[:, rows, columns] = self.crops.pixels[self.pairs.rows][:, rows, columns]
        return {
            "teacher_accuracy_window": self.pairs.accuracy(self.settings.choice.load()(list(windows))),
            "teacher_accuracy_whole": self.pairs.accuracy(self.features[self.pairs.rows]),
        }

    def validate(self, network: Network) -> dict[str, float]:
        """Return the verification accuracy by the lower face, chance, and the cosine to the teacher."""
        rows, columns = FIXER_WINDOW
        vectors = encode(network, self.crops.pixels[self.pairs.rows][:, rows, columns])
        figures = {
            "accuracy": self.pairs.accuracy(vectors),
            "chance": max(float(self.pairs.same.mean()), 0.5),
        }
        if self.features is not None:
            figures["cosine"] = float((vectors * self.features[self.pairs.rows]).sum(1).mean())
        return figures | self.teacher_figures

    def facts(self) -> dict[str, str]:
        facts = {"photos": "; ".join(describe(self.crops))}
        if self.features is not None:
            facts["teacher"] = self.settings.choice.path.name
        return facts

    def fingerprint(self) -> dict[str, str]:
        teacher = {} if self.features is None else {"teacher": digest_of_array(self.features)}
        return {"crops": self.crops.key, **teacher}


def student(settings: FixerSettings) -> FixerNet:
    """Return the network to train: new, the FixerNet of --initial, or with a copy of an identity encoder's body."""
    size = settings.embedding_size
    if settings.initial is None:
        return FixerNet(embedding_size=size, name=settings.name)
    first = load_network(settings.initial)
    if not isinstance(first, (FixerNet, IdentityEncoder)) or first.embedding_size != size:
        raise ReliableSwapError(
            f"{settings.initial} holds a {type(first).__name__}, which is not an encoder with {size}-d vectors; pass "
            "another --initial or none"
        )
    if isinstance(first, FixerNet):
        first.register_to_config(name=settings.name)
        return first
    if first.config.body != "mobilefacenet":
        raise ReliableSwapError(
            f"{settings.initial} has the body {first.config.body}, which does not fit {FIXER_SIZE} px windows; pass "
            "one with the body mobilefacenet, or none"
        )
    network = FixerNet(embedding_size=size, mean=first.config.mean, std=first.config.std, name=settings.name)
    tensors = first.trunk.state_dict()
    name = "gdconv.depthwise.weight"
    tensors[name] = window_kernel(tensors[name], network.trunk.state_dict()[name].shape[-1])
    network.trunk.load_state_dict(tensors)
    return network


def window_kernel(kernel: Tensor, side: int, stride: int = 16) -> Tensor:
    """(C,1,7,7) the last depthwise kernel, for whole faces -> (C,1,side,side) its values at the window's cells.

    The window is a part of the identity crop at the same scale, so all other layers can be copied unchanged.
    """
    places = []
    for inner, outer in zip(FIXER_WINDOW, IDENTITY_WINDOW, strict=True):
        start = (inner.start - outer.start) / stride
        places.append((start + torch.arange(side)).clamp(max=kernel.shape[-1] - 1))
    rows, columns = (2 * place / (kernel.shape[-1] - 1) - 1 for place in places)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    at = torch.stack([x, y], -1)[None].expand(len(kernel), -1, -1, -1).to(kernel)
    return F.grid_sample(kernel, at, align_corners=True)


def run(settings: FixerSettings) -> dict[str, Any]:
    """Align the photos, run the teacher, train and save; return the figures on held-out people."""
    if settings.margin_weight <= 0 and settings.distil_weight <= 0:
        raise ReliableSwapError(
            "both --margin_weight and --distil_weight are 0; raise one of them, there is no other loss"
        )
    choice = settings.choice if settings.distil_weight > 0 else None  # raises before any work is done
    crops = settings.load_crops()
    features = teacher_features(crops, choice, settings.workers) if choice else None
    if features is not None and features.shape[1] != settings.embedding_size:
        raise ReliableSwapError(
            f"the teacher gives {features.shape[1]}-d vectors, but --embedding_size is {settings.embedding_size}; "
            f"pass --embedding_size {features.shape[1]}"
        )
    torch.manual_seed(settings.seed)
    return train(student(settings), FixerTask(settings, crops, features), settings)
