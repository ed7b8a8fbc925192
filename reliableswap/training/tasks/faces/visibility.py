"""Train VisibilityNet on labelled and unlabelled photos with things pasted in front of the faces."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from reliableswap.convert.perceptual import pretrained_perceptual_features
from reliableswap.faces.parts import SIZE
from reliableswap.geometry import regions
from reliableswap.geometry.topology import topology
from reliableswap.imaging.degrade import Rng, degrade
from reliableswap.imaging.occluders import Occluders, cutout_files, paste
from reliableswap.imaging.painted_glasses import paint_glasses
from reliableswap.models.base import Network
from reliableswap.models.face_classes import CLASSES
from reliableswap.models.visibility import VisibilityNet
from reliableswap.training.core.fingerprint import digest_of_names
from reliableswap.training.core.settings import RunSettings, TeacherSettings, setting
from reliableswap.training.core.task import Task
from reliableswap.training.core.trainer import train
from reliableswap.training.tasks.pixels import to_network

from .crop_jitter import jitter_crop
from .part_labels import BIT
from .part_records import PAD, PartsRecords, labelled_parts, unlabelled_parts

_EDGE, _OPAQUE = 0.15, 0.5  # opacities above which a pixel may be, and surely is, the thing pasted over it
_NO_GLASSES = -1.0  # a face with lower log odds of glasses surely wears none
_CLASS_WEIGHTS = {
    "brows": 2.0,
    "eyes": 2.0,
    "lips": 2.0,
    "inner mouth": 2.0,
    "beard": 6.0,
    "glasses": 3.0,
    "front": 1.5,
}
_UNSURE = 0.3  # weight of a pixel that may have several classes
_OUTSIDE = 0.4  # weight of a pixel outside the face's outline
_GRID = 16  # faces in the grid
COVERING = ("hair", "glasses", "front")  # classes that hide the face if inside its outline
COLOURS = np.array(
    [(60, 60, 60), (205, 165, 135), (120, 70, 20), (40, 120, 255), (255, 70, 110), (255, 255, 255), (130, 30, 160),
     (20, 150, 20), (0, 220, 220), (255, 230, 0)], np.uint8
)  # fmt: skip


@dataclass
class VisibilitySettings(RunSettings, TeacherSettings):
    train_batch_size: int = setting(16, "samples per batch and process")
    parsing: Path = setting(
        Path("parsing"),
        "folder of photos with label maps: hair masks in folders named *hair, FASSEG's class numbers in the others",
        on_resume="any",
    )
    occluders: Path | None = setting(
        None, "folder of cut-outs with alpha; None: only generated shapes and strands of hair"
    )
    labelled_share: float = setting(0.6, "share of the samples that have a label map")
    occluded_share: float = setting(0.5, "share of the faces with something pasted in front of them")
    painted_share: float = setting(0.25, "share of the faces without glasses on which glasses are painted")
    initial: Path | None = setting(None, "folder of a VisibilityNet to start from")
    from_features: bool = setting(True, "without --initial, start from EfficientNet-Lite0's ImageNet weights")
    validation_pictures: int = setting(256, "held-out faces per validation", on_resume="any")


@dataclass(frozen=True, eq=False)
class LabelledCrop:
    """crop (S,S,3) uint8, the classes that each pixel may have (S,S) uint16, and the mesh (468,3)."""

    crop: np.ndarray
    sets: np.ndarray
    mesh: np.ndarray

    def flipped(self) -> LabelledCrop:
        mesh = self.mesh[topology().mirror].copy()
        mesh[:, 0] = self.crop.shape[1] - 1 - mesh[:, 0]
        return LabelledCrop(
            np.ascontiguousarray(self.crop[:, ::-1]), np.ascontiguousarray(self.sets[:, ::-1]), mesh
        )

    def with_over(self, crop: np.ndarray, opacity: np.ndarray, name: str) -> LabelledCrop:
        """Return the parts with a thing of class `name` in front of them, which `crop` already shows."""
        sets = np.where(opacity > _EDGE, self.sets | BIT[name], self.sets)
        return LabelledCrop(crop, np.where(opacity > _OPAQUE, BIT[name], sets).astype(np.uint16), self.mesh)


class CoveredFaces(Dataset[dict[str, Tensor]]):
    """Sample i: picture (128,128,3) uint8; sets (128,128), one bit for each class that a pixel may have; face
    (128,128), 1 inside the outline."""

    def __init__(
        self,
        settings: VisibilitySettings,
        labelled: PartsRecords,
        unlabelled: PartsRecords | None,
        training: bool,
    ) -> None:
        self.settings, self.training = settings, training
        self.groups = [(labelled, labelled.rows(training, labelled=True))]
        if unlabelled is not None and training:
            self.groups.append((unlabelled, unlabelled.rows(training, labelled=False)))
        self.occluders = Occluders(settings.occluders)

    def __len__(self) -> int:
        return 2**31

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([self.settings.seed, int(self.training), i])
        unlabelled = len(self.groups) > 1 and rng.random() >= self.settings.labelled_share
        records, rows = self.groups[int(unlabelled)]
        # Held-out faces are taken in order.
        row = rows[int(rng.integers(len(rows))) if self.training else i % len(rows)]
        entry = records.entries[row]
        parts = LabelledCrop(np.array(entry["crop"]), np.array(entry["sets"]), np.array(entry["mesh"]))
        parts = self.covered(parts, bool(records.glasses[row] < _NO_GLASSES), rng)
        return self.cut(parts, rng)

    def covered(self, parts: LabelledCrop, bare: bool, rng: Rng) -> LabelledCrop:
        """At random, mirror the face (in training), paint glasses on it if it is bare, and paste things over it."""
        if self.training and rng.random() < 0.5:
            parts = parts.flipped()
        if bare and rng.random() < self.settings.painted_share:
            picture, worn = paint_glasses(parts.crop, parts.mesh, rng)
            parts = parts.with_over(picture, worn, "glasses")
        for share in (self.settings.occluded_share, 0.2 * self.settings.occluded_share):
            if rng.random() < share:
                thing = self.occluders.draw(parts.crop, parts.mesh, rng)
                picture = paste(parts.crop, thing, rng)
                parts = parts.with_over(picture, thing.opacity, "hair" if thing.hair else "front")
        return parts

    def cut(self, parts: LabelledCrop, rng: Rng) -> dict[str, Tensor]:
        """Cut the network's crop; in training, as if by an inexact mesh and from a worse photo."""
        matrix = np.array([[1, 0, -PAD], [0, 1, -PAD]], np.float64)
        if self.training:
            matrix = jitter_crop(matrix, (SIZE, SIZE), rng, degrees=8, size=0.08, shift=0.03)
        size = (SIZE, SIZE)
        picture = cv2.warpAffine(parts.crop, matrix, size, borderMode=cv2.BORDER_REPLICATE)
        sets = cv2.warpAffine(
            parts.sets, matrix, size, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
        )
        face = regions.oval(cv2.transform(parts.mesh[None, :, :2], matrix)[0], size)
        if self.training:
            picture = degrade(picture, rng, strength=0.7)
        return {
            "picture": torch.from_numpy(picture),
            "sets": torch.from_numpy(sets.astype(np.int32)),
            "face": torch.from_numpy(face),
        }


def allowed_classes(sets: Tensor) -> Tensor:
    """(B,H,W) bits -> (B,10,H,W) bool."""
    bits = torch.arange(len(CLASSES), device=sets.device).view(1, -1, 1, 1)
    return (sets[:, None] >> bits) & 1 > 0


class VisibilityTask(Task):
    """The likelihood of the allowed classes, and the overlap of what hides the face; validation measures overlaps."""

    def __init__(
        self, settings: VisibilitySettings, labelled: PartsRecords, unlabelled: PartsRecords | None
    ) -> None:
        super().__init__()
        self.settings, self.labelled, self.unlabelled = settings, labelled, unlabelled
        self.dataset = CoveredFaces(settings, labelled, unlabelled, training=True)
        self.held_out = CoveredFaces(settings, labelled, None, training=False)
        self.weights = torch.tensor([_CLASS_WEIGHTS.get(name, 1.0) for name in CLASSES])
        self.covering = torch.tensor([name in COVERING for name in CLASSES])

    def losses(self, network: torch.nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        logs = F.log_softmax(network(to_network(batch["picture"])).float(), 1)
        allowed = allowed_classes(batch["sets"])
        each = -torch.logsumexp(logs.masked_fill(~allowed, -1e4), 1)
        count = allowed.sum(1)
        rare = (allowed * self.weights.to(logs)[None, :, None, None]).sum(1)
        weight = torch.where(count == 1, rare, _UNSURE) * (_OUTSIDE + (1 - _OUTSIDE) * batch["face"])
        covering = self.covering.to(logs.device)
        known = (
            (allowed & covering[:, None, None]).any(1) != (allowed & ~covering[:, None, None]).any(1)
        ) * batch["face"]
        hidden = allowed[:, covering].any(1) * known
        odds = logs.exp()[:, covering].sum(1) * known
        overlap = 2 * (odds * hidden).sum() / (odds.sum() + hidden.sum()).clamp(min=1)
        return {
            "pixels": (each * weight).sum() / weight.sum().clamp(min=1),
            "overlap": 0.3 * (1 - overlap),
        }

    @cached_property
    def fixed(self) -> dict[str, Tensor]:
        """The held-out faces, the same at every validation."""
        return torch.utils.data.default_collate(
            [self.held_out[i] for i in range(self.settings.validation_pictures)]
        )

    def validate(self, network: Network) -> dict[str, float]:
        """Return figures on pixels with one label: the overlap (intersection over union) of every class, their mean,
        and the overlap of what hides the face inside its outline."""
        found = self._predict(network, self.fixed["picture"])
        allowed, face = allowed_classes(self.fixed["sets"]), self.fixed["face"] > 0
        known = allowed.sum(1) == 1
        figures = {
            name: overlap(found == n, allowed[:, n], known)
            for n, name in enumerate(CLASSES)
            if (allowed[:, n] & known).any()
        }
        hidden = allowed[:, self.covering].any(1)
        return {
            "mean": float(np.mean(list(figures.values()))),
            "hidden": overlap(torch.isin(found, self.covering.nonzero()[:, 0]), hidden, known & face),
            **{name.replace(" ", "_"): value for name, value in figures.items()},
        }

    @staticmethod
    @torch.no_grad()
    def _predict(network: Network, pictures: Tensor) -> Tensor:
        """(N,128,128,3) -> (N,128,128) the most likely classes."""
        parts = [network(to_network(part.to(network.device))).argmax(1).cpu() for part in pictures.split(32)]
        return torch.cat(parts)

    def grid(self, network: Network) -> np.ndarray | None:
        pictures = self.fixed["picture"][:_GRID]
        allowed = allowed_classes(self.fixed["sets"][:_GRID]).permute(0, 2, 3, 1).float().numpy()
        truth = allowed @ COLOURS.astype(np.float32) / allowed.sum(-1, keepdims=True)
        found = COLOURS[self._predict(network, pictures).numpy()]
        rows = np.concatenate([pictures.numpy(), truth.astype(np.uint8), found], 2)
        half = len(rows) // 2
        return np.concatenate(
            [np.concatenate(list(part)) for part in (rows[:half], rows[half : 2 * half])], 1
        )

    def facts(self) -> dict[str, str]:
        found = {"labelled photos": f"{int(self.labelled.found.sum()):,} of {self.settings.parsing.name}"}
        if self.unlabelled is not None:
            found["photos without labels"] = f"{int(self.unlabelled.found.sum()):,}"
        found["pasted"] = "painted glasses, generated shapes and strands of hair" + (
            f", cut-outs of {self.settings.occluders.name}" if self.settings.occluders else ""
        )
        return found

    def fingerprint(self) -> dict[str, str]:
        found = {
            "labelled": self.labelled.key,
            "photos": self.unlabelled.key if self.unlabelled is not None else "",
        }
        cutouts = self.settings.occluders
        if cutouts is not None:
            found["occluders"] = digest_of_names(cutouts, cutout_files(cutouts))
        return found


def overlap(found: Tensor, true: Tensor, known: Tensor) -> float:
    """Intersection over union of bool maps, where the truth is known."""
    return float((found & true & known).sum() / ((found | true) & known).sum().clamp(min=1))


def run(settings: VisibilitySettings) -> dict[str, Any]:
    """Label the photos, train and save; return the figures on held-out people."""
    folder, workers = settings.labels_folder, max(1, settings.dataloader_num_workers)
    labelled = labelled_parts(settings.parsing, settings.teachers, folder / "parsing", workers)
    unlabelled = None
    if settings.labelled_share < 1:
        unlabelled = unlabelled_parts(
            settings.faces, settings.flat, settings.teachers, folder / "faces", workers
        )
    torch.manual_seed(settings.seed)
    network = VisibilityNet() if settings.initial is None else VisibilityNet.from_pretrained(settings.initial)
    if settings.from_features and settings.initial is None:
        network.start_from(pretrained_perceptual_features())
    return train(network, VisibilityTask(settings, labelled, unlabelled), settings)
