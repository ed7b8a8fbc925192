"""Augmentation of training samples. Target and ground truth get the same changes, so a triplet stays valid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from reliableswap.errors import ReliableSwapError
from reliableswap.geometry.topology import topology

from .aligned import AlignedFace

_IDENTITY = np.eye(3)
_GREY = np.tile([0.299, 0.587, 0.114], (3, 1))
_CROSS = np.cross(_IDENTITY, np.full(3, -1 / np.sqrt(3)))  # the product with the grey axis
_CROSS_TWICE = _CROSS @ _CROSS


@dataclass(frozen=True)
class Augmentation:
    """Limits of the changes. All but `flip` are drawn once for target and truth, and separately for the source.

    flip: probability that the whole sample is mirrored; brightness, contrast, saturation: as a share; hue: in degrees;
    light: probability of uneven light; occluded: probability that something is pasted in front of the face; occluders:
    folder of cut-outs for that, None: random shapes.
    """

    flip: float = 0.5
    brightness: float = 0.1
    contrast: float = 0.1
    saturation: float = 0.1
    hue: float = 4.0
    light: float = 0.0
    occluded: float = 0.0
    occluders: Path | None = None

    def __post_init__(self) -> None:
        for name in ("flip", "brightness", "contrast", "saturation", "light", "occluded"):
            if not 0 <= getattr(self, name) <= 1:
                raise ReliableSwapError(f"{name} is {getattr(self, name)}; choose a value from 0 to 1")


NONE = Augmentation(flip=0, brightness=0, contrast=0, saturation=0, hue=0)


@dataclass(frozen=True)
class Jitter:
    """One draw of colour changes, which can be applied to several pictures."""

    brightness: float
    contrast: float
    saturation: float
    hue: float

    @classmethod
    def draw(cls, limits: Augmentation, rng: np.random.Generator) -> Jitter:
        b, c, s, h = rng.uniform(-1, 1, 4)
        return cls(
            1 + b * limits.brightness, 1 + c * limits.contrast, 1 + s * limits.saturation, h * limits.hue
        )

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """(H,W,3) uint8 -> the same with other colours, by one linear map of RGB."""
        return cv2.transform(picture, self.map())

    def map(self) -> np.ndarray:
        """(3,4) the linear map of RGB in 0..255."""
        shift = 128 * (1 - self.contrast) * self.brightness
        return np.column_stack([self._matrix(), np.full(3, shift)])

    def _matrix(self) -> np.ndarray:
        """(3,3) brightness and contrast scale all; saturation scales the difference from grey, and hue rotates it."""
        # Rodrigues' rotation about the grey axis.
        angle = np.radians(self.hue)
        turn = _IDENTITY + np.sin(angle) * _CROSS + (1 - np.cos(angle)) * _CROSS_TWICE
        colour = _GREY + self.saturation * (_IDENTITY - _GREY)
        return np.asarray(self.brightness * self.contrast * colour @ turn)


def flipped(face: AlignedFace) -> AlignedFace:
    """Mirror a face; mesh points of the left half become those of the right half."""
    mesh = face.mesh[topology().mirror].copy()
    mesh[:, 0] = face.crop.shape[1] - 1 - mesh[:, 0]
    return AlignedFace(
        cv2.flip(face.crop, 1), mesh, stored_covers=face.stored_covers and face.stored_covers.flipped()
    )
