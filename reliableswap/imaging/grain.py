"""Make a texture as sharp and as grainy as the photo that it goes into.

A sharp face in a soft photo looks pasted, and so does a soft face in a sharp photo. The finest octaves of the texture
are compared with the photo's: those that are too strong are scaled down. What is too weak, as in a source with few
pixels, cannot be invented; there the target's own skin lends its grain.
"""

from __future__ import annotations

import cv2
import numpy as np

EQUAL_RATIO = 1.3  # octaves whose strengths differ by less than this ratio count as equal: faces differ
_FINEST = (
    0.7  # sigma in pixels of the blur that removes the finest octave; it doubles for each further octave
)
_COARSEST = 1 / 60  # face widths; what is wider is the face itself
_MIN_GAIN = 0.15  # an octave is never scaled down further
_MIN_PIXELS = 64  # a smaller face says nothing about sharpness


def match_detail(
    light: np.ndarray,
    reference: np.ndarray,
    face: np.ndarray,
    skin: np.ndarray,
    face_width: float,
    strength: float = 1.0,
    equal: float = EQUAL_RATIO,
    least: int = 2,
) -> np.ndarray:
    """(H,W) the lightness as sharp as the reference (H,W) over the face; grain that it lacks is added on the skin.

    face, skin: masks (H,W). Sharpness is measured over the whole face, since every face has edges at lids, brows and
    lips, while smooth skin may mean a young face as well as a soft photo. Octaves whose strengths differ by less than
    the ratio `equal` are left alone. All octaves finer than a face's features are compared, at least `least` of them.
    """
    inside = face > 0.5
    if strength == 0 or np.count_nonzero(inside) < _MIN_PIXELS:
        return light
    out = light.copy()
    mine, theirs = light, reference
    octaves = max(least, 1 + int(np.log2(max(_COARSEST * face_width / _FINEST, 1))))
    for sigma in _FINEST * 2.0 ** np.arange(octaves):
        mine_next, theirs_next = (cv2.GaussianBlur(plane, (0, 0), sigma) for plane in (mine, theirs))
        own, lent = mine - mine_next, theirs - theirs_next
        ratio = _rms(own[inside]) / max(_rms(lent[inside]), 1e-6)
        if ratio > equal:
            out += strength * (max(equal / ratio, _MIN_GAIN) - 1) * own
        elif ratio < 1 / equal:
            # The details of two faces are independent, so their variances add up.
            out += strength * float(np.sqrt(1 - (ratio * equal) ** 2)) * lent * skin
        mine, theirs = mine_next, theirs_next
    return out


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
