"""Training MeshNet: upright crops of photos with the teacher's mesh, and crops without a face."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from reliableswap.faces.align import apply, crop, upright
from reliableswap.faces.face import LEFT_EYE_OUTER, RIGHT_EYE_OUTER, five_points
from reliableswap.imaging.degrade import Rng, degrade, occlude, texture
from reliableswap.models.base import Network
from reliableswap.models.landmarks import MeshNet
from reliableswap.training.core.settings import DistilSettings, setting
from reliableswap.training.core.trainer import Task, train

from .backgrounds import Backgrounds
from .profile import turned_photo
from .teachers import Labels, PhotoStore, described, label_photos, split


@dataclass
class LandmarksSettings(DistilSettings):
    profiles: float = setting(
        0.3, "share of the faces that are turned to a profile (see training/profile.py)"
    )
    validation_pictures: int = setting(400, "held-out faces a validation")


def yaw_of(meshes: np.ndarray) -> np.ndarray:
    """(...,468,3) -> (...) degrees the head is turned, from the depth of the two sides of the face."""
    across = meshes[..., 454, :] - meshes[..., 234, :]
    return np.degrees(np.arctan2(across[..., 2], across[..., 0]))


class Crops(Dataset[dict[str, Tensor]]):
    """Crop i follows from the seed and i; about one in five holds no face."""

    def __init__(
        self, settings: LandmarksSettings, labels: Labels, size: int, scale: float, training: bool
    ) -> None:
        self.settings, self.labels, self.training = settings, labels, training
        self.size, self.scale = size, scale
        self.indices = split(labels, training, settings.flat)
        self.backgrounds = Backgrounds(settings.backgrounds) if settings.backgrounds else None
        self.photos = PhotoStore(settings.faces, labels.photos, self.indices)

    def __len__(self) -> int:
        return 2**31

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([self.settings.seed, int(self.training), i])
        image, mesh = self.labelled(int(rng.integers(len(self.indices))), bool(rng.random() < 0.5))
        if rng.random() < self.settings.profiles:
            image, mesh = turned_to(image, mesh, rng.uniform(25, 75))
        face = rng.random() > 0.18
        matrix = shaken(upright(five_points(mesh), self.size, self.scale), self.size, rng)
        if not face and self.backgrounds is not None and rng.random() < 0.6:
            image, matrix = self.backgrounds.piece(rng, self.size), np.eye(3)[:2]
        elif not face:
            image, matrix = no_face(image, mesh, matrix, self.size, rng)
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
        """The photo or its mirror picture, each with the teacher's own answer for it."""
        index = self.indices[position]
        image = self.photos[index]
        if mirror:
            return np.ascontiguousarray(image[:, ::-1]), self.labels.mirrored[index]
        return image, self.labels.meshes[index]


def turned_to(image: np.ndarray, mesh: np.ndarray, yaw: float) -> tuple[np.ndarray, np.ndarray]:
    """The photo and mesh with the head turned to that yaw, to the side it already looks to."""
    now = float(yaw_of(mesh))
    return turned_photo(image, mesh, np.copysign(yaw, now) - now)


def shaken(matrix: np.ndarray, size: int, rng: Rng) -> np.ndarray:
    """The crop as a rough detector would have cut it: turned, scaled and moved a little."""
    return shaken_by(matrix, (size, size), rng, degrees=7, size=0.09, shift=0.03)


def shaken_by(
    matrix: np.ndarray, extent: tuple[int, int], rng: Rng, *, degrees: float, size: float, shift: float
) -> np.ndarray:
    """The crop (width, height) turned, scaled and moved about its middle, by deviations of that size."""
    angle = rng.normal(0, np.radians(degrees))
    scale = np.exp(rng.normal(0, size))
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = (np.array(extent) - 1) / 2
    moved = middle - turn @ middle + rng.normal(0, shift * extent[0], 2)
    return np.column_stack([turn @ matrix[:, :2], turn @ matrix[:, 2] + moved])


def no_face(
    image: np.ndarray, mesh: np.ndarray, matrix: np.ndarray, size: int, rng: Rng
) -> tuple[np.ndarray, np.ndarray]:
    """A picture and a crop of it that a detector might wrongly call a face."""
    kind = rng.integers(0, 3)
    if kind == 0:
        return texture(rng, size), np.eye(3)[:2]
    far = matrix.copy()
    if kind == 1:  # beside the face
        direction = rng.uniform(0, 2 * np.pi)
        far[:, 2] += rng.uniform(0.65, 1.0) * size * np.array([np.cos(direction), np.sin(direction)])
        return image, far
    centre = mesh[:, :2].mean(0)  # a small piece of the face, as large as a face
    far[:, :2] *= rng.uniform(4, 6)
    far[:, 2] = size / 2 - far[:, :2] @ (centre + rng.normal(0, 0.3, 2) * np.ptp(mesh[:, 0]))
    return image, far


def eye_distances(mesh: Tensor) -> Tensor:
    """(B,468,3) -> (B,) distance of the outer eye corners in three dimensions."""
    return (mesh[:, RIGHT_EYE_OUTER] - mesh[:, LEFT_EYE_OUTER]).norm(dim=-1)


def _point_weights() -> Tensor:
    """Eyes and lips move most and are seen first: they count three times."""
    weights = torch.ones(468)
    weights[list(EYES_AND_LIPS)] = 3.0
    return weights / weights.mean()


EYES_AND_LIPS = (
    33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246,
    263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466,
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185,
    78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191,
)  # fmt: skip


class LandmarksTask(Task):
    """The mesh's losses, and its error on held-out people as a share of the eye distance."""

    def __init__(self, settings: LandmarksSettings, labels: Labels, size: int, scale: float) -> None:
        super().__init__()
        self.settings, self.labels = settings, labels
        self.dataset = Crops(settings, labels, size, scale, training=True)
        self.held_out = Crops(settings, labels, size, scale, training=False)
        self.weights = _point_weights()

    def losses(self, network: torch.nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        mesh, presence = network(batch["image"].permute(0, 3, 1, 2).float() / 127.5 - 1)
        face, true = batch["face"], batch["mesh"]
        error = (mesh - true) / eye_distances(true)[:, None, None]
        distance = (error[..., :2].square().sum(-1) + 1e-6).sqrt() + 0.5 * error[..., 2].abs()
        each = (distance * self.weights.to(distance)).mean(1)
        return {
            "mesh": 10 * (each * face).sum() / face.sum().clamp(min=1),
            "presence": 0.2 * F.binary_cross_entropy_with_logits(presence, face),
        }

    def facts(self) -> dict[str, str]:
        return described(self.settings, self.labels)

    def validate(self, network: Network) -> dict[str, float]:
        """On clean crops by the teacher's own five points; jitter is what noise of 4 grey levels does."""
        assert isinstance(network, MeshNet)
        size, scale = self.held_out.size, self.held_out.scale
        errors, profiles, jitters, right = [], [], [], []
        rng = np.random.default_rng(0)
        for position in range(min(self.settings.validation_pictures, len(self.held_out.indices))):
            image, mesh = self.held_out.labelled(position, mirror=False)
            matrix = upright(five_points(mesh), size, scale)
            pixels = crop(image, matrix, size, cv2.BORDER_CONSTANT)
            noisy = np.clip(pixels + rng.normal(0, 4, pixels.shape), 0, 255).astype(np.uint8)
            other, far = no_face(image, mesh, matrix, size, rng)
            without = crop(other, far, size, cv2.BORDER_CONSTANT)
            side, side_mesh = turned_to(image, mesh, 60.0)
            side_matrix = upright(five_points(side_mesh), size, scale)
            profile = crop(side, side_matrix, size, cv2.BORDER_CONSTANT)
            crops = torch.from_numpy(np.stack([pixels, noisy, without, profile]))
            batch = crops.permute(0, 3, 1, 2).float() / 127.5 - 1
            answers, presence = (x.cpu() for x in network(batch.to(network.device)))
            true = torch.from_numpy(apply(matrix, mesh))[None]
            unit = float(eye_distances(true))
            errors.append(float((answers[0] - true[0])[:, :2].norm(dim=-1).mean()) / unit)
            jitters.append(float((answers[0] - answers[1])[:, :2].norm(dim=-1).mean()) / unit)
            right.append(float((presence[0] > 0) & (presence[2] < 0)))
            side_true = torch.from_numpy(apply(side_matrix, side_mesh))[None]
            off = float((answers[3] - side_true[0])[:, :2].norm(dim=-1).mean())
            profiles.append(off / float(eye_distances(side_true)))
        return {
            "error": float(np.mean(errors)),
            "error_profile": float(np.mean(profiles)),
            "jitter": float(np.mean(jitters)),
            "presence_right": float(np.mean(right)),
        }


def run(settings: LandmarksSettings) -> dict[str, Any]:
    """Label, train, save; returns the figures on held-out people."""
    labels = label_photos(settings.faces, settings.teachers, settings.labels_file)
    torch.manual_seed(settings.seed)
    network = MeshNet()
    size, scale = network.config["size"], network.config["crop_scale"]
    known = split(labels, True, settings.flat)
    crops = [apply(upright(five_points(m), size, scale), m) for m in labels.meshes[known]]
    network.init_shape_model(torch.from_numpy(np.stack(crops)))
    return train(network, LandmarksTask(settings, labels, size, scale), settings)
