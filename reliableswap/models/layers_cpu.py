"""Layers by NumPy and OpenCV: a layered generator's answer without gradients, on the CPU, and without torch.

`compose` takes about a third of the time of `layers.compose`, for the same numbers: torch enlarges maps and reads
pictures along flows several times as slowly, and writing a temporary of every step takes longer than computing it. Here
each channel is a plane of its own, changed in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import cv2
import numpy as np

from .layer_maps import CELLS, COLOURS, FINE, FLOWS, INVALID, REACH, SCORES, SIDE, TINT

Planes = list[np.ndarray]  # (S,S) float32 each
# Target, identity and guidance at 128 px -> the drawn picture, the layers' maps, the mask's logits.
Maps = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]


def layered(
    maps: Maps, target: np.ndarray, identity: np.ndarray, guidance: np.ndarray, lean: float
) -> tuple[np.ndarray, np.ndarray]:
    """(B,3,S,S), (B,D), (B,4,S,S) -> image (B,3,S,S) and mask (B,1,S,S): `LightGenerator.layered` for arrays.

    maps: runs the network, on inputs of 128 px. lean: how far the texture is preferred where the photo is larger.
    """
    side = target.shape[-1]
    made, answer, logits = maps(reduced(target), identity, reduced(guidance))
    small = _ready(made, answer, lean if side > SIDE else 0.0)
    image, _ = compose(small, target, guidance)
    mask = np.stack([[_sigmoid(_enlarged(plane, side)) for plane in one] for one in logits])
    return image, mask


def compose(small: np.ndarray, target: np.ndarray, guidance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(B,3,S,S) the result, and (B,3,S,S) the weights.

    small: (B,18,s,s), ready to be enlarged: 3 scores, 4 flows in fractions of half a side, 3 gains and 3 biases of
    light, 2 shares of fine detail, 3 colours of the drawn picture. target: (B,3,S,S). guidance: (B,4,S,S).
    The drawn picture borrows detail where it is enlarged.
    """
    samples = zip(small, target, guidance, strict=True)
    images, weights = zip(*(_one(*sample) for sample in samples), strict=True)
    return _batch(images), _batch(weights)


def _one(small: np.ndarray, target: np.ndarray, guidance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(3,S,S), (3,S,S) as `compose`, for one sample."""
    side = target.shape[-1]
    parts = np.split(np.ascontiguousarray(small), np.cumsum((SCORES, FLOWS, COLOURS, FINE)))
    scores, flows, shares, drawn = (_planes(parts[n], side) for n in (0, 1, 3, 4))
    *texture, valid = cv2.split(_moved(guidance, flows[:2]))
    under = list(cv2.split(_moved(target, flows[2:])))
    if parts[2].any():  # a texture that is leant towards keeps its light
        light = _planes(parts[2], side)
        for plane, gain, bias in zip(texture, light[:3], light[3:], strict=True):
            gain *= np.float32(0.5)
            gain += np.float32(1)
            plane *= gain
            cv2.scaleAdd(bias, 0.6, plane, plane)
            _limit(plane)
    weights = _weights(scores, valid)
    if side > SIDE:
        cv2.multiply(shares[0], valid, shares[0])
        for share, pictures in zip(shares, (texture, under), strict=True):
            for plane, picture in zip(drawn, pictures, strict=True):
                detail = cv2.subtract(picture, _coarse(picture, small.shape[-1]))
                detail *= share
                plane += detail
    for plane in drawn:
        _limit(plane)
    made = []
    for own, other, new in zip(texture, under, drawn, strict=True):
        own *= weights[0]
        other *= weights[1]
        new *= weights[2]
        own += other
        own += new
        made.append(own)
    return cv2.merge(made).transpose(2, 0, 1), np.stack(weights)


def _ready(made: np.ndarray, answer: np.ndarray, lean: float) -> np.ndarray:
    """(B,18,128,128) what `compose` takes, of the network's answer: the drawn picture (B,3,128,128) and maps."""
    ends = np.cumsum((SCORES, FLOWS, COLOURS))
    scores, flows, colours, fine = np.split(answer, ends, axis=1)
    if lean:  # as layers.leaning
        scores = scores.copy()
        scores[:, 0] += np.float32(lean)
        colours = np.zeros_like(colours)
    else:
        colours = np.tanh([[_enlarged(_cells(plane), answer.shape[-1]) for plane in one] for one in colours])
    changes = []
    for change in np.split(colours, 2, axis=1):
        grey = change.mean(1, keepdims=True)
        changes.append(grey + np.float32(TINT) * (change - grey))
    return np.concatenate([scores, np.float32(REACH) * np.tanh(flows), *changes, _sigmoid(fine), made], 1)


def _cells(plane: np.ndarray) -> np.ndarray:
    return cv2.resize(np.ascontiguousarray(plane), (CELLS, CELLS), interpolation=cv2.INTER_AREA)


def reduced(pictures: np.ndarray) -> np.ndarray:
    """(B,C,S,S) -> (B,C,128,128), averaged."""
    if pictures.shape[-1] == SIDE:
        return pictures
    size = (SIDE, SIDE)
    small = [cv2.resize(_pixels(one), size, interpolation=cv2.INTER_AREA) for one in pictures]
    small = [one.reshape(SIDE, SIDE, -1) for one in small]  # OpenCV drops the axis of a single channel
    return np.ascontiguousarray(np.stack(small).transpose(0, 3, 1, 2))


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return np.asarray(0.5 + 0.5 * np.tanh(np.float32(0.5) * logits), np.float32)


def _batch(samples: Iterable[np.ndarray]) -> np.ndarray:
    """(B,C,S,S); a single sample is not copied."""
    first, *rest = samples
    return np.stack([first, *rest]) if rest else first[None]


def _planes(maps: np.ndarray, side: int) -> Planes:
    """The maps (C,s,s), each enlarged to (side,side)."""
    return [_enlarged(plane, side) for plane in maps]


def _enlarged(plane: np.ndarray, side: int) -> np.ndarray:
    if plane.shape[0] == side:
        return plane.copy()
    return cv2.resize(np.ascontiguousarray(plane), (side, side), interpolation=cv2.INTER_LINEAR)


def _coarse(plane: np.ndarray, side: int) -> np.ndarray:
    """(S,S) the plane as a picture of (side,side) shows it."""
    reduced = cv2.resize(plane, (side, side), interpolation=cv2.INTER_AREA)
    return _enlarged(reduced, plane.shape[0])


def _moved(picture: np.ndarray, flow: Planes) -> np.ndarray:
    """(S,S,C) a picture (C,S,S) read along a flow, which becomes positions."""
    side = picture.shape[-1]
    ramp = np.arange(side, dtype=np.float32)
    for plane, start in zip(flow, (ramp, ramp[:, None]), strict=True):
        plane *= np.float32(side / 2)
        plane += start
    return cv2.remap(_pixels(picture), flow[0], flow[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _pixels(picture: np.ndarray) -> np.ndarray:
    """(S,S,C) a picture (C,S,S) float32; one in channels-last memory is not copied."""
    pixels = picture.transpose(1, 2, 0)
    return pixels if pixels.flags.c_contiguous else cv2.merge([np.ascontiguousarray(one) for one in picture])


def _weights(scores: Planes, valid: np.ndarray) -> Planes:
    """Softmax of the scores; the first falls where the texture is not valid."""
    scores[0] += valid * np.float32(INVALID)
    scores[0] -= np.float32(INVALID)
    highest = cv2.max(cv2.max(scores[0], scores[1]), scores[2])
    for plane in scores:
        plane -= highest
        cv2.exp(plane, plane)
    total = scores[0] + scores[1]
    total += scores[2]
    for plane in scores:
        plane /= total
    return scores


def _limit(plane: np.ndarray) -> None:
    np.clip(plane, -1, 1, out=plane)
