"""Training FaceDetector: mosaics of labelled photos, focal loss on cells, boxes and points where a face is."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from reliableswap.faces.detect import merge, to_photo
from reliableswap.models.base import Network
from reliableswap.models.detector import STRIDES, FaceDetector
from reliableswap.training.core.settings import DistilSettings, setting
from reliableswap.training.core.trainer import Task, train

from .backgrounds import Backgrounds
from .mosaic import SMALLEST, LabelledFace, LabelledPhoto, mosaic
from .teachers import Labels, PhotoStore, described, label_photos, split

# Which sizes (longer side of the box in px) each level answers for; at the borders both neighbours do.
RANGES = ((0.0, 56.0), (40.0, 128.0), (96.0, np.inf))


@dataclass
class DetectorSettings(DistilSettings):
    canvas: int = setting(320, "side of a training mosaic in pixels")
    validation_pictures: int = setting(200, "held-out mosaics a validation")


class Mosaics(Dataset[dict[str, Tensor]]):
    """Mosaic i follows from the seed and i."""

    def __init__(self, settings: DetectorSettings, labels: Labels, training: bool) -> None:
        self.settings, self.training = settings, training
        self.indices = split(labels, training, settings.flat)
        order = np.argsort(labels.owner, kind="stable")
        bounds = np.searchsorted(labels.owner[order], np.arange(len(labels.photos) + 1))
        self.photos = PhotoStore(settings.faces, labels.photos, self.indices)
        self.backgrounds = Backgrounds(settings.backgrounds) if settings.backgrounds else None
        self.rows = [labels.faces[order[a:b]] for a, b in itertools.pairwise(bounds)]

    def __len__(self) -> int:
        return 2**31

    def labelled(self, index: int) -> LabelledPhoto:
        """One photo with the faces the teacher saw, the surest first."""
        faces = [LabelledFace(r[:4], r[4:14].reshape(5, 2), bool(r[14] > 0.6)) for r in self.rows[index]]
        return LabelledPhoto(self.photos[index], faces)

    def picture(self, i: int) -> tuple[np.ndarray, list[LabelledFace]]:
        rng = np.random.default_rng([self.settings.seed, int(self.training), i])
        count = 2 + int(rng.integers(1, 11))
        chosen = rng.choice(len(self.indices), count)
        photos = [self.labelled(self.indices[c]) for c in chosen]
        size, background = self.settings.canvas, None
        if self.backgrounds is not None and rng.random() < 0.6:
            background = self.backgrounds.piece(rng, size)
        return mosaic(photos, size, rng, background=background)

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        image, faces = self.picture(i)
        return {"image": torch.from_numpy(image), "target": torch.from_numpy(targets(faces, image.shape[0]))}


def targets(faces: list[LabelledFace], size: int) -> np.ndarray:
    """(N,15) what each cell should answer: 1 face, 0 none, -1 don't care; then box and points in pixels."""
    levels = []
    for stride, (low, high) in zip(STRIDES, RANGES, strict=True):
        cells = np.arange(size // stride) * stride + (stride - 1) / 2
        x, y = np.meshgrid(cells, cells)
        target = np.zeros((*x.shape, 15), np.float32)
        nearest = np.full(x.shape, np.inf)
        for face in faces:
            centre, extent = (face.box[:2] + face.box[2:]) / 2, face.box[2:] - face.box[:2]
            longer = float(extent.max())
            distance = np.hypot(x - centre[0], y - centre[1])
            around = (np.abs(x - centre[0]) < extent[0] * 0.4) & (np.abs(y - centre[1]) < extent[1] * 0.4)
            target[around & (target[..., 0] != 1), 0] = -1
            if not face.certain or longer < SMALLEST or not low <= longer < high:
                continue
            cell = (distance <= max(stride * 0.75, 0.12 * longer)) & (distance < nearest)
            nearest[cell] = distance[cell]
            target[cell] = np.concatenate([[1], centre, np.log(extent), face.points5.ravel()])
        levels.append(target.reshape(-1, 15))
    return np.concatenate(levels)


def focal_loss(logit: Tensor, wanted: Tensor, positives: Tensor) -> Tensor:
    """Cells without a face are many and easy: each counts by how wrong it is."""
    counted = wanted >= 0
    truth = wanted.clamp(min=0)
    wrong = (torch.sigmoid(logit) - truth).abs().detach() ** 2
    loss = F.binary_cross_entropy_with_logits(logit, truth, reduction="none") * wrong
    return (loss * counted).sum() / positives


def giou_loss(answer: Tensor, target: Tensor) -> Tensor:
    """(M,4) centre and log size of both -> (M,) one minus the generalised overlap."""

    def corners(box: Tensor) -> tuple[Tensor, Tensor]:
        half = box[:, 2:].clamp(-5, 10).exp() / 2
        return box[:, :2] - half, box[:, :2] + half

    (low, high), (true_low, true_high) = corners(answer), corners(target)
    shared = (torch.minimum(high, true_high) - torch.maximum(low, true_low)).clamp(min=0).prod(1)
    union = (high - low).prod(1) + (true_high - true_low).prod(1) - shared
    hull = (torch.maximum(high, true_high) - torch.minimum(low, true_low)).prod(1)
    return 1 - shared / union + (hull - union) / hull


class DetectorTask(Task):
    """The losses of the detector and its measure: recall and precision on mosaics of held-out people."""

    def __init__(self, settings: DetectorSettings, labels: Labels) -> None:
        super().__init__()
        self.settings, self.labels = settings, labels
        self.dataset = Mosaics(settings, labels, training=True)
        self.held_out = Mosaics(settings, labels, training=False)

    def losses(self, network: torch.nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        answer = network(batch["image"].permute(0, 3, 1, 2).float() / 127.5 - 1)
        wanted = batch["target"]
        face = wanted[..., 0] > 0
        positives = face.sum().clamp(min=1)
        got, true = answer[face], wanted[face]
        size = true[:, 3:5].amax(1).exp()[:, None]
        points = F.smooth_l1_loss(got[:, 5:] / size, true[:, 5:] / size, beta=0.02, reduction="sum")
        return {
            "score": focal_loss(answer[..., 0], wanted[..., 0], positives),
            "box": giou_loss(got[:, 1:5], true[:, 1:5]).sum() / positives,
            # Three times: which way up a small face is comes late, and alignment hangs on it.
            "points": 3 * (points / positives),
        }

    def facts(self) -> dict[str, str]:
        return described(self.settings, self.labels)

    def validate(self, network: Network) -> dict[str, float]:
        assert isinstance(network, FaceDetector)
        tally = Tally()
        for i in range(self.settings.validation_pictures):
            image, faces = self.held_out.picture(i)
            pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float().to(network.device) / 127.5 - 1
            answers = network(pixels)[0].float().cpu()
            answers = answers[answers[:, 0] > 0].numpy().astype(np.float64)
            tally.add(merge(to_photo(answers, np.ones(2)), 0.4), faces)
        return tally.figures()


class Tally:
    """Recall and precision at IoU 0.5, counting faces of at least 24 px that the teacher was sure of."""

    def __init__(self, smallest: float = 24.0) -> None:
        self.smallest = smallest
        self.found = self.faces = self.right = self.answers = 0
        self.point_errors: list[float] = []

    def add(self, answers: np.ndarray, faces: list[LabelledFace]) -> None:
        """answers (N,15): box, points, score."""
        used = np.zeros(len(answers), bool)
        for face in faces:
            iou = overlaps_plain(face.box, answers)
            best = int(np.argmax(iou)) if len(answers) else -1
            hit = best >= 0 and iou[best] >= 0.5
            size = float((face.box[2:] - face.box[:2]).max())
            if face.certain and size >= self.smallest:
                self.faces += 1
                self.found += int(hit)
            if hit:
                used[best] = True
                self.point_errors.append(
                    float(
                        np.linalg.norm(answers[best, 4:14].reshape(5, 2) - face.points5, axis=1).mean() / size
                    )
                )
            else:  # an answer for an uncertain face is neither right nor wrong
                used |= iou > 0.3 if not face.certain or size < self.smallest else False
        large = (answers[:, 2:4] - answers[:, :2]).max(1) >= self.smallest if len(answers) else used
        self.answers += int(large.sum())
        self.right += int((large & used).sum())

    def figures(self) -> dict[str, float]:
        return {
            "recall": self.found / max(1, self.faces),
            "precision": self.right / max(1, self.answers),
            "point_error": float(np.mean(self.point_errors)) if self.point_errors else float("nan"),
        }


def overlaps_plain(box: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """(N,) plain intersection over union of a box with the answers' boxes."""
    low, high = np.maximum(box[:2], answers[:, :2]), np.minimum(box[2:4], answers[:, 2:4])
    shared = np.clip(high - low, 0, None).prod(1)
    area, areas = np.prod(box[2:4] - box[:2]), (answers[:, 2:4] - answers[:, :2]).prod(1)
    return np.asarray(shared / np.maximum(area + areas - shared, 1e-9))


def run(settings: DetectorSettings) -> dict[str, Any]:
    """Label, train, save; returns the figures on held-out people."""
    labels = label_photos(settings.faces, settings.teachers, settings.labels_file)
    torch.manual_seed(settings.seed)
    return train(FaceDetector(), DetectorTask(settings, labels), settings)
