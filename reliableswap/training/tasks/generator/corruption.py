"""Corrupt guidance at random, so that the generator relies on the identity vector where the texture is bad.

Guidance is (4,S,S): the source's texture on the target's mesh in [-1,1], and its validity in [0,1].
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import cv2
import numpy as np

Rng = np.random.Generator


@dataclass(frozen=True)
class CorruptionRates:
    """The probability of each kind of corruption; otherwise a sample's guidance stays as it is.

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
        """All probabilities times the factor."""
        return CorruptionRates(*(factor * getattr(self, one.name) for one in fields(self)))

    def draw(self, rng: Rng) -> str:
        """The name of a kind, or "" for none."""
        kinds = [one.name for one in fields(self)]
        chances = np.cumsum([getattr(self, kind) for kind in kinds])
        place = int(np.searchsorted(chances, rng.random(), side="right"))
        return kinds[place] if place < len(kinds) else ""


def corrupt_guidance(guidance: np.ndarray, kind: str, rng: Rng) -> np.ndarray:
    """(4,S,S) float32 -> a corrupted copy."""
    texture, validity = guidance[:3].transpose(1, 2, 0).copy(), guidance[3].copy()
    size = validity.shape[0]
    if kind == "missing":
        validity[:] = 0
    elif kind == "half":
        validity *= _half_plane(size, rng)
    elif kind == "parts":
        for _ in range(int(rng.integers(1, 4))):
            validity[_ellipse(size, rng) > 0.5] = 0
    elif kind == "occluded":
        shape = _ellipse(size, rng)[..., None]
        texture += (_cloudy_colour(size, rng) - texture) * shape
    elif kind == "blurred":
        texture = cv2.GaussianBlur(texture, (0, 0), float(rng.uniform(0.8, 3.0)) * size / 128)
    elif kind == "coarse":
        small = max(8, int(size / rng.uniform(2.5, 7)))
        tiny = cv2.resize(texture, (small, small), interpolation=cv2.INTER_AREA)
        texture = cv2.resize(tiny, (size, size), interpolation=cv2.INTER_LINEAR)
    else:
        raise ValueError(f"unknown corruption {kind!r}")
    # Invalid texture is -1, as in guidance made from a photo.
    texture = texture * (validity > 0)[..., None] - (validity <= 0)[..., None]
    return np.concatenate([texture.transpose(2, 0, 1), validity[None]]).astype(np.float32)


def _half_plane(size: int, rng: Rng) -> np.ndarray:
    """(S,S) one on one side of a slanted line near the middle, zero on the other, with a soft edge."""
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
    """(S,S,3) in [-1,1] one colour, unevenly lit: hair, cloth, a hand, a microphone."""
    colour = rng.uniform(-0.9, 0.7, 3).astype(np.float32)
    noise = rng.normal(0, 1, (int(rng.integers(3, 12)), int(rng.integers(3, 12)), 1)).astype(np.float32)
    light = cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC)[..., None]
    return np.clip(colour + light * float(rng.uniform(0.02, 0.25)), -1, 1)
