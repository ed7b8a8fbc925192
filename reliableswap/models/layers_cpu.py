"""`layers.compose` without gradients on the CPU, by OpenCV: about a third of the time, the same numbers.

torch enlarges maps and reads pictures along flows several times as slowly, and writing a temporary of every step takes
longer than computing it. Here each channel is a plane of its own, changed in place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

Planes = list[np.ndarray]  # (S,S) float32 each


def applies(*tensors: Tensor) -> bool:
    """Whether these are tensors on the CPU that nobody differentiates, traces or exports."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return False
    differentiated = torch.is_grad_enabled() and any(x.requires_grad for x in tensors)
    return not differentiated and all(type(x) is Tensor and x.device.type == "cpu" for x in tensors)


def compose(
    small: Tensor, target: Tensor, guidance: Tensor, invalid: float, fine: bool
) -> tuple[Tensor, Tensor]:
    """(B,3,S,S) the result, and (B,3,S,S) the weights.

    small: (B,18,s,s), ready to be enlarged: 3 scores, 4 flows in fractions of half a side, 3 gains and 3 biases of
    light, 2 shares of fine detail, 3 colours of the drawn picture. target: (B,3,S,S). guidance: (B,4,S,S).
    invalid: how far the texture's score falls where it is not valid. fine: whether the drawn picture borrows detail.
    """
    samples = zip(small, target, guidance, strict=True)
    images, weights = zip(*(_one(*sample, invalid, fine) for sample in samples), strict=True)
    return _batch(images), _batch(weights)


def _one(
    small: Tensor, target: Tensor, guidance: Tensor, invalid: float, fine: bool
) -> tuple[Tensor, Tensor]:
    """(3,S,S), (3,S,S) as `compose`, for one sample."""
    side = target.shape[-1]
    scores, flows, gains, biases, shares, drawn = _groups(small.float(), (3, 4, 3, 3, 2, 3), side)
    *texture, valid = cv2.split(_moved(guidance, flows[:2]))
    under = list(cv2.split(_moved(target, flows[2:])))
    for plane, gain, bias in zip(texture, gains, biases, strict=True):
        gain *= np.float32(0.5)
        gain += np.float32(1)
        plane *= gain
        cv2.scaleAdd(bias, 0.6, plane, plane)
        _limit(plane)
    weights = _weights(scores, valid, invalid)
    if fine:
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
    return torch.from_numpy(cv2.merge(made)).permute(2, 0, 1), torch.from_numpy(np.stack(weights))


def _batch(samples: Sequence[Tensor]) -> Tensor:
    """(B,C,S,S); a single sample is not copied."""
    return samples[0][None] if len(samples) == 1 else torch.stack(list(samples))


def _groups(maps: Tensor, sizes: Iterable[int], side: int) -> list[Planes]:
    """The maps' channels in groups of these sizes, each enlarged to (side,side)."""
    planes = iter(np.ascontiguousarray(maps.numpy()))
    return [[_enlarged(next(planes), side) for _ in range(size)] for size in sizes]


def _enlarged(plane: np.ndarray, side: int) -> np.ndarray:
    if plane.shape[0] == side:
        return plane.copy()
    return cv2.resize(plane, (side, side), interpolation=cv2.INTER_LINEAR)


def _coarse(plane: np.ndarray, side: int) -> np.ndarray:
    """(S,S) the plane as a picture of (side,side) shows it."""
    reduced = cv2.resize(plane, (side, side), interpolation=cv2.INTER_AREA)
    return _enlarged(reduced, plane.shape[0])


def _moved(picture: Tensor, flow: Planes) -> np.ndarray:
    """(S,S,C) a picture (C,S,S) read along a flow, which becomes positions."""
    side = picture.shape[-1]
    ramp = np.arange(side, dtype=np.float32)
    for plane, start in zip(flow, (ramp, ramp[:, None]), strict=True):
        plane *= np.float32(side / 2)
        plane += start
    pixels = picture.float().permute(1, 2, 0).numpy()
    if not pixels.flags.c_contiguous:
        pixels = cv2.merge([np.ascontiguousarray(plane) for plane in picture.float().numpy()])
    return cv2.remap(pixels, flow[0], flow[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _weights(scores: Planes, valid: np.ndarray, invalid: float) -> Planes:
    """Softmax of the scores; the first falls where the texture is not valid."""
    scores[0] += valid * np.float32(invalid)
    scores[0] -= np.float32(invalid)
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
