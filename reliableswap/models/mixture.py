"""A layered generator's output as a mixture of texture and target, with NumPy and OpenCV, without torch.

`layers.compose` applies the maps to crops. A swap instead samples texture and target once, at the photo's own size,
because every resampling loses fine detail. There the same result is

    texture * mixture.texture + target * mixture.target + mixture.rest,

whose factors and rest are smooth, so they can be computed on a small crop and enlarged.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from .layer_maps import CELLS, COLOURS, FLOWS, INVALID, REACH, SCORES, SIDE, TINT

LARGEST = 2 * SIDE  # side of the crop on which a mixture is computed if the photo shows more than 128 px

Planes = list[np.ndarray]  # (S,S) float32 each


@dataclass(frozen=True, eq=False)
class Mixture:
    """texture, target: (S,S) float32, factors on the pictures. rest: (S,S,3) float32, to be added, in levels of 255.

    flow: (2,128,128) float32, the texture's displacement field, x and y in fractions of half the crop's side.
    picture: (S,S,3) float32, the result at the crop's size.
    """

    texture: np.ndarray
    target: np.ndarray
    rest: np.ndarray
    flow: np.ndarray
    picture: np.ndarray

    def towards_texture(self, share: np.ndarray, change: np.ndarray) -> Mixture:
        """Return the mixture blended with the texture alone by a share (S,S); change: as for `mixture`.

        The picture stays, because expressions are read from it.
        """
        rest = self.rest + share[..., None] * (change - self.rest)
        texture, target = self.texture + share * (1 - self.texture), self.target * (1 - share)
        return replace(self, texture=texture, target=target, rest=rest)

    def with_texture_change(self, change: np.ndarray) -> Mixture:
        """Return the mixture with a change (S,S,3), in levels of 255, added to the texture where it shows."""
        added = self.texture[..., None] * change
        return replace(self, rest=self.rest + added, picture=self.picture + added)

    def towards_target(self, share: np.ndarray, seen: np.ndarray, shift: np.ndarray) -> Mixture:
        """Return the mixture blended by a share (S,S) with the target `seen` (S,S,3), its colours shifted by `shift`
        (3,)."""
        left, shift = 1 - share, shift.astype(np.float32)
        rest = left[..., None] * self.rest + share[..., None] * shift
        picture = left[..., None] * self.picture + share[..., None] * (seen + shift)
        return Mixture(self.texture * left, self.target * left + share, rest, self.flow, picture)


def mixture(
    drawn: np.ndarray,
    maps: np.ndarray,
    seen: np.ndarray,
    guidance: np.ndarray,
    change: np.ndarray,
    lean: float | None,
) -> Mixture:
    """Turn a network's output for a crop into a mixture for the photo.

    drawn: (3,128,128) in [-1,1], and maps: (CHANNELS,128,128), the network's output. seen: (S,S,3) uint8 the target.
    guidance: (4,S,S) the texture in the target's tone in [-1,1], and its validity. change: (S,S,3) in levels of 255,
    how the tone changed the texture. lean: how far the texture is preferred; None: the photo shows no more than 128 px,
    and no fine detail is added to the drawn picture.

    The maps' flow of the target is ignored: it is far less than a pixel.
    """
    side, large = seen.shape[0], lean is not None
    scores, flows, colours, fine = np.split(maps, np.cumsum((SCORES, FLOWS, COLOURS)))
    flow = np.float32(REACH) * np.tanh(flows[:2])
    texture, valid, changes = _moved(guidance, change, _planes(flow, side))
    plain = [toned - changed for toned, changed in zip(texture, changes, strict=True)]
    under, new = _levels(seen), [127.5 * plane + 127.5 for plane in _planes(drawn, side)]
    if not lean:  # a texture that is preferred keeps its light
        lit = _relit(texture, _light(colours, side))
        changes = [after - before for after, before in zip(lit, plain, strict=True)]
        texture = lit
    shown, kept, made = _weights(_planes(scores, side), valid, lean or 0.0)
    if large:
        of_texture, of_target = _planes(_sigmoid(fine), side)
        of_texture *= valid
        for n in range(3):
            new[n] -= of_texture * _coarse(texture[n]) + of_target * _coarse(under[n])
        kept = kept + made * of_target
        shown = shown + made * of_texture
    rest = [shown * moved + made * plane for moved, plane in zip(changes, new, strict=True)]
    picture = [shown * own + kept * other + more for own, other, more in zip(plain, under, rest, strict=True)]
    return Mixture(shown, kept, cv2.merge(rest), flow, cv2.merge(picture))


def reduced(pictures: np.ndarray) -> np.ndarray:
    """(B,C,S,S) -> (B,C,128,128), averaged."""
    if pictures.shape[-1] == SIDE:
        return pictures
    size = (SIDE, SIDE)
    small = [cv2.resize(_pixels(one), size, interpolation=cv2.INTER_AREA) for one in pictures]
    small = [one.reshape(SIDE, SIDE, -1) for one in small]  # OpenCV drops the axis of a single channel
    return np.ascontiguousarray(np.stack(small).transpose(0, 3, 1, 2))


def enlarged(plane: np.ndarray, side: int) -> np.ndarray:
    """(s,s) -> (side,side), bilinear."""
    if plane.shape[0] == side:
        return plane.copy()
    return cv2.resize(np.ascontiguousarray(plane), (side, side), interpolation=cv2.INTER_LINEAR)


def _moved(guidance: np.ndarray, change: np.ndarray, flow: Planes) -> tuple[Planes, np.ndarray, Planes]:
    """Return the texture in levels of 255, its validity, and the change, all warped by a flow, which is overwritten."""
    side = guidance.shape[-1]
    ramp = np.arange(side, dtype=np.float32)
    for plane, start in zip(flow, (ramp, ramp[:, None]), strict=True):
        plane *= np.float32(side / 2)
        plane += start
    pictures = (
        cv2.remap(picture, flow[0], flow[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for picture in (_pixels(guidance), change)
    )
    (*texture, valid), moved = map(cv2.split, pictures)
    return [127.5 * plane + 127.5 for plane in texture], valid, list(moved)


def _light(colours: np.ndarray, side: int) -> tuple[Planes, Planes]:
    """Return gain and bias of the relighting for each colour channel, as in layers.compose."""
    cells = [cv2.resize(plane, (CELLS, CELLS), interpolation=cv2.INTER_AREA) for plane in colours]
    smooth = np.tanh([enlarged(plane, colours.shape[-1]) for plane in cells])
    changes = []
    for change in np.split(smooth, 2):
        grey = change.mean(0, keepdims=True)
        changes.append(_planes(grey + np.float32(TINT) * (change - grey), side))
    gain, bias = changes
    return gain, bias


def _relit(texture: Planes, light: tuple[Planes, Planes]) -> Planes:
    """Relight the texture, clipped to valid colours."""
    lit = []
    for plane, gain, bias in zip(texture, *light, strict=True):
        lit.append(np.clip(127.5 + (plane - 127.5) * (1 + 0.5 * gain) + 76.5 * bias, 0, 255))
    return lit


def _weights(scores: Planes, valid: np.ndarray, lean: float) -> Planes:
    """Softmax of the scores, in place; the texture's score is lowered first where the texture is not valid."""
    scores[0] += valid * np.float32(INVALID)
    scores[0] += np.float32(lean - INVALID)
    highest = cv2.max(cv2.max(scores[0], scores[1]), scores[2])
    for plane in scores:
        plane -= highest
        cv2.exp(plane, plane)
    total = scores[0] + scores[1]
    total += scores[2]
    for plane in scores:
        plane /= total
    return scores


def _coarse(plane: np.ndarray) -> np.ndarray:
    """(S,S) the plane without the detail that 128 px cannot show."""
    small = cv2.resize(plane, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return enlarged(small, plane.shape[0])


def _planes(maps: np.ndarray, side: int) -> Planes:
    """Return the maps (C,s,s), each enlarged to (side,side)."""
    return [enlarged(plane, side) for plane in maps]


def _levels(picture: np.ndarray) -> Planes:
    return [plane.astype(np.float32) for plane in cv2.split(picture)]


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return np.asarray(0.5 + 0.5 * np.tanh(np.float32(0.5) * logits), np.float32)


def _pixels(picture: np.ndarray) -> np.ndarray:
    """(S,S,C) a picture (C,S,S) float32; one in channels-last memory is not copied."""
    pixels = picture.transpose(1, 2, 0)
    return pixels if pixels.flags.c_contiguous else cv2.merge([np.ascontiguousarray(one) for one in picture])
