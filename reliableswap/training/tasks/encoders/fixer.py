"""Training FixerNet: whose jaw and mouth? By a margin between people, by a teacher who sees the whole face."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

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

from .common import EncoderSettings, Pool, Samples, described, encode, teacher_features, to_network
from .identity import relation_loss
from .verification import draw_pairs


@dataclass
class FixerSettings(EncoderSettings):
    initial: Path | None = setting(
        None, "a FixerNet's or an IdentityEncoder's folder to start from (default: from nothing)"
    )
    embedding_size: int = setting(128, "numbers in v_fix; the teacher's, if there is one")
    margin_weight: float = setting(0.1, "weight of the margin loss over people with two photos or more")
    # Deng et al., ArcFace (CVPR 2019), section 3.1: feature scale s = 64, angular margin m = 0.5.
    scale: float = setting(64.0, "ArcFace's s: the cosines are multiplied by it")
    margin: float = setting(0.5, "ArcFace's m: radians added to the angle to one's own person")
    margin_warmup_steps: int = setting(200, "steps over which the margin grows to its full size")
    distil_weight: float = setting(10.0, "weight of the distillation from the teacher; 0 needs no --teacher")
    relation_weight: float = setting(1.0, "within the distillation, weight of how the batch's faces lie")
    name: str = setting("reliableswap-fixer", "what the network is called")


class MarginHead(nn.Module):
    """(B,D) of length 1, (B,) whose, margin -> the additive angular margin loss (Deng et al., CVPR 2019, eq. 3).

    Rows whose label is -1 are of people with a single photo: they have no say.
    """

    def __init__(self, embedding_size: int, people: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.centres = nn.Parameter(F.normalize(torch.randn(people, embedding_size), dim=1))

    def forward(self, vectors: Tensor, labels: Tensor, margin: float) -> Tensor:
        # In bfloat16 a cosine has three digits; times 64 that is a loss made of rounding errors.
        with torch.autocast(vectors.device.type, enabled=False):
            cosine = F.normalize(vectors.float(), dim=1) @ F.normalize(self.centres.float(), dim=1).T
            known = labels >= 0
            own = labels.clamp(min=0)[:, None]
            mine = cosine.gather(1, own)
            # Short of ±1, where the arc cosine's slope is infinite. Past pi - m the angle would come down again
            # as it grows, so there the cosine itself is lowered by the slope's share, as ArcFace's own code does.
            angle = torch.acos(mine.clamp(-1 + 1e-6, 1 - 1e-6))
            lowered = mine - margin * float(np.sin(margin))
            moved = torch.where(angle < np.pi - margin, torch.cos(angle + margin), lowered)
            logits = self.scale * cosine.scatter(1, own, moved)
            each = F.cross_entropy(logits, own[:, 0], reduction="none")
            return (each * known).sum() / known.sum().clamp(min=1)


class FixerTask(Task):
    """Margin and distillation, together or alone; measured by telling held-out people apart by the lower face."""

    def __init__(self, settings: FixerSettings, crops: Crops, features: np.ndarray | None) -> None:
        super().__init__()
        self.settings, self.crops, self.features = settings, crops, features
        rows = crops.rows(training=True)
        labels = None
        if settings.margin_weight > 0:
            several = crops.people(rows)
            if len(several) < 2:
                raise ReliableSwapError(
                    f"{len(several)} people have two photos to learn a margin between; add photos, one sub-folder a "
                    "person, or pass --margin_weight 0"
                )
            labels = np.full(len(crops.shown), -1, np.int64)
            for label, own in enumerate(several.values()):
                labels[own] = label
            if features is None:  # nobody else has anything to say
                rows = rows[labels[rows] >= 0]
            self.companions["head"] = MarginHead(settings.embedding_size, len(several), settings.scale)
        self.margin = settings.margin
        self.dataset = Samples([Pool(crops, rows, features, labels)], [1.0], FIXER_WINDOW, settings)
        self.pairs = draw_pairs(crops, crops.rows(training=False), settings.validation_pairs)

    def start(self, step: int, device: torch.device) -> None:
        """An angle of 0.5 from the first step on is more than a fresh network can learn from."""
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
        """What the teacher tells from the whole face, and from the window alone with grey around it."""
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
        """accuracy: of verification by the lower face; half of the pairs show one person, so chance is 0.5."""
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
        facts = {"photos": "; ".join(described(self.crops))}
        if self.features is not None:
            facts["teacher"] = self.settings.choice.path.name
        return facts


def student(settings: FixerSettings) -> FixerNet:
    """The network to train: a fresh one, one that goes on learning, or one that begins as an identity encoder."""
    size = settings.embedding_size
    if settings.initial is None:
        return FixerNet(embedding_size=size, name=settings.name)
    first = load_network(settings.initial)
    if not isinstance(first, (FixerNet, IdentityEncoder)) or first.embedding_size != size:
        raise ReliableSwapError(
            f"{settings.initial} holds a {type(first).__name__}, which is no encoder with {size}-d vectors; start from "
            "another network, or from nothing"
        )
    if isinstance(first, FixerNet):
        first.register_to_config(name=settings.name)
        return first
    if first.config.body != "mobilefacenet":
        raise ReliableSwapError(
            f"{settings.initial} has the body {first.config.body}, which does not fit {FIXER_SIZE} px windows; start "
            "from a mobilefacenet, or from nothing"
        )
    network = FixerNet(embedding_size=size, mean=first.config.mean, std=first.config.std, name=settings.name)
    tensors = first.trunk.state_dict()
    name = "gdconv.depthwise.weight"
    tensors[name] = window_kernel(tensors[name], network.trunk.state_dict()[name].shape[-1])
    network.trunk.load_state_dict(tensors)
    return network


def window_kernel(kernel: Tensor, side: int, stride: int = 16) -> Tensor:
    """(C,1,7,7) the whole face's last filter -> (C,1,side,side) what it does where the window's cells lie.

    The window is a piece of the identity crop at the same scale, so all other layers mean the same in it.
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
    """Align, ask the teacher, train, save; returns the figures on held-out people."""
    if settings.margin_weight <= 0 and settings.distil_weight <= 0:
        raise ReliableSwapError(
            "both --margin_weight and --distil_weight are 0; give one of them, there is nothing else to learn from"
        )
    choice = settings.choice if settings.distil_weight > 0 else None  # complains before the work begins
    crops = settings.load_crops()
    features = teacher_features(crops, choice, settings.workers) if choice else None
    if features is not None and features.shape[1] != settings.embedding_size:
        raise ReliableSwapError(
            f"the teacher gives {features.shape[1]}-d vectors, but v_fix is to have {settings.embedding_size} numbers; "
            f"pass --embedding_size {features.shape[1]}"
        )
    torch.manual_seed(settings.seed)
    return train(student(settings), FixerTask(settings, crops, features), settings)
