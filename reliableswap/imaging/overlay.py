"""Something in front of any picture: the light that it adds, and how much of what is behind it stays visible."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Overlay:
    """A picture becomes picture * keep + add. add: (H,W,3) in 0..255. keep: (H,W) in 0..1. opacity: (H,W) in 0..1,
    where the object itself is; its shadow is in `keep` only.
    """

    add: np.ndarray
    keep: np.ndarray
    opacity: np.ndarray

    def over(self, picture: np.ndarray) -> np.ndarray:
        """(H,W,3) uint8, the picture with this in front."""
        return np.clip(np.rint(picture * self.keep[..., None] + self.add), 0, 255).astype(np.uint8)

    def planes(self) -> np.ndarray:
        """(5,H,W) float16: add, keep and opacity."""
        return np.concatenate([self.add.transpose(2, 0, 1), self.keep[None], self.opacity[None]]).astype(
            np.float16
        )
