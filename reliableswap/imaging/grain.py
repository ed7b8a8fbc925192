"""Make a texture as sharp and as grainy as the photo that it goes into.

A sharp face in a soft photo looks pasted, and so does a soft face in a sharp photo. The finest octaves of the texture
are compared with the photo's: those that are too strong are scaled down. What is too weak, as in a source with few
pixels, cannot be invented; there the target's own skin lends its grain.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from .bands import three_channels

EQUAL_RATIO = 1.3  # octaves whose strengths differ by less than this ratio count as equal: faces vary
_FINEST = 0.7  # sigma in pixels of the blur that removes the finest octave; doubled for each further one
_COARSEST = 1 / 60  # face widths; coarser structure is the face itself
_MIN_GAIN = 0.15  # an octave is never scaled down further
_MIN_OCTAVES = 2
_MAX_GAIN = 1.6  # an octave is never scaled up further
_WHOLE = 4  # full-size pictures in Octaves.smooth
# Sigma of the blur after each halving, in the halved picture's pixels: it doubles too, less the blur of resizing.
_HALVED = float(np.sqrt((_FINEST * 2 ** (_WHOLE - 2)) ** 2 - 0.25))
_LUMA = (0.299, 0.587, 0.114)
_FROM_RGB = np.array([_LUMA, np.subtract((1, 0, 0), _LUMA), np.subtract((0, 0, 1), _LUMA)], np.float32)
_TO_RGB = np.linalg.inv(_FROM_RGB)
_GREY = np.ones((1, 1), np.float32)  # of a picture with a single channel
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
    if strength == 0 or np.count_nonzero(face > 0.5) < _MIN_PIXELS:
        return light
    ours, theirs = Octaves.of(light, face_width), Octaves.of(reference, face_width)
    ratio = (ours.strengths(face) / np.maximum(theirs.strengths(face), 1e-6))[:, 0]
    softened = np.where(
        ratio > EQUAL_RATIO, np.maximum(EQUAL_RATIO / np.maximum(ratio, 1e-6), _MIN_GAIN) - 1, 0
    )
    # The details of two faces are independent, so their variances add up.
    lent = np.sqrt(np.clip(1 - np.square(ratio * EQUAL_RATIO), 0, 1))
    if softened.any():
        light = light + strength * ours.weighted(softened[:, None, None])
    if lent.any():
        light = light + strength * skin * theirs.weighted(lent[:, None, None])
    return light


@dataclass(frozen=True, eq=False)
class Octaves:
    """The finest octaves of a picture; each is the difference of two neighbours in `smooth`.

    smooth: (h,w) or (h,w,C) float32 each, the picture itself and ever smoother versions of it. The first `_WHOLE` have
    its size, and every further one has half the size of the one before.
    """

    smooth: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, picture: np.ndarray, face_width: float) -> Octaves:
        """Compute the octaves of a picture (H,W) or (H,W,C)."""
        smooth = [np.asarray(picture, np.float32)]
        for number in range(_octave_count(face_width)):
            last = smooth[-1]
            if number + 1 < _WHOLE:
                smooth.append(cv2.GaussianBlur(last, (0, 0), _FINEST * 2.0**number))
                continue
            half = -(-last.shape[1] // 2), -(-last.shape[0] // 2)
            smaller = cv2.resize(last, half, interpolation=cv2.INTER_AREA)
            smooth.append(cv2.GaussianBlur(smaller, (0, 0), _HALVED))
        return cls(tuple(smooth))

    def strengths(self, face: np.ndarray, colours: np.ndarray = _GREY) -> np.ndarray:
        """(octaves,K) root mean squares over the face (H,W); colours (K,C): the mixtures of channels to measure."""
        found = []
        for one, smoother in pairwise(self.smooth):
            band = cv2.transform(one - _enlarged(smoother, one), colours)
            inside = cv2.resize(face.astype(np.float32), one.shape[1::-1], interpolation=cv2.INTER_AREA) > 0.5
            mean, deviation = cv2.meanStdDev(band, mask=inside.astype(np.uint8))
            found.append(np.hypot(mean, deviation)[:, 0])
        return np.array(found)

    def weighted(self, weights: np.ndarray) -> np.ndarray:
        """(H,W) or (H,W,C) float32 the sum of the octaves, each times its weights (octaves,C,C)."""
        around = np.concatenate([0 * weights[:1], weights, 0 * weights[:1]])
        total = np.zeros_like(self.smooth[-1])
        for one, weight in zip(self.smooth[::-1], np.diff(around, axis=0)[::-1], strict=True):
            total = _enlarged(total, one) + cv2.transform(one, weight.astype(np.float32))
        return total


def _enlarged(picture: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The picture enlarged to the size of another."""
    if picture.shape == other.shape:
        return picture
    return cv2.resize(picture, other.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def detail_change(
    picture: np.ndarray,
    reference: np.ndarray,
    lender: np.ndarray,
    face: np.ndarray,
    skin: np.ndarray,
    face_width: float,
) -> np.ndarray:
    """(H,W,3) float32 what to add to a picture to make its finest octaves as strong as the reference's over the face.

    picture, reference, lender: (H,W,3) RGB in 0..255. face, skin: masks (H,W). Tiny faces are left as they are.

    A warped face has lost fine detail; one that was rounded to 8 bits several times has more noise in its colours than
    a photo, whose file stores colours at half its size. Beyond `_MAX_GAIN`, noise would be amplified, so what is still
    missing is taken from the lender, in brightness and on the skin alone.
    """
    if np.count_nonzero(face > 0.5) < _MIN_PIXELS:
        return np.zeros(picture.shape, np.float32)
    ours, theirs = Octaves.of(picture, face_width), Octaves.of(reference, face_width)
    gains = theirs.strengths(face, _FROM_RGB) / np.maximum(ours.strengths(face, _FROM_RGB), 1e-3)
    limited = np.clip(gains, _MIN_GAIN, _MAX_GAIN)
    change = ours.weighted(_TO_RGB @ ((limited - 1)[..., None] * _FROM_RGB))
    # The details of two faces are independent, so their variances add up.
    missing = np.sqrt(np.clip(1 - np.square(limited[:, 0] / np.maximum(gains[:, 0], 1e-6)), 0, 1))
    if missing.any():
        lent = Octaves.of(lender, face_width)
        change += three_channels(skin) * lent.weighted(missing[:, None, None] * np.tile(_LUMA, (3, 1)))
    return change


def _octave_count(face_width: float) -> int:
    """How many octaves are finer than a face's features."""
    return max(_MIN_OCTAVES, 1 + int(np.log2(max(_COARSEST * face_width / _FINEST, 1))))
