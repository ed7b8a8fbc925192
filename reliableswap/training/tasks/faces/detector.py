"""Train FaceDetector on mosaics of labelled photos: a score for every cell, and box and points where a face is."""

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
from reliableswap.training.core.task import Task
from reliableswap.training.core.trainer import train
from reliableswap.training.tasks.pixels import to_network

from .backgrounds import Backgrounds
from .labels import Labels, PhotoStore, facts, fingerprint, label_photos
from .mosaic import SMALLEST, LabelledFace, LabelledPhoto, mosaic

# Sizes (longer side of the box in px) that each level detects; where ranges overlap, both levels do.
_RANGES = ((0.0, 56.0), (40.0, 128.0), (96.0, np.inf))


@dataclass
class DetectorSettings(DistilSettings):
    canvas: int = setting(320, "side of a training mosaic in pixels")
    validation_pictures: int = setting(200, "held-out mosaics per validation", on_resume="any")


class Mosaics(Dataset[dict[str, Tensor]]):
    """Sample i is a mosaic that depends only on the seed and i."""

    def __init__(self, settings: DetectorSettings, labels: Labels, training: bool) -> None:
        self.settings, self.training = settings, training
        self.indices = labels.rows(training)
        order = np.argsort(labels.owner, kind="stable")
        bounds = np.searchsorted(labels.owner[order], np.arange(len(labels.photos) + 1))
        self.photos = PhotoStore(labels.photos, self.indices)
        self.backgrounds = Backgrounds(settings.backgrounds) if settings.backgrounds else None
        self.rows = [labels.faces[order[a:b]] for a, b in itertools.pairwise(bounds)]

    def __len__(self) -> int:
        return 2**31

    def labelled(self, index: int) -> LabelledPhoto:
        """A photo with the faces that the teacher detected, best score first."""
        faces = [LabelledFace(r[:4], r[4:14].reshape(5, 2), bool(r[14] > 0.6)) for r in self.rows[index]]
        return LabelledPhoto(self.photos[index], faces)

    def picture(self, i: int) -> tuple[np.ndarray, list[LabelledFace]]:
        """(S,S,3) uint8 mosaic i and its faces."""
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
    """(N,15) each cell's target: 1 for a face, 0 for none, -1 to ignore it; then box and points in pixels."""
    levels = []
    for stride, (low, high) in zip(STRIDES, _RANGES, strict=True):
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
    """(B,N) twice -> focal loss: cells are weighted by the square of their error, since most are empty and easy."""
    counted = wanted >= 0
    truth = wanted.clamp(min=0)
    wrong = (torch.sigmoid(logit) - truth).abs().detach() ** 2
    loss = F.binary_cross_entropy_with_logits(logit, truth, reduction="none") * wrong
    return (loss * counted).sum() / positives


def giou_loss(answer: Tensor, target: Tensor) -> Tensor:
    """(M,4) twice, centre and log size -> (M,) one minus the generalised intersection over union."""

    def corners(box: Tensor) -> tuple[Tensor, Tensor]:
        half = box[:, 2:].clamp(-5, 10).exp() / 2
        return box[:, :2] - half, box[:, :2] + half

    (low, high), (true_low, true_high) = corners(answer), corners(target)
    shared = (torch.minimum(high, true_high) - torch.maximum(low, true_low)).clamp(min=0).prod(1)
    union = (high - low).prod(1) + (true_high - true_low).prod(1) - shared
    hull = (torch.maximum(high, true_high) - torch.minimum(low, true_low)).prod(1)
    return 1 - shared / union + (hull - union) / hull


class DetectorTask(Task):
    """Losses of score, box and points; validation measures recall and precision on mosaics of held-out people."""

    def __init__(self, settings: DetectorSettings, labels: Labels) -> None:
        super().__init__()
        self.settings, self.labels = settings, labels
        self.dataset = Mosaics(settings, labels, training=True)
        self.held_out = Mosaics(settings, labels, training=False)

    def losses(self, network: torch.nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        answer = network(to_network(batch["image"]))
        wanted = batch["target"]
        face = wanted[..., 0] > 0
        positives = face.sum().clamp(min=1)
        got, true = answer[face], wanted[face]
        size = true[:, 3:5].amax(1).exp()[:, None]
        points = F.smooth_l1_loss(got[:, 5:] / size, true[:, 5:] / size, beta=0.02, reduction="sum")
        return {
            "score": focal_loss(answer[..., 0], wanted[..., 0], positives),
            "box": giou_loss(got[:, 1:5], true[:, 1:5]).sum() / positives,
            # Weight 3: the roll of small faces is learnt late, and alignment depends on it.
            "points": 3 * (points / positives),
        }

    def facts(self) -> dict[str, str]:
        return facts(self.settings, self.labels)

    def fingerprint(self) -> dict[str, str]:
        return fingerprint(self.settings, self.labels)

    def validate(self, network: Network) -> dict[str, float]:
        assert isinstance(network, FaceDetector)
        tally = Tally()
        for i in range(self.settings.validation_pictures):
            image, faces = self.held_out.picture(i)
            answers = network(to_network(torch.from_numpy(image)[None].to(network.device)))[0].float().cpu()
            answers = answers[answers[:, 0] > 0].numpy().astype(np.float64)
            tally.add(merge(to_photo(answers, np.ones(2)), 0.4), faces)
        return tally.figures()


class Tally:
    """Recall and precision at IoU 0.5, over faces that are large enough and certain."""

    def __init__(self, smallest: float = 24.0) -> None:
        self.smallest = smallest
        self.found = self.faces = self.right = self.answers = 0
        self.point_errors: list[float] = []

    def add(self, answers: np.ndarray, faces: list[LabelledFace]) -> None:
        """Count the detections (N,15) box, points, score in a picture with these faces."""
        used = np.zeros(len(answers), bool)
        for face in faces:
            iou = box_overlaps(face.box, answers)
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
            else:  # a detection of an uncertain or small face does not count as wrong
                used |= iou > 0.3 if not face.certain or size < self.smallest else False
        large = (answers[:, 2:4] - answers[:, :2]).max(1) >= self.smallest if len(answers) else used
        self.answers += int(large.sum())
        self.right += int((large & used).sum())

    def figures(self) -> dict[str, float]:
        """Recall, precision, and the mean error of the five points as a share of the face's size."""
        return {
            "recall": self.found / max(1, self.faces),
            "precision": self.right / max(1, self.answers),
            "point_error": float(np.mean(self.point_errors)) if self.point_errors else float("nan"),
        }


def box_overlaps(box: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """(4,), (N,15) -> (N,) intersection over union of the box with the answers' boxes."""
    low, high = np.maximum(box[:2], answers[:, :2]), np.minimum(box[2:4], answers[:, 2:4])
    shared = np.clip(high - low, 0, None).prod(1)
    area, areas = np.prod(box[2:4] - box[:2]), (answers[:, 2:4] - answers[:, :2]).prod(1)
    return np.asarray(shared / np.maximum(area + areas - shared, 1e-9))


def run(settings: DetectorSettings) -> dict[str, Any]:
    """Label the photos, train and save; return the figures on held-out people."""
    labels = label_photos(settings.faces, settings.teachers, settings.labels_folder, settings.flat)
    torch.manual_seed(settings.seed)
    return train(FaceDetector(), DetectorTask(settings, labels), settings)
