"""How well held-out frames are rebuilt, and how other people's decoders draw them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from reliableswap.geometry import regions
from reliableswap.models.comb_autoencoder import CombAutoencoder

from .frames import Frames
from .losses import masked_mean, masked_ssim, psnr
from .warp import to_pictures

_BATCH = 8
_ROWS, _COLUMNS = 4, 6  # of the grid: frames per person, and pictures per frame
_SMALLEST = 64  # least side of a picture in the grid; smaller ones are enlarged


class Validation:
    """Fixed held-out frames; for people without any, training frames, which are used for the grid only."""

    def __init__(self, people: Sequence[Frames], count: int) -> None:
        self.people, self.count = list(people), count

    def figures(self, network: CombAutoencoder, side: int) -> dict[str, float]:
        """Return PSNR and SSIM of rebuilt held-out frames in the mask, and their mean error between the lips in grey
        levels: means over people, and each person's."""
        found: dict[str, list[float]] = {"psnr": [], "ssim": [], "mouth": []}
        each: dict[str, float] = {}
        for one in self.people:
            if not len(one.held_out):
                continue
            rows = _spread(one.held_out, self.count)
            truth, mask = self._frames(network, one, rows, side)
            made = self._made(network, truth, one.person)
            apart = (made.clamp(-1, 1) - truth).mean(1, keepdim=True).abs()
            values = {
                "psnr": float(psnr(made, truth, mask).mean()),
                "ssim": float(masked_ssim(made, truth, mask).mean()),
                "mouth": 127.5 * float(masked_mean(apart, self._mouths(one, rows, side).to(apart)).mean()),
            }
            for name, value in values.items():
                found[name].append(value)
                each[f"{name}_{one.person}"] = value
        return {name: float(np.mean(values)) for name, values in found.items() if values} | each

    def expression(
        self, network: CombAutoencoder, side: int, openings: Callable[[Tensor], Tensor]
    ) -> dict[str, float]:
        """opening: how closely the next person's decoder follows a frame's eyes and mouth; 0: exactly, 1: not at all.

        Differences between people are removed: openings are taken relative to their mean over the frames.
        """
        shares = []
        for one, other in zip(self.people, [*self.people[1:], *self.people[:1]], strict=True):
            if len(self.people) < 2 or min(self.count, len(one.held_out)) < 2:
                continue
            truth, mask = self._frames(network, one, _spread(one.held_out, self.count), side)
            made = truth + mask * (self._made(network, truth, other.person) - truth)
            wanted, drawn = (openings(pictures).float() for pictures in (truth, made))
            wanted, drawn = wanted - wanted.mean(0), drawn - drawn.mean(0)
            shares.append(float((drawn - wanted).abs().mean() / wanted.abs().mean().clamp(min=1e-6)))
        return {"opening": float(np.mean(shares))} if shares else {}

    def grid(self, network: CombAutoencoder, side: int) -> np.ndarray:
        """(H,W,3) uint8 rows of a frame, its rebuilt version, and the same frame drawn by the others' decoders."""
        rows = []
        names = [one.person for one in self.people]
        for one in self.people:
            chosen = one.held_out if len(one.held_out) else one.rows
            truth, _ = self._frames(network, one, _spread(chosen, _ROWS), side)
            order = [one.person, *(name for name in names if name != one.person)][: _COLUMNS - 1]
            columns = [truth, *(self._made(network, truth, name) for name in order)]
            rows.append(np.concatenate([_pixels(column) for column in columns], 2))
        picture = np.concatenate(list(np.concatenate(rows)), 0)
        times = max(1, _SMALLEST // side)
        return cv2.resize(picture, None, fx=times, fy=times, interpolation=cv2.INTER_NEAREST)

    def _frames(
        self, network: CombAutoencoder, one: Frames, rows: Sequence[int], side: int
    ) -> tuple[Tensor, Tensor]:
        """(N,3,side,side) in [-1,1], (N,1,side,side) in 0..1, on the network's device."""
        pixels, seen = (
            torch.from_numpy(arrays[np.array(rows)]).to(network.device)
            for arrays in (one.pictures, one.masks)
        )
        pictures, masks = to_pictures(pixels), seen.float()[:, None] / 255
        return F.adaptive_avg_pool2d(pictures, side), F.adaptive_avg_pool2d(masks, side)

    @staticmethod
    def _made(network: CombAutoencoder, pictures: Tensor, person: str) -> Tensor:
        return torch.cat([network(part, person).float() for part in pictures.split(_BATCH)])

    @staticmethod
    def _mouths(one: Frames, rows: Sequence[int], side: int) -> Tensor:
        """(N,1,side,side) in 0..1 the mask of what is between the lips."""
        shape = one.pictures[rows[0]].shape[:2]
        masks = np.stack([regions.inner_mouth(one.meshes[row], shape) for row in rows])
        return F.adaptive_avg_pool2d(torch.from_numpy(masks)[:, None], side)


def _spread(rows: np.ndarray, count: int) -> list[int]:
    """Return up to `count` of the rows, evenly spaced."""
    return [int(rows[i]) for i in np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int))]


def _pixels(pictures: Tensor) -> np.ndarray:
    """(N,3,S,S) in [-1,1] -> (N,S,S,3) uint8."""
    values = ((pictures + 1) * 127.5).round().clamp(0, 255)
    return values.permute(0, 2, 3, 1).cpu().numpy().astype(np.uint8)
