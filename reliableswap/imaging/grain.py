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
_LEAST_OCTAVES = 2
_MOST_GAIN = 1.6  # an octave is never scaled up further
_LUMA = (0.299, 0.587, 0.114)
_FROM_RGB = np.array([_LUMA, np.subtract((1, 0, 0), _LUMA), np.subtract((0, 0, 1), _LUMA)], np.float32)
_TO_RGB = np.linalg.inv(_FROM_RGB)
_MIN_PIXELS = 64  # a smaller face says nothing about sharpness


def match_detail(
    light: np.ndarray,
    reference: np.ndarray,
    face: np.ndarray,
    skin: np.ndarray,
    face_width: float,
    strength: float = 1.0,
) -> np.ndarray:
    """(H,W) the lightness as sharp as the reference (H,W) over the face; grain that it lacks is added on the skin.

    face, skin: masks (H,W). Sharpness is measured over the whole face, since every face has edges at lids, brows and
    lips, while smooth skin may mean a young face as well as a soft photo. Octaves whose strengths differ by less than
    `EQUAL_RATIO` are left alone.
    """
    inside = face > 0.5
    if strength == 0 or np.count_nonzero(inside) < _MIN_PIXELS:
        return light
    out = light.copy()
    mine, theirs = light, reference
    for sigma in _FINEST * 2.0 ** np.arange(_octave_count(face_width)):
        mine_next, theirs_next = (cv2.GaussianBlur(plane, (0, 0), sigma) for plane in (mine, theirs))
        own, lent = mine - mine_next, theirs - theirs_next
        ratio = _rms(own[inside]) / max(_rms(lent[inside]), 1e-6)
        if ratio > EQUAL_RATIO:
            out += strength * (max(EQUAL_RATIO / ratio, _MIN_GAIN) - 1) * own
        elif ratio < 1 / EQUAL_RATIO:
            # The details of two faces are independent, so their variances add up.
            out += strength * float(np.sqrt(1 - (ratio * EQUAL_RATIO) ** 2)) * lent * skin
        mine, theirs = mine_next, theirs_next
    return out


def band_gains(picture: np.ndarray, reference: np.ndarray, face: np.ndarray, face_width: float) -> np.ndarray:
    """(octaves,3) how much stronger the reference's octaves are than the picture's over the face, finest first: of
    brightness and of the two colours. One where the face is too small to say.

    picture, reference: (H,W,3) float32 RGB in 0..255. face: a mask (H,W).
    """
    inside = face > 0.5
    if np.count_nonzero(inside) < _MIN_PIXELS:
        return np.ones((1, 3))
    gains = []
    for mine, theirs in zip(*(_octaves(one, face_width) for one in (picture, reference)), strict=True):
        own, wanted = (np.sqrt(np.square(band[inside]).mean(0)) for band in (mine, theirs))
        gains.append(wanted / np.maximum(own, 1e-3))
    return np.array(gains)


def scaled_bands(
    picture: np.ndarray, reference: np.ndarray, gains: np.ndarray, skin: np.ndarray, face_width: float
) -> np.ndarray:
    """(H,W,3) float32 what to add to a picture to make its finest octaves stronger by `gains`, see band_gains.

    A warped face has lost fine detail; one that was rounded to 8 bits several times has more noise in its colours than
    a photo, whose file keeps colours at half its size. Beyond `_MOST_GAIN` noise would be amplified: what is still
    missing then is lent by the reference, in brightness and on the skin (H,W) alone.
    """
    change = np.zeros_like(picture)
    lent = np.zeros(picture.shape[:2], np.float32)
    limited = np.clip(gains, _MIN_GAIN, _MOST_GAIN)
    # The details of two faces are independent, so their variances add up.
    missing = np.sqrt(np.clip(1 - np.square(limited[:, 0] / gains[:, 0]), 0, 1))
    for number, band in enumerate(_octaves(picture, face_width, len(gains))):
        change += (limited[number] - 1).astype(np.float32) * band
    if missing.any():
        for share, band in zip(missing, _octaves(reference, face_width, len(gains)), strict=True):
            lent += np.float32(share) * band[..., 0]
    change[..., 0] += lent * skin
    return np.asarray(cv2.transform(change, _TO_RGB), np.float32)


def _octaves(picture: np.ndarray, face_width: float, count: int | None = None) -> list[np.ndarray]:
    """The finest octaves (H,W,3) of brightness, and of red and blue less it."""
    rest = cv2.transform(picture, _FROM_RGB)
    count = count or _octave_count(face_width)
    found = []
    for sigma in _FINEST * 2.0 ** np.arange(count):
        smooth = cv2.GaussianBlur(rest, (0, 0), sigma)
        found.append(rest - smooth)
        rest = smooth
    return found


def _octave_count(face_width: float) -> int:
    """How many octaves are finer than a face's features."""
    return max(_LEAST_OCTAVES, 1 + int(np.log2(max(_COARSEST * face_width / _FINEST, 1))))


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
