"""Uneven light for training pictures: a gradient of brightness, coloured light, a shadow with an edge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .degrade import Rng


@dataclass(frozen=True, eq=False)
class Light:
    """One random light, for pictures of any size: the factor at each pixel follows from its coordinates in [-1,1].

    slope: (2,3) log brightness per half side, by direction and channel. shadow: its direction in radians, its distance
    from the middle, the width of its edge, and how dark it is (0: none).
    """

    slope: np.ndarray
    shadow: tuple[float, float, float, float]

    @classmethod
    def draw(cls, rng: Rng) -> Light:
        slope = rng.normal(0, 0.22, (2, 1)) + rng.normal(0, 0.06, (2, 3))
        dark = float(rng.uniform(0.2, 0.65)) if rng.random() < 0.4 else 0.0
        edge = float(rng.uniform(0.02, 0.4))
        return cls(slope, (float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(-0.35, 0.35)), edge, dark))

    def numbers(self) -> np.ndarray:
        """(10,) the slope and the shadow; if all but the shadow's edge are zero, the light changes nothing."""
        return np.concatenate([self.slope.ravel(), self.shadow])

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """(S,S,3) uint8, the picture under this light."""
        size = picture.shape[0]
        x = (np.arange(size, dtype=np.float32) + 0.5) * (2 / size) - 1
        field = np.exp(x[None, :, None] * self.slope[0] + x[:, None, None] * self.slope[1])
        angle, distance, edge, dark = self.shadow
        if dark:
            across = x[None] * np.cos(angle) + x[:, None] * np.sin(angle) - distance
            field = field * (1 - dark * np.clip(across / edge + 0.5, 0, 1))[..., None]
        return np.asarray(np.clip(np.rint(picture * field), 0, 255), np.uint8)
