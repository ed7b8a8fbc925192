"""Train MeshNet on upright crops of photos with the teacher's meshes, and on crops without a face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from reliableswap.errors import ReliableSwapError
from reliableswap.faces.align import apply, crop, upright
from reliableswap.faces.face import LEFT_EYE_OUTER, RIGHT_EYE_OUTER, five_points
from reliableswap.geometry.measures import eye_openings
from reliableswap.imaging.degrade import Rng, degrade, occlude, texture
from reliableswap.models.base import Network
from reliableswap.models.landmarks import MeshNet
from reliableswap.training.core.settings import DistilSettings, setting
from reliableswap.training.core.task import Task
from reliableswap.training.core.trainer import train
from reliableswap.training.tasks.pixels import to_network

from .backgrounds import Backgrounds
from .crop_jitter import jitter_crop
from .labels import Labels, PhotoStore, facts, fingerprint, label_photos
from .profile import rotated_to_yaw


@dataclass
class LandmarksSettings(DistilSettings):
    initial: Path | None = setting(None, "folder of a MeshNet to start from")
    profiles: float = setting(0.3, "share of the faces that are rotated towards profile")
    shut_eyes: float = setting(0.0, "share of the samples that are drawn from photos with nearly shut eyes")
    validation_pictures: int = setting(400, "held-out faces per validation", on_resume="any")


class LandmarkCrops(Dataset[dict[str, Tensor]]):
    """Sample i is a crop that depends only on the seed and i. About one in five shows no face."""

    def __init__(
        self, settings: LandmarksSettings, labels: Labels, size: int, scale: float, training: bool
    ) -> None:
        self.settings, self.labels, self.training = settings, labels, training
        self.size, self.scale = size, scale
        self.indices = labels.rows(training)
        self.shut = np.flatnonzero([_opening(labels.meshes[i]) < _SHUT for i in self.indices])
        if training and settings.shut_eyes and not len(self.shut):
            raise ReliableSwapError(
                f"none of the {len(self.indices)} training photos shows nearly shut eyes; leave out --shut_eyes"
            )
        self.backgrounds = Backgrounds(settings.backgrounds) if settings.backgrounds else None
        self.photos = PhotoStore(labels.photos, self.indices)

    def __len__(self) -> int:
        return 2**31

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([self.settings.seed, int(self.training), i])
        shut = self.training and rng.random() < self.settings.shut_eyes
        position = rng.choice(self.shut) if shut else rng.integers(len(self.indices))
        image, mesh = self.labelled(int(position), bool(rng.random() < 0.5))
        if rng.random() < self.settings.profiles:
            image, mesh = rotated_to_yaw(image, mesh, rng.uniform(25, 75))
        face = rng.random() > 0.18
        matrix = upright(five_points(mesh), self.size, self.scale)
        matrix = jitter_crop(matrix, (self.size, self.size), rng, degrees=7, size=0.09, shift=0.03)
        if not face and self.backgrounds is not None and rng.random() < 0.6:
            image, matrix = self.backgrounds.piece(rng, self.size), np.eye(3)[:2]
        elif not face:
            image, matrix = without_face(image, mesh, matrix, self.size, rng)
        pixels = crop(image, matrix, self.size, cv2.BORDER_CONSTANT)
        moved = apply(matrix, mesh)
        if face and rng.random() < 0.25:
            occlude(pixels, np.concatenate([moved[:, :2].min(0), moved[:, :2].max(0)]), rng)
        pixels = degrade(pixels, rng, strength=0.7)
        return {
            "image": torch.from_numpy(pixels),
            "mesh": torch.from_numpy(moved),
            "face": torch.tensor(float(face)),
        }

    def labelled(self, position: int, mirror: bool) -> tuple[np.ndarray, np.ndarray]:
        """The photo or its mirror image, and the teacher's mesh of it."""
        index = self.indices[position]
        image = self.photos[index]
        if mirror:
            return np.ascontiguousarray(image[:, ::-1]), self.labels.mirrored[index]
        return image, self.labels.meshes[index]


def without_face(
    image: np.ndarray, mesh: np.ndarray, matrix: np.ndarray, size: int, rng: Rng
) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture, and the matrix of a crop of it that a detector might mistake for a face."""
    kind = rng.integers(0, 3)
    if kind == 0:
        return texture(rng, size), np.eye(3)[:2]
    far = matrix.copy()
    if kind == 1:  # beside the face
        direction = rng.uniform(0, 2 * np.pi)
        far[:, 2] += rng.uniform(0.65, 1.0) * size * np.array([np.cos(direction), np.sin(direction)])
        return image, far
    centre = mesh[:, :2].mean(0)  # a small part of the face, enlarged to a face's size
    far[:, :2] *= rng.uniform(4, 6)
    far[:, 2] = size / 2 - far[:, :2] @ (centre + rng.normal(0, 0.3, 2) * np.ptp(mesh[:, 0]))
    return image, far


def eye_distances(mesh: Tensor) -> Tensor:
    """(B,468,3) -> (B,) distance of the outer eye corners, depth included."""
    return (mesh[:, RIGHT_EYE_OUTER] - mesh[:, LEFT_EYE_OUTER]).norm(dim=-1)


def _point_weights() -> Tensor:
    """(468,) with mean 1: eyes and lips, which move and matter most, count three times as much."""
    weights = torch.ones(468)
    weights[list(EYES_AND_LIPS)] = 3.0
    return weights / weights.mean()


EYES_AND_LIPS = (
    33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246,
    263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466,
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185,
    78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191,
)  # fmt: skip


# Pairs of points on opposite lips and lids: their distances tell how far mouth and eyes are open.
_LIPS_APART = ((13, 14), (82, 87), (312, 317), (81, 178), (311, 402), (80, 88), (310, 318))
_LIDS_APART = ((159, 145), (160, 144), (158, 153), (386, 374), (385, 380), (387, 373))


_SHUT = 0.18  # eyes are nearly shut if the narrower one's opening is a smaller share of its width


def _opening(mesh: np.ndarray) -> float:
    return float(eye_openings(mesh).min())


def openings(mesh: Tensor, pairs: Sequence[tuple[int, int]]) -> Tensor:
    """(B,468,3) -> (B,N,2) vectors from one lip or lid to the other, without depth."""
    upper, lower = ([pair[n] for pair in pairs] for n in (0, 1))
    return mesh[:, lower, :2] - mesh[:, upper, :2]


class LandmarksTask(Task):
    """Losses of mesh, openings and presence; validation measures mesh errors on held-out people in eye distances."""

    def __init__(self, settings: LandmarksSettings, labels: Labels, size: int, scale: float) -> None:
        super().__init__()
        self.settings, self.labels = settings, labels
        self.dataset = LandmarkCrops(settings, labels, size, scale, training=True)
        self.held_out = LandmarkCrops(settings, labels, size, scale, training=False)
        self.weights = _point_weights()

    def losses(self, network: torch.nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        mesh, presence = network(to_network(batch["image"]))
        face, true = batch["face"], batch["mesh"]
        error = (mesh - true) / eye_distances(true)[:, None, None]
        distance = (error[..., :2].square().sum(-1) + 1e-6).sqrt() + 0.5 * error[..., 2].abs()
        each = (distance * self.weights.to(distance)).mean(1)
        pairs = _LIPS_APART + _LIDS_APART
        apart = (openings(mesh, pairs) - openings(true, pairs)).abs().sum(-1).mean(1) / eye_distances(true)
        faces = face.sum().clamp(min=1)
        return {
            "mesh": 10 * (each * face).sum() / faces,
            "openings": 20 * (apart * face).sum() / faces,
            "presence": 0.2 * F.binary_cross_entropy_with_logits(presence, face),
        }

    def facts(self) -> dict[str, str]:
        return facts(self.settings, self.labels)

    def fingerprint(self) -> dict[str, str]:
        return fingerprint(self.settings, self.labels)

    def validate(self, network: Network) -> dict[str, float]:
        """Return errors on clean crops, aligned by the teacher's mesh; jitter: the change by noise of 4 grey levels."""
        assert isinstance(network, MeshNet)
        rng = np.random.default_rng(0)
        count = min(self.settings.validation_pictures, len(self.held_out.indices))
        found = [self._errors(network, position, rng) for position in range(count)]
        if not found:
            return {}
        shut = [self._errors(network, int(n), rng)["lids_apart"] for n in self.held_out.shut[:count]]
        figures = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
        return figures | ({"lids_apart_shut": float(np.mean(shut))} if shut else {})

    def _errors(self, network: MeshNet, position: int, rng: Rng) -> dict[str, float]:
        """The figures of one held-out photo."""
        size, scale = self.held_out.size, self.held_out.scale
        image, mesh = self.held_out.labelled(position, mirror=False)
        matrix = upright(five_points(mesh), size, scale)
        pixels = crop(image, matrix, size, cv2.BORDER_CONSTANT)
        noisy = np.clip(pixels + rng.normal(0, 4, pixels.shape), 0, 255).astype(np.uint8)
        other, far = without_face(image, mesh, matrix, size, rng)
        empty = crop(other, far, size, cv2.BORDER_CONSTANT)
        side, side_mesh = rotated_to_yaw(image, mesh, 60.0)
        side_matrix = upright(five_points(side_mesh), size, scale)
        profile = crop(side, side_matrix, size, cv2.BORDER_CONSTANT)
        batch = to_network(torch.from_numpy(np.stack([pixels, noisy, empty, profile])))
        meshes, presence = (x.cpu() for x in network(batch.to(network.device)))
        truth = torch.from_numpy(apply(matrix, mesh))
        side_truth = torch.from_numpy(apply(side_matrix, side_mesh))
        unit, side_unit = (float(eye_distances(one[None])) for one in (truth, side_truth))
        return {
            "error": mean_distance(meshes[0], truth) / unit,
            "error_profile": mean_distance(meshes[3], side_truth) / side_unit,
            "lips_apart": _apart_error(meshes[:1], truth[None], _LIPS_APART) / unit,
            "lids_apart": _apart_error(meshes[:1], truth[None], _LIDS_APART) / unit,
            "jitter": mean_distance(meshes[0], meshes[1]) / unit,
            "presence_right": float((presence[0] > 0) & (presence[2] < 0)),
        }


def mean_distance(mesh: Tensor, other: Tensor) -> float:
    """(468,3) twice -> the mean distance in the picture."""
    return float((mesh - other)[:, :2].norm(dim=-1).mean())


def _apart_error(mesh: Tensor, truth: Tensor, pairs: Sequence[tuple[int, int]]) -> float:
    """The mean error of openings, in pixels."""
    return float((openings(mesh, pairs) - openings(truth, pairs)).norm(dim=-1).mean())


def run(settings: LandmarksSettings) -> dict[str, Any]:
    """Label the photos, train and save; return the figures on held-out people."""
    labels = label_photos(settings.faces, settings.teachers, settings.labels_folder, settings.flat)
    torch.manual_seed(settings.seed)
    network = MeshNet() if settings.initial is None else MeshNet.from_pretrained(settings.initial)
    size, scale = network.config["size"], network.config["crop_scale"]
    if settings.initial is None:
        meshes = labels.meshes[labels.rows(training=True)]
        crops = [apply(upright(five_points(mesh), size, scale), mesh) for mesh in meshes]
        network.init_shape_model(torch.from_numpy(np.stack(crops)))
    return train(network, LandmarksTask(settings, labels, size, scale), settings)
