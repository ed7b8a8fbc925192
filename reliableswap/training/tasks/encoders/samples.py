"""Training samples of the encoders: windows of aligned crops, degraded and misaligned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from reliableswap.data.crops import CROP, Crops
from reliableswap.errors import ReliableSwapError
from reliableswap.imaging.degrade import Rng, degrade

from .settings import EncoderSettings

Window = tuple[slice, slice]
WHOLE: Window = (slice(0, CROP), slice(0, CROP))


def degraded_window(crop: np.ndarray, window: Window, rng: Rng, strength: float) -> np.ndarray:
    """(128,128,3) -> (h,w,3) the window as cut from a poor photo by an inexact detector; unchanged at strength 0.

    The bundled detector's five points are off by about 3 % of the eye distance (35 px here), or 1 px; the shift has a
    standard deviation of 1.5 px.
    """
    rows, columns = window
    if strength <= 0:
        return crop[window]
    turn = np.exp(1j * rng.normal(0, np.radians(3.0) * strength) + rng.normal(0, 0.04 * strength))
    middle = (CROP - 1) / 2 * (1 + 1j)
    x, y = rng.normal(0, 1.5 * strength, 2)
    shift = middle - turn * middle + x + 1j * y - (columns.start + 1j * rows.start)
    matrix = np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
    size = (columns.stop - columns.start, rows.stop - rows.start)
    image = cv2.warpAffine(crop, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    if rng.random() < 0.2 * strength:  # a distant face, down to 18 pixels across
        small = np.maximum(2, np.rint(np.array(size) * rng.uniform(0.16, 0.45))).astype(int)
        away = cv2.resize(image, small.tolist(), interpolation=cv2.INTER_AREA)
        image = cv2.resize(away, size, interpolation=cv2.INTER_LINEAR)
    return degrade(image, rng, strength)


@dataclass(frozen=True, eq=False)
class Pool:
    """Rows of crops to draw from. features (N,D) and labels (N,) are indexed by row of `crops`.

    A person is drawn in proportion to the square root of their number of photos: in collections of press photos, a few
    people have very many.
    """

    crops: Crops
    rows: np.ndarray
    features: np.ndarray | None = None
    labels: np.ndarray | None = None

    @cached_property
    def _cumulative(self) -> np.ndarray:
        _, owner, counts = np.unique(
            [self.crops.shown[i].person for i in self.rows], return_inverse=True, return_counts=True
        )
        sums = np.cumsum(1 / np.sqrt(counts[owner]))
        return np.asarray(sums / sums[-1])

    def draw(self, rng: Rng) -> int:
        """A random row."""
        return int(self.rows[np.searchsorted(self._cumulative, rng.random(), side="right")])


class Samples(Dataset[dict[str, Tensor]]):
    """Sample i: image (h,w,3) uint8, and the teacher's `features` (D,) of the clean crop and a `label` if the pool has
    them. It depends only on the seed and i.
    """

    def __init__(
        self, pools: Sequence[Pool], shares: Sequence[float], window: Window, settings: EncoderSettings
    ) -> None:
        if not pools or any(not len(pool.rows) for pool in pools):
            raise ReliableSwapError("there are no training crops; add photos of more people")
        self.pools, self.window = list(pools), window
        self.limits = np.cumsum(shares) / np.sum(shares)
        self.seed, self.strength, self.clean = settings.seed, settings.degradation, settings.clean_share

    def __len__(self) -> int:
        return 2**31

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([self.seed, 1, i])
        pool = self.pools[int(np.searchsorted(self.limits[:-1], rng.random(), side="right"))]
        row = pool.draw(rng)
        crop = pool.crops.pixels[row]
        if rng.random() < 0.5:
            crop = crop[:, ::-1]
        strength = 0.0 if rng.random() < self.clean else self.strength
        image = degraded_window(np.ascontiguousarray(crop), self.window, rng, strength)
        sample = {"image": torch.from_numpy(np.ascontiguousarray(image))}
        if pool.features is not None:
            sample["features"] = torch.from_numpy(pool.features[row])
        if pool.labels is not None:
            sample["label"] = torch.tensor(int(pool.labels[row]))
        return sample
