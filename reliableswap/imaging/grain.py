"""Sharpness and grain: the finest octaves of the texture made as strong as those of the photo it comes into.

A sharp face in a soft photo looks pasted, and so does a soft face in a sharp one. Too strong octaves are turned
down. Too weak ones, of a source with fewer pixels, can't be invented: the target's own skin lends its grain.
"""

from __future__ import annotations

import cv2
import numpy as np

_FINEST = 0.7  # blur in pixels that takes the finest octave away; each next one is twice as wide
_COARSEST = 1 / 60  # of the face's width: wider than that is the face itself
_SOFTEST = 0.15  # an octave is never turned down further
AS_SHARP = 1.3  # octaves this much stronger than the photo's are still called equal: faces differ


def match_detail(
    light: np.ndarray,
    reference: np.ndarray,
    face: np.ndarray,
    skin: np.ndarray,
    face_width: float,
    strength: float = 1.0,
    equal: float = AS_SHARP,
    least: int = 2,
) -> np.ndarray:
    """(H,W) the lightness as sharp as the reference over the face; what is missing is lent on the skin, masks (H,W).

    Sharpness is measured where lids, brows and lips are: every face has edges there, while smooth skin may be a
    young face as well as a soft photo. Octaves that differ by less than the ratio `equal` are left alone;
    there are as many of them as are finer than a face's features, and at `least` so many.
    """
    whole = face > 0.5
    if strength == 0 or np.count_nonzero(whole) < 64:
        return light
    out = light.copy()
    mine, theirs = light, reference
    octaves = max(least, 1 + int(np.log2(max(_COARSEST * face_width / _FINEST, 1))))
    for sigma in _FINEST * 2.0 ** np.arange(octaves):
        mine_next, theirs_next = (cv2.GaussianBlur(p, (0, 0), sigma) for p in (mine, theirs))
        own, lent = mine - mine_next, theirs - theirs_next
        ratio = _strength(own[whole]) / max(_strength(lent[whole]), 1e-6)
        if ratio > equal:
            out += strength * (max(equal / ratio, _SOFTEST) - 1) * own
        elif ratio < 1 / equal:
            # Details of two faces are independent, so it is their squares that add up.
            out += strength * float(np.sqrt(1 - (ratio * equal) ** 2)) * lent * skin
        mine, theirs = mine_next, theirs_next
    return out


def _strength(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
