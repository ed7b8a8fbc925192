"""Give a texture the skin tone and light of another photo, in CIE Lab.

`match` moves the mean and standard deviation over the skin (Reinhard et al., 2001). `match_light` then replaces what
varies slowly across the face (lamps, shade, flush) by the target's. Only pixels that are skin in both photos count, so
that a beard or a fringe neither brightens nor darkens what lies beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

# One person's skin varies about as much as another's; a larger ratio of deviations comes from light or hair.
DEVIATION_RATIOS = (0.8, 1.25)
LIGHT_RATIOS = (0.4, 2.5)
# Limits on how far local means may differ from another face's, at tolerance 1: log ratio of L, and units of a and b.
_LIGHT_LIMIT, _TINT_LIMIT = 0.07, 3.0
# Variation over a face's skin of light that is not hard: standard deviations of log L, a and b.
_EVEN = 0.12, 3.0, 3.0
# Squared slope of light that is not hard, in those deviations per sigma of the local means.
_EVEN_SLOPE = 1.25
# Ratios of light's squared slope to the other side's from which it begins to count as hard, and fully counts as hard.
_HARDER = 1.5, 2.2
_STEEP_REACH = 2.4  # sigma of the blur that averages squared slopes, in sigmas of the local means
MAX_DETAIL_GAIN = 1.2  # factor by which fine detail may grow with the light in large photos
MIN_CHROMA = 2.0  # least chroma assumed for skin, even in a black and white photo
# Fractions of skin's lightness and tint up to which a pixel is hair, and from which on it may be skin.
_SKIN_LIGHT, _SKIN_TINT = (0.5, 0.8), (0.5, 0.85)
# Standard deviations below the skin's L over which pixels come to count as dark as hair, and that range's least width.
_DARKER, _LEAST_DARKER = (1.0, 3.0), 4.0
_MAX_DARKENING = (
    8.0  # of L: how much darker hair may become than by the light alone, because real contrasts differ
)
SKIN_LIKE = 0.5  # fraction of the skin's tint from which pixels take a small shift in full
KEPT_TINT = 0.9  # least fraction that a pixel keeps of the tint that scaling would leave it
_MONOCHROME_NOISE = 4  # grey levels by which JPEG may separate the channels of a black and white photo
_MONOCHROME_OUTLIERS = 0.01  # fraction of pixels that may differ by more
_LUMA = (0.299, 0.587, 0.114)
_LUMINANCE = (0.2126, 0.7152, 0.0722)  # of linear sRGB
_GREY = 0.184  # linear light at which L is 50


def to_lab(rgb: np.ndarray) -> np.ndarray:
    """(H,W,3) RGB, uint8 or float in [0,255] -> float32 Lab, L in [0,100]."""
    return cv2.cvtColor(np.asarray(rgb, np.float32) * np.float32(1 / 255), cv2.COLOR_RGB2Lab)


def to_rgb(lab: np.ndarray) -> np.ndarray:
    """(H,W,3) Lab -> float32 RGB in [0,255]."""
    return np.clip(cv2.cvtColor(np.asarray(lab, np.float32), cv2.COLOR_Lab2RGB), 0, 1) * np.float32(255)


def match_monochrome(picture: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """(H,W,3) uint8 the picture in the single tint of the photo (H,W,3), such as sepia; unchanged for colour photos.

    A tint may change with the brightness, as that of a drawing on paper does.
    """
    side = np.sqrt(photo.shape[0] * photo.shape[1])
    step, few = 1 + int(side / 512), 8 + int(side / 32)
    if _tint_of(photo[::few, ::few], 5 * _MONOCHROME_OUTLIERS) is None:
        return picture  # a few pixels are enough to tell a colour photo
    tint = _tint_of(photo[::step, ::step], _MONOCHROME_OUTLIERS)
    if tint is None:
        return picture
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return np.clip(np.rint(grey[..., None] * (1 + tint[1]) + tint[0]), 0, 255).astype(np.uint8)


def _tint_of(photo: np.ndarray, outliers: float) -> np.ndarray | None:
    """(2,3) the single tint of a photo (H,W,3): its value at black, and what each grey level adds to that.

    None if more than a fraction `outliers` of the pixels have another tint.
    """
    sampled = photo.reshape(-1, 3)
    clipped = (sampled.min(1) == 0) | (sampled.max(1) == 255)  # clipping hides the tint
    sampled = sampled[~clipped].astype(np.float32)
    if not len(sampled):
        return None
    grey = sampled @ np.array(_LUMA, np.float32)
    difference = sampled - grey[:, None]
    tint = np.median(difference, 0)
    for line in (np.stack([tint, np.zeros(3)]), _line(grey, difference)):
        expected = line[0] + grey[:, None] * line[1]
        if np.mean(np.abs(difference - expected).max(1) > _MONOCHROME_NOISE) <= outliers:
            return line
    return None


def _line(grey: np.ndarray, difference: np.ndarray) -> np.ndarray:
    """(2,3) offsets and slopes of straight lines fitted to differences (N,3) over grey levels (N,)."""
    matrix = np.column_stack([np.ones_like(grey), grey])
    return np.asarray(np.linalg.lstsq(matrix, difference, rcond=None)[0], np.float32)


def moments(lab: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(3,), (3,) mean and standard deviation of a picture (H,W,3) with pixel weights (H,W)."""
    w = weight.reshape(-1).astype(np.float32)
    total = max(float(w.sum()), 1e-12)
    planes = [np.ravel(plane) for plane in cv2.split(lab)]
    mean = np.array([float(w @ plane) / total for plane in planes])
    # Squares about the mean: float32 would lose its precision otherwise.
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
    wanted_mean, wanted_deviation = moments(reference, reference_weight)
    ratio = np.clip(wanted_deviation / np.maximum(deviation, 1e-3), *DEVIATION_RATIOS)
    gain = 1 + strength * (ratio - 1)
    shift = mean + strength * (wanted_mean - mean) - gain * mean
    planes = cv2.split(lab)
    moved = [plane * np.float32(k) + np.float32(d) for plane, k, d in zip(planes, gain, shift, strict=True)]
    # Hair and nostrils are too dark for the skin's full tint, so the shift of a and b fades out with lightness.
    floor = max(float(mean[0] - 2.5 * deviation[0]), 1.0)
    share = np.clip(planes[0] * np.float32(1 / floor), 0, 1)
    shifts = [share * (new - own) for own, new in zip(planes[1:], moved[1:], strict=True)]
    return cv2.merge([moved[0], *_shift_tint(planes[1:], shifts, [*mean[1:].astype(np.float32)])])


def relight_dark(
    lab: np.ndarray, before: np.ndarray, reference: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """(H,W,3) Lab that was matched to a reference, its dark pixels brought back to their former ratio to the skin's L.

    Light multiplies, so a shift that suits the weighted skin (H,W) turns hair grey in brighter light and black in
    dimmer light. Pixels that the match has made darker may stay darker by up to `_MAX_DARKENING`.
    """
    if weight.sum() < 1e-3:
        return lab
    (mean, deviation), (wanted, _) = moments(before[..., :1], weight), moments(reference[..., :1], weight)
    light, *tint = cv2.split(lab)
    dark = before[..., 0]
    near, far = (float(mean[0] - times * deviation[0]) for times in _DARKER)
    share = np.clip((near - dark) / max(near - far, _LEAST_DARKER), 0, 1)
    step = dark * np.float32(wanted[0] / max(float(mean[0]), 1.0)) - light
    step = np.where(step > 0, np.maximum(step - _MAX_DARKENING, 0), step)
    return cv2.merge([np.asarray(light + share * step, np.float32), *tint])


def match_light(
    lab: np.ndarray,
    reference: np.ndarray,
    weight: np.ndarray,
    sigma: float,
    strength: float = 1.0,
    max_detail_gain: float = np.inf,
) -> np.ndarray:
    """(H,W,3) Lab with the reference's local means over the weighted pixels; detail is scaled with the light.

    sigma: pixels over which a mean is local. max_detail_gain: largest factor on detail, because dark areas are noisy.
    """
    if weight.sum() < 1e-3 or strength == 0:
        return lab
    weight = weight.astype(np.float32)
    own, wanted = map(cv2.split, local_means([lab, reference], weight, sigma))
    light, *tint = cv2.split(lab)
    # Light multiplies what skin reflects. L is close to a cube root of that, so a ratio of light is a ratio of L.
    gain = np.clip(wanted[0] / np.maximum(own[0], 1.0), *LIGHT_RATIOS)
    share = np.clip(light / np.maximum(0.7 * own[0], 1.0), 0, 1) * np.float32(strength)
    light = light + np.float32(strength) * (_lit(light, own[0], gain, max_detail_gain) - light)
    shifts = [share * (b - a) for a, b in zip(own[1:], wanted[1:], strict=True)]
    return cv2.merge([light, *_shift_tint(tint, shifts, own[1:])])


def even_light(
    lab: np.ndarray, reference: np.ndarray, weight: np.ndarray, mirror: np.ndarray, sigma: float
) -> np.ndarray:
    """(H,W,3) Lab with one-sided and high-contrast light removed.

    Both sides of a face look nearly the same, so a difference of local means from the reference's on one side only is
    light. Both sides are set to their mean, but a side on which alone light is steep, as at a shadow's edge, becomes
    like the other. What is left is reduced to the contrast of even light.

    mirror (h,w,2): for each pixel of a face the corresponding position on its other side, in pixels of a picture of
    that size; -2 outside the face. It may be smaller than `lab`: light is computed at its size. sigma: pixels of `lab`
    over which a mean is local.
    """
    if weight.sum() < 1e-3:
        return lab
    size = mirror.shape[1::-1]
    sigma *= size[0] / weight.shape[1]
    pictures = (lab, reference, weight.astype(np.float32))
    small, seen, weight = (cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in pictures)
    own, wanted = local_means([small, seen], weight, sigma)
    known = np.minimum(2 * _blurred(weight, sigma), 1)
    sharp = _sharp_means(small, own, weight, sigma)
    hard, hard_there = _hard_light(_differences(sharp, wanted), known, mirror, sigma)
    own += hard[..., None] * (sharp - own)
    off = _differences(own, wanted)
    *opposite, known_there = cv2.split(_at(mirror, cv2.merge([*off, known])))
    from_there = _blurred(known * known_there, sigma / 2) * (1 + hard - hard_there) / 2
    taken = []
    for one, other, most in zip(off, opposite, _EVEN, strict=True):
        sided = from_there * (one - other)
        mean, deviation = moments((one - sided)[..., None], weight)
        left = one - sided - np.float32(mean[0])
        taken.append(sided + known * left * np.float32(1 - min(1.0, most / max(deviation[0], 1e-6))))
    maps = cv2.merge([*taken, *cv2.split(own)]).astype(np.float32)
    maps = cv2.resize(maps, lab.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    brighter, *shifts = cv2.split(maps[..., :3])
    light, *tint = cv2.split(lab)
    means = cv2.split(maps[..., 3:])
    share = np.clip(light / np.maximum(0.7 * means[0], 1.0), 0, 1)
    light = _lit(light, means[0], np.exp(-brighter), MAX_DETAIL_GAIN)
    return cv2.merge([light, *_shift_tint(tint, [-share * shift for shift in shifts], means[1:])])


def _differences(own: np.ndarray, wanted: np.ndarray) -> list[np.ndarray]:
    """(H,W) each: the log of the ratio of L, and the differences of a and b, of two Lab pictures (H,W,3)."""
    (light, *tint), (wanted_light, *wanted_tint) = cv2.split(own), cv2.split(wanted)
    ratio = np.log(np.maximum(light, 1.0) / np.maximum(wanted_light, 1.0))
    return [ratio, *(a - b for a, b in zip(tint, wanted_tint, strict=True))]


def _at(places: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """The picture's values at positions (h,w,2); zero outside it."""
    return cv2.remap(picture, places, None, cv2.INTER_LINEAR)


def _sharp_means(lab: np.ndarray, means: np.ndarray, weight: np.ndarray, sigma: float) -> np.ndarray:
    """(H,W,3) local medians over the weighted pixels, which keep edges; `means` (H,W,3) fill in for the others."""
    lowest, scale = np.array([0, -64, -64], np.float32), np.array([2.55, 2, 2], np.float32)
    levels = (means + weight[..., None] * (lab - means) - lowest) * scale
    levels = cv2.medianBlur(np.clip(np.rint(levels), 0, 255).astype(np.uint8), 2 * round(0.6 * sigma) + 1)
    return _blurred(levels.astype(np.float32), 0.15 * sigma) / scale + lowest


def _hard_light(
    off: Sequence[np.ndarray], known: np.ndarray, mirror: np.ndarray, sigma: float
) -> tuple[np.ndarray, np.ndarray]:
    """(H,W), (H,W) in 0..1 how far light is hard at each pixel but not on the face's other side, and vice versa.

    off: planes (H,W) of how far light differs from the reference's. known (H,W): where that is known. mirror, sigma: as
    for `even_light`.
    """
    steep = np.zeros_like(known)
    for plane, even in zip(off, _EVEN, strict=True):
        for x, y in ((1, 0), (0, 1)):
            slope = cv2.Sobel(plane, cv2.CV_32F, x, y, ksize=3, scale=sigma / (8 * even))
            steep += known * np.square(slope)
    reach = _STEEP_REACH * sigma
    steep = _blurred(steep, reach) / np.maximum(_blurred(known, reach), 0.05)
    times = np.log((steep + _EVEN_SLOPE) / (_at(mirror, steep) + _EVEN_SLOPE))
    first, last = np.log(_HARDER)
    shares = (np.clip((t - first) / (last - first), 0, 1) for t in (times, -times))
    here, there = (t * t * (3 - 2 * t) for t in shares)
    return here.astype(np.float32), there.astype(np.float32)


def limit_light(
    lab: np.ndarray, reference: np.ndarray, weight: np.ndarray, sigma: float, tolerance: np.ndarray
) -> np.ndarray:
    """(H,W,3) Lab whose local means over the weighted pixels are within limits of the reference's.

    sigma: pixels over which a mean is local. tolerance (H,W): a factor on the limits; where it is 0, the means become
    equal.
    """
    if weight.sum() < 1e-3:
        return lab
    own, wanted = map(cv2.split, local_means([lab, reference], weight.astype(np.float32), sigma))
    light, *tint = cv2.split(lab)
    ratio = np.log(np.maximum(own[0], 1.0) / np.maximum(wanted[0], 1.0))
    share = np.clip(light / np.maximum(0.7 * own[0], 1.0), 0, 1)
    light = _lit(light, own[0], np.exp(-_beyond(ratio, _LIGHT_LIMIT * tolerance)), MAX_DETAIL_GAIN)
    shifts = [
        -share * _beyond(a - b, _TINT_LIMIT * tolerance) for a, b in zip(own[1:], wanted[1:], strict=True)
    ]
    return cv2.merge([light, *_shift_tint(tint, shifts, own[1:])])


def skin_likeness(lab: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(H,W) in 0..1, how far pixels have the lightness and tint of the weighted ones (H,W), which are skin.

    A stubbly cheek scores high, a beard low. In a black and white photo, lightness alone decides.
    """
    if weight.sum() < 1e-3:
        return np.zeros(weight.shape, np.float32)
    light, a, b = cv2.split(lab)
    mean, _ = moments(lab, weight)
    (dark, bright), (pale, full) = _SKIN_LIGHT, _SKIN_TINT
    share = np.clip((light / max(mean[0], 1.0) - dark) / (bright - dark), 0, 1)
    length = mean[1] ** 2 + mean[2] ** 2
    if length > MIN_CHROMA**2:
        tinted = np.clip(((a * mean[1] + b * mean[2]) / length - pale) / (full - pale), 0, 1)
        share = share * tinted * tinted * (3 - 2 * tinted)
    return np.asarray(share, np.float32)


def limit_chroma(lab: np.ndarray, before: np.ndarray, weight: np.ndarray, cast: float = 0.0) -> np.ndarray:
    """(H,W,3) Lab whose weighted pixels (H,W) are no more colourful, for their lightness, than they were before.

    Skin's tint turns dark hair red. cast: from `warmth`; light tints hair by that much, too.
    """
    (light, *tint), (dark, *own) = cv2.split(lab), cv2.split(before)
    most = (cv2.magnitude(*own) + np.float32(MIN_CHROMA)) * np.maximum(light / np.maximum(dark, 1.0), 1.0)
    most = np.maximum(most, np.float32(cast) * light)
    share = np.minimum(most / np.maximum(cv2.magnitude(*tint), 1e-3), 1.0)
    factor = (1 + weight * (share - 1)).astype(np.float32)
    return cv2.merge([light, *(plane * factor for plane in tint)])


def warmth(lab: np.ndarray, reference: np.ndarray, weight: np.ndarray) -> float:
    """The chroma, as a fraction of L, that an object which is grey in this picture's light has in the reference's.

    Light is estimated from the mean colour of the weighted pixels (H,W), which are skin in both pictures. Only chroma
    along the tint of the reference's skin counts.
    """
    if weight.sum() < 1e-3:
        return 0.0
    means = [moments(one, weight)[0] for one in (lab, reference)]
    lights = (cv2.cvtColor(mean[None, None].astype(np.float32), cv2.COLOR_Lab2LRGB)[0, 0] for mean in means)
    own, wanted = (np.maximum(light, 1e-3) for light in lights)
    gain = wanted / own
    grey = gain * np.float32(_GREY / float(gain @ np.array(_LUMINANCE)))
    grey = cv2.cvtColor(np.minimum(grey, 1).astype(np.float32)[None, None], cv2.COLOR_LRGB2Lab)[0, 0]
    tint = means[1][1:]
    return max(0.0, float(grey[1:] @ tint) / max(float(np.linalg.norm(tint)) * float(grey[0]), 1e-3))


def _lit(light: np.ndarray, mean: np.ndarray, gain: np.ndarray, max_detail_gain: float) -> np.ndarray:
    """(H,W) L times a gain, which is at most `max_detail_gain` for detail about the local mean."""
    most = np.minimum(gain, np.float32(max_detail_gain))
    return np.asarray(light * most + mean * (gain - most), np.float32)


def _beyond(values: np.ndarray, limit: np.ndarray | float) -> np.ndarray:
    """How far values lie beyond -limit or limit; zero between them."""
    return np.asarray(values - np.clip(values, -limit, limit))


def local_means(pictures: Sequence[np.ndarray], weight: np.ndarray, sigma: float) -> list[np.ndarray]:
    """(H,W,3) float32 each: the pictures' weighted means within about `sigma` pixels of every pixel.

    Where no weight is near, the means of wider and wider surroundings are used. Computed on a reduced copy, because
    the means are smooth.
    """
    height, width = weight.shape
    k = max(1.0, sigma / 3.0)
    size = (max(2, round(width / k)), max(2, round(height / k)))
    weighted = [cv2.merge([plane * weight for plane in cv2.split(picture)]) for picture in pictures]
    small = cv2.merge([cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in (*weighted, weight)])
    small = _blurred(small, sigma / k)
    wider = _blurred(small, 3 * sigma / k)
    everywhere = small.reshape(-1, small.shape[2]).mean(0)
    *planes, mass = cv2.split(small + 1e-2 * wider + (1e-4 * everywhere + 1e-9))
    inverse = 1 / mass
    means = (
        cv2.merge([plane * inverse for plane in planes[3 * n : 3 * n + 3]]) for n in range(len(pictures))
    )
    return [cv2.resize(mean, (width, height), interpolation=cv2.INTER_LINEAR) for mean in means]


def _blurred(picture: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(picture, (0, 0), max(sigma, 0.3), borderType=cv2.BORDER_REPLICATE)


def _shift_tint(
    tint: Sequence[np.ndarray], shifts: Sequence[np.ndarray], skin: Sequence[np.ndarray | float]
) -> list[np.ndarray]:
    """(H,W), (H,W) the planes a and b after shifts that are meant for skin of the given tint.

    A shift that takes tint away from skin would turn untinted pixels, such as hair or a wall behind the chin, blue, and
    shaded skin, which has less tint, grey. So pixels take the shift only as far as they have the skin's tint, and keep
    a part of what scaling would leave them.
    """
    length = np.maximum(np.square(skin[0]) + np.square(skin[1]), MIN_CHROMA**2)
    own, gained = ((a * skin[0] + b * skin[1]) / length for a, b in (tint, shifts))
    lost = np.maximum(-gained, 0)
    kept = 1 - KEPT_TINT * np.maximum(1 - lost, 0)
    most = np.minimum(kept / np.maximum(lost, 1e-3), 1 / SKIN_LIKE)
    share = np.where(lost > 0, np.clip(own * most, 0, 1), 1).astype(np.float32)
    return [plane + share * shift for plane, shift in zip(tint, shifts, strict=True)]
