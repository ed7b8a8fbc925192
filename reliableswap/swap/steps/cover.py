"""How opaque a generator's mask makes its face."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

_DECISION = 3.0  # power of the mask's odds


def cover_of(mask: np.ndarray) -> np.ndarray:
    """(S,S) in 0..1, the opacity of the generated face, from the generator's mask (S,S)."""
    return _faded(_decided(mask))


def _decided(mask: np.ndarray) -> np.ndarray:
    """(S,S) the mask with odds to the power of `_DECISION`.

    The mask is the probability that the face is in front. As an opacity it would let the target's skin show through a
    source's beard, of which the generator is not quite certain.
    """
    face, other = mask**_DECISION, (1 - mask) ** _DECISION
    return face / np.maximum(face + other, 1e-6)


def _faded(mask: np.ndarray) -> np.ndarray:
    """(S,S) the mask, faded out at the crop's edge so that the crop's square never shows."""
    return mask * _inside(mask.shape[0])


@lru_cache(maxsize=8)
def _inside(size: int) -> np.ndarray:
    """(S,S) one inside a square crop, zero at its edge."""
    border = size // 16
    side = np.zeros((1, size), np.float32)
    side[:, border:-border] = 1
    side = cv2.GaussianBlur(side, (0, 0), border / 2)  # a blurred square is the product of its blurred sides
    return np.clip(side.T * side * 2 - 1, 0, 1)
