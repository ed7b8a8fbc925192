"""Corrupt guidance at random, so that the generator relies on the identity vector where the texture is bad.

Guidance is (4,S,S): the source's texture on the target's mesh in [-1,1], and its validity in [0,1].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property

import cv2
import numpy as np
import torch
from torch import Tensor

Rng = np.random.Generator


@dataclass(frozen=True)
class CorruptionRates:
    """The probability of each kind of corruption. A sample has one kind at most.

    missing: no texture at all; half: one half of the face missing, as for a profile; parts: some ellipses missing;
    occluded: an object over the source's face, taken for skin; blurred, coarse: a poor photo.
    """

    missing: float = 0.06
    half: float = 0.08
    parts: float = 0.08
    occluded: float = 0.1
    blurred: float = 0.06
    coarse: float = 0.06

    def scaled(self, factor: float) -> CorruptionRates:
        """Multiply all probabilities by the factor."""
        return CorruptionRates(*(factor * getattr(self, one.name) for one in fields(self)))

    def draw(self, rng: Rng) -> str:
        """Draw the name of a kind, or "" for none."""
        kinds, limits = self._cumulative
        place = int(np.searchsorted(limits, rng.random(), side="right"))
        return kinds[place] if place < len(kinds) else ""

    @cached_property
    def _cumulative(self) -> tuple[list[str], np.ndarray]:
        kinds = [one.name for one in fields(self)]
        return kinds, np.cumsum([getattr(self, kind) for kind in kinds])


def draw_corruption(kind: str, size: int, rng: Rng) -> dict[str, Tensor]:
    """Draw a corruption of that kind for guidance of that size. Return one of these tensors, for `corrupted`, by name:

    kept (S,S) float16: a factor on the validity. stained (4,S,S) float16: what lies over the texture in [-1,1], times
    its opacity, and one minus that opacity. softened (S,S): a matrix that every row and column is multiplied by.
    """
    if kind == "missing":
        return _as_float16(kept=np.zeros((size, size)))
    if kind == "half":
        return _as_float16(kept=_half_plane(size, rng))
    if kind == "parts":
        shapes = [_ellipse(size, rng) for _ in range(int(rng.integers(1, 4)))]
        return _as_float16(kept=np.max(shapes, 0) <= 0.5)
    if kind == "occluded":
        shape = _ellipse(size, rng)
        colour = _cloudy_colour(size, rng).transpose(2, 0, 1)
        return _as_float16(stained=np.concatenate([colour * shape, 1 - shape[None]]))
    points = np.eye(size, dtype=np.float32)
    if kind == "blurred":
        sigma = float(rng.uniform(0.8, 3.0)) * size / 128
        soft = cv2.GaussianBlur(points, (1, 2 * round(4 * sigma) + 1), sigma)
        return {"softened": torch.from_numpy(soft)}
    if kind == "coarse":
        small = max(8, int(size / rng.uniform(2.5, 7)))
        reduced = cv2.resize(points, (size, small), interpolation=cv2.INTER_AREA)
        return {
            "softened": torch.from_numpy(cv2.resize(reduced, (size, size), interpolation=cv2.INTER_LINEAR))
        }
    raise ValueError(f"unknown corruption {kind!r}")


def corrupted(guidance: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
    """Apply to guidance (B,4,S,S) the corruptions in a batch of `samples.collate`."""
    if not {"softened", "stained", "kept"} & batch.keys():
        return guidance
    texture, validity = guidance.split([3, 1], 1)
    if "softened" in batch:
        rows, matrix = batch["softened_rows"], batch["softened"][:, None]
        texture = texture.index_copy(0, rows, matrix @ texture.index_select(0, rows) @ matrix.mT)
    if "stained" in batch:
        rows, planes = batch["stained_rows"], batch["stained"].float()
        stained = texture.index_select(0, rows) * planes[:, 3:] + planes[:, :3]
        texture = texture.index_copy(0, rows, stained)
    if "kept" in batch:
        rows = batch["kept_rows"]
        validity = validity.index_copy(
            0, rows, validity.index_select(0, rows) * batch["kept"][:, None].float()
        )
    # Invalid texture is -1, as in guidance made from a photo.
    return torch.cat([torch.where(validity > 0, texture, -1.0), validity], 1)


def _as_float16(**planes: np.ndarray) -> dict[str, Tensor]:
    return {name: torch.from_numpy(plane.astype(np.float16)) for name, plane in planes.items()}


def _half_plane(size: int, rng: Rng) -> np.ndarray:
    """(S,S) 1 on one side of a slanted line near the middle, 0 on the other, with a soft edge."""
    x = np.arange(size, dtype=np.float32)[None] - size * rng.uniform(0.4, 0.6)
    x = x + np.arange(size, dtype=np.float32)[:, None] * rng.uniform(-0.2, 0.2)
    return np.asarray(np.clip(x * rng.choice([-1, 1]) / (0.03 * size) + 0.5, 0, 1), np.float32)


def _ellipse(size: int, rng: Rng) -> np.ndarray:
    """(S,S) a soft ellipse somewhere on the face."""
    shape = np.zeros((size, size), np.float32)
    centre = (rng.uniform(0.25, 0.75, 2) * size).astype(int).tolist()
    axes = (rng.uniform(0.06, 0.24, 2) * size).astype(int).tolist()
    cv2.ellipse(shape, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1.0, -1)
    return cv2.GaussianBlur(shape, (0, 0), size / 128)


def _cloudy_colour(size: int, rng: Rng) -> np.ndarray:
    """(S,S,3) in [-1,1] one colour, unevenly lit, as of hair, cloth, a hand or a microphone."""
    colour = rng.uniform(-0.9, 0.7, 3).astype(np.float32)
    noise = rng.normal(0, 1, (int(rng.integers(3, 12)), int(rng.integers(3, 12)), 1)).astype(np.float32)
    light = cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC)[..., None]
    return np.clip(colour + light * float(rng.uniform(0.02, 0.25)), -1, 1)
