"""Skin tone and light: the source's texture in the target's colours, in CIE Lab.

Two steps. `match` moves mean and deviation over the skin (Reinhard et al., 2001). `keep_light` then replaces what
varies slowly across the face (lamp, shade, flush) by the target's, counting only pixels that are skin in both, so
that a beard or a fringe neither brightens nor darkens what lies beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

# Skin of one person varies about as much as skin of another; a larger ratio is light or hair, not skin.
_GAIN_LIMITS = (0.8, 1.25)
_TINTED = 2.0  # chroma that any skin is taken to have, black and white or not
_SKIN_LIKE = 0.5  # of the skin's tint: what has as much is recoloured in full
_COLOURLESS = 4  # levels by which compression may tear a black and white photo's channels apart
_LUMA = (0.299, 0.587, 0.114)


def to_lab(rgb: np.ndarray) -> np.ndarray:
    """(H,W,3) RGB uint8, or float in 0..255 -> float32 Lab with L in 0..100."""
    return cv2.cvtColor(np.asarray(rgb, np.float32) * np.float32(1 / 255), cv2.COLOR_RGB2Lab)


def to_rgb(lab: np.ndarray) -> np.ndarray:
    """(H,W,3) Lab -> float32 RGB in 0..255."""
    return np.clip(cv2.cvtColor(np.asarray(lab, np.float32), cv2.COLOR_Lab2RGB), 0, 1) * np.float32(255)


def in_black_and_white_as(picture: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """(H,W,3) uint8 the picture, with the tint of the photo (H,W,3) alone if that has one tint and no colours."""
    step = 1 + int(np.sqrt(photo.shape[0] * photo.shape[1]) / 512)  # some of the pixels tell
    some = photo[::step, ::step].reshape(-1, 3)
    # Where a channel is clipped the tint is lost.
    some = some[(some.min(1) > 0) & (some.max(1) < 255)].astype(np.float32)
    if not len(some):
        return picture
    away = some - (some @ np.array(_LUMA, np.float32))[:, None]
    tint = np.median(away, 0)
    if np.mean(np.abs(away - tint).max(1) > _COLOURLESS) > 0.01:
        return picture
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return np.clip(np.rint(grey[..., None] + tint), 0, 255).astype(np.uint8)


def moments(lab: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(3,), (3,) the weighted mean and standard deviation over the pixels."""
    w = weight.reshape(-1).astype(np.float32)
    total = max(float(w.sum()), 1e-12)
    planes = [np.ravel(plane) for plane in cv2.split(lab)]
    mean = np.array([float(w @ plane) / total for plane in planes])
    # About the mean, so that float32 has digits left for the squares.
    squares = [float(w @ np.square(plane - np.float32(m))) for plane, m in zip(planes, mean, strict=True)]
    return mean, np.sqrt(np.maximum(np.array(squares) / total, 0.0))


def match(
    lab: np.ndarray,
    reference: np.ndarray,
    weight: np.ndarray,
    reference_weight: np.ndarray | None = None,
    strength: float = 1.0,
) -> np.ndarray:
    """(H,W,3) Lab with the reference's mean and deviation over the weighted pixels; unchanged at strength 0."""
    reference_weight = weight if reference_weight is None else reference_weight
    if weight.sum() < 1e-3 or reference_weight.sum() < 1e-3 or strength == 0:
        return lab
    mean, deviation = moments(lab, weight)
    wanted, spread = moments(reference, reference_weight)
    gain = 1 + strength * (np.clip(spread / np.maximum(deviation, 1e-3), *_GAIN_LIMITS) - 1)
    shift = mean + strength * (wanted - mean) - gain * mean
    # Hair and nostrils are too dark to take the skin's tint in full: chroma fades out with lightness.
    floor = max(float(mean[0] - 2.5 * deviation[0]), 1.0)
    planes = cv2.split(lab)
    moved = [plane * np.float32(k) + np.float32(d) for plane, k, d in zip(planes, gain, shift, strict=True)]
    share = np.clip(planes[0] * np.float32(1 / floor), 0, 1)
    shifts = [share * (new - own) for own, new in zip(planes[1:], moved[1:], strict=True)]
    return cv2.merge([moved[0], *_shifted(planes[1:], shifts, [*mean[1:].astype(np.float32)])])


def slow(pictures: Sequence[np.ndarray], weight: np.ndarray, sigma: float) -> list[np.ndarray]:
    """(H,W,3) float32 each: the weighted mean of the surroundings within `sigma` pixels, defined everywhere.

    Worked out on a small copy: it varies too slowly to need the pixels. Where no weight is near, wider and wider
    means take over.
    """
    height, width = weight.shape
    k = max(1.0, sigma / 3.0)
    size = (max(2, round(width / k)), max(2, round(height / k)))
    weighted = [cv2.merge([plane * weight for plane in cv2.split(picture)]) for picture in pictures]
    small = cv2.merge([cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in (*weighted, weight)])
    small = _pixel_blur(small, sigma / k)
    wider = _pixel_blur(small, 3 * sigma / k)
    whole = small.reshape(-1, small.shape[2]).mean(0)
    *planes, mass = cv2.split(small + 1e-2 * wider + (1e-4 * whole + 1e-9))
    inverse = 1 / mass
    means = (
        cv2.merge([plane * inverse for plane in planes[3 * n : 3 * n + 3]]) for n in range(len(pictures))
    )
    return [cv2.resize(mean, (width, height), interpolation=cv2.INTER_LINEAR) for mean in means]


def _pixel_blur(picture: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(picture, (0, 0), max(sigma, 0.3), borderType=cv2.BORDER_REPLICATE)


def keep_light(
    lab: np.ndarray, reference: np.ndarray, weight: np.ndarray, sigma: float, strength: float = 1.0
) -> np.ndarray:
    """(H,W,3) Lab whose slow part over the weighted pixels is the reference's; its detail scales with the light."""
    if weight.sum() < 1e-3 or strength == 0:
        return lab
    weight = weight.astype(np.float32)
    mine, wanted = map(cv2.split, slow([lab, reference], weight, sigma))
    light, *tint = cv2.split(lab)
    # Light multiplies what the skin reflects; L is close to a cube root of it, so a ratio stays a ratio.
    gain = np.clip(wanted[0] / np.maximum(mine[0], 1.0), 0.4, 2.5)
    share = np.clip(light / np.maximum(0.7 * mine[0], 1.0), 0, 1) * np.float32(strength)
    light = light + np.float32(strength) * (light * gain - light)
    shifts = [share * (b - a) for a, b in zip(mine[1:], wanted[1:], strict=True)]
    return cv2.merge([light, *_shifted(tint, shifts, mine[1:])])


def _shifted(
    tint: Sequence[np.ndarray], shifts: Sequence[np.ndarray], skin: Sequence[np.ndarray | float]
) -> list[np.ndarray]:
    """The planes a, b after shifts meant for skin of such a tint.

    Skin that loses its tint would turn what has none, hair and the wall behind a chin, into its opposite: blue.
    """
    length = np.maximum(np.square(skin[0]) + np.square(skin[1]), _TINTED**2)
    own, gained = ((one[0] * skin[0] + one[1] * skin[1]) / length for one in (tint, shifts))
    lost = np.maximum(-gained, 0)
    share = np.where(lost > 0, np.clip(own / np.maximum(lost, _SKIN_LIKE), 0, 1), 1).astype(np.float32)
    return [plane + share * shift for plane, shift in zip(tint, shifts, strict=True)]
