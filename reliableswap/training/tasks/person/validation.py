"""How well held-out frames are rebuilt, and what the others' decoders make of them."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from reliableswap.models.comb_autoencoder import CombAutoencoder

from .frames import Frames
from .losses import masked_ssim, psnr
from .warp import to_pictures

_BATCH = 8
_ROWS, _COLUMNS = 4, 6  # of the grid: frames of a person, and pictures of a frame
_SMALLEST = 64  # pixels of a picture in the grid


class Validation:
    """Fixed frames: held-out ones, or where there are none, frames of the training for the grid alone."""

    def __init__(self, people: Sequence[Frames], count: int) -> None:
        self.people, self.count = list(people), count

    def figures(self, network: CombAutoencoder, side: int) -> dict[str, float]:
        """PSNR and SSIM of rebuilt held-out frames in the mask: means over people, and of each."""
        found: dict[str, list[float]] = {"psnr": [], "ssim": []}
        each: dict[str, float] = {}
        for one in self.people:
            if not len(one.held_out):
                continue
            truth, mask = self._frames(one, _spread(one.held_out, self.count), side)
            made = self._made(network, truth, one.person)
            values = {
                "psnr": float(psnr(made, truth, mask).mean()),
                "ssim": float(masked_ssim(made, truth, mask).mean()),
            }
            for name, value in values.items():
                found[name].append(value)
                each[f"{name}_{one.person}"] = value
        return {name: float(np.mean(values)) for name, values in found.items() if values} | each

    def grid(self, network: CombAutoencoder, side: int) -> np.ndarray:
        """(H,W,3) uint8 rows of a frame, its rebuilt version, and the same frame by the others' decoders."""
        rows = []
        names = [one.person for one in self.people]
        for one in self.people:
            chosen = one.held_out if len(one.held_out) else one.rows
            truth, _ = self._frames(one, _spread(chosen, _ROWS), side)
            order = [one.person, *(name for name in names if name != one.person)][: _COLUMNS - 1]
            columns = [truth, *(self._made(network, truth, name) for name in order)]
            rows.append(np.concatenate([_pixels(column) for column in columns], 2))
        picture = np.concatenate(list(np.concatenate(rows)), 0)
        times = max(1, _SMALLEST // side)
        return cv2.resize(picture, None, fx=times, fy=times, interpolation=cv2.INTER_NEAREST)

    def _frames(self, one: Frames, rows: Sequence[int], side: int) -> tuple[Tensor, Tensor]:
        """(N,3,side,side) in [-1,1], (N,1,side,side) in 0..1."""
        pictures = to_pictures(torch.from_numpy(np.stack([one.pictures[row] for row in rows])))
        masks = torch.from_numpy(np.stack([one.masks[row] for row in rows])).float()[:, None] / 255
        return F.adaptive_avg_pool2d(pictures, side), F.adaptive_avg_pool2d(masks, side)

    @staticmethod
    def _made(network: CombAutoencoder, pictures: Tensor, person: str) -> Tensor:
        parts = [network(part.to(network.device), person).float().cpu() for part in pictures.split(_BATCH)]
        return torch.cat(parts)


def _spread(rows: np.ndarray, count: int) -> list[int]:
    """Up to `count` of the rows, evenly spread."""
    return [int(rows[i]) for i in np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int))]


def _pixels(pictures: Tensor) -> np.ndarray:
    """(N,3,S,S) in [-1,1] -> (N,S,S,3) uint8."""
    values = ((pictures + 1) * 127.5).round().clamp(0, 255)
    return values.permute(0, 2, 3, 1).numpy().astype(np.uint8)
