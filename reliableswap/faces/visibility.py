"""Find what covers a face: hair, glasses and objects in front of it.

A VisibilityNet classifies every pixel (parts.py); without one, colour rules decide (by_colour.py). Glasses are too thin
for both, so a separate network finds them (glasses.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np

from reliableswap.geometry import regions

from . import glasses
from .beards import lower_shares
from .by_colour import Colours, covered_by_colour
from .by_parts import covered_by_parts, dark_pixels
from .looks import GLASSES, MOUTH
from .parts import Parts

_WORK = 64.0  # width in pixels that larger faces are reduced to before the search for covers
_WEARS = 0.3  # probability from which a face wears glasses; rimless ones score low
_AGREED = 0.67  # VisibilityNet's least mean probability where GlassesNet sees glasses; wrinkles and shadows have 0.6


@dataclass(frozen=True, eq=False)
class Covers:
    """What covers one face, on a reduced copy of its surroundings.

    maps: (h,w,2) in 0..1. `hidden`: something is in front of the face. `skin`: bare skin, not hair, beard or lips.
    Both are zero outside the face. A position p of the picture lies at (p + 0.5) * scale + shift on the maps.
    glasses: frames and dark lenses, also outside the face.
    by_network: a VisibilityNet found the covers; colour rules err too often for a generated face to give way to them.
    bearded: the probability of a beard; zero where colour rules found the covers.
    """

    maps: np.ndarray
    scale: float
    shift: np.ndarray
    glasses: glasses.Glasses
    by_network: bool = False
    bearded: float = 0.0

    def at(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(H,W), (H,W) `hidden` and `skin` at positions (H,W,2) of the picture."""
        hidden, skin = cv2.split(cv2.remap(self.maps, self._on_maps(positions), None, cv2.INTER_LINEAR))
        return hidden, skin

    def _on_maps(self, positions: np.ndarray) -> np.ndarray:
        k, (x, y) = self.scale, self.shift
        return cv2.transform(positions, np.array([[k, 0, x + 0.5 * k], [0, k, y + 0.5 * k]]))

    def on(self, shape_hw: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """(H,W), (H,W) `hidden` and `skin` of the whole picture."""
        k = self.scale
        matrix = np.array([[k, 0, self.shift[0] + 0.5 * k], [0, k, self.shift[1] + 0.5 * k]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        hidden, skin = cv2.split(cv2.warpAffine(self.maps, matrix, shape_hw[::-1], flags=flags))
        return hidden, skin


@dataclass(frozen=True)
class Decided:
    """What several pictures tell of a face. mouth: the log odds that the mouth is visible, as `scores` returns them."""

    glasses: bool
    mouth: float


def scores(picture: np.ndarray, mesh: np.ndarray, parts: Parts | None = None) -> tuple[float, float]:
    """Return the log odds that the face in a picture (H,W,3) uint8 wears glasses, and that its mouth is visible.

    parts: as for find_covers; if given, the mouth's score is not needed and 0.
    """
    piece, moved, *_ = _reduced(picture, mesh)
    return GLASSES.score(piece, moved), MOUTH.score(piece, moved) if parts is None else 0.0


def find_covers(
    picture: np.ndarray,
    mesh: np.ndarray,
    glasses_net: Any,
    strict: bool = False,
    decided: Decided | None = None,
    parts: Parts | None = None,
) -> Covers:
    """Find what is in front of the face in a picture (H,W,3) uint8; without a GlassesNet, glasses are not looked for.

    parts: what the face's pixels show, by find_parts; None: judge by colour.

    Set `strict` for a source: covers get a wider margin, because hair let through shows as a stain on the target.
    The mouth must then certainly be hidden to count as covered, because skin that is left out costs likeness.
    decided: replaces what this picture alone says about glasses and mouth.
    """
    (covers,) = _covers_of_each([strict], picture, mesh, glasses_net, decided, parts)
    return covers


def source_and_target_covers(
    picture: np.ndarray, mesh: np.ndarray, glasses_net: Any
) -> tuple[Covers, Covers]:
    """Run `find_covers` with and without `strict`, in little more than half the time of two calls."""
    source, target = _covers_of_each([True, False], picture, mesh, glasses_net, None, None)
    return source, target


def _covers_of_each(
    strictness: Sequence[bool],
    picture: np.ndarray,
    mesh: np.ndarray,
    glasses_net: Any,
    decided: Decided | None,
    parts: Parts | None,
) -> Iterator[Covers]:
    """Yield the covers for each strictness; see find_covers."""
    piece, moved, scale, corner = _reduced(picture, mesh)
    worn = glasses.NONE
    wears = decided.glasses if decided else glasses_net is not None and _wears_glasses(piece, moved)
    if glasses_net is not None and wears:
        # In the picture itself: frames are too thin for the reduced copy.
        worn = glasses.find(picture, mesh, glasses_net)
    there = worn.on(piece.shape[:2], scale, corner)
    judge: Callable[[bool], tuple[Any, ...]]
    if parts is not None:
        seen = parts.reduced(piece.shape[:2], scale, corner)
        if float((seen["glasses"] * there).sum()) < _AGREED * float(there.sum()):
            worn, there = glasses.NONE, np.zeros_like(there)
        judge = partial(covered_by_parts, seen, piece, moved, there)
    else:
        judge = partial(covered_by_colour, Colours(piece, moved, decided.mouth if decided else None), there)
    for strict in strictness:
        hidden, skin, *bearded = judge(strict)
        maps = np.dstack((hidden, skin)).astype(np.float32)
        yield Covers(maps, scale, corner - 0.5, worn, parts is not None, *bearded)


def find_lower_shares(picture: np.ndarray, mesh: np.ndarray, parts: Parts) -> np.ndarray:
    """(15,) the shares of hair, skin etc. on the lower face in a picture (H,W,3) uint8, as input for `beards`."""
    piece, moved, scale, corner = _reduced(picture, mesh)
    return lower_shares(parts.reduced(piece.shape[:2], scale, corner), dark_pixels(piece, moved), moved)


def find_glasses(picture: np.ndarray, mesh: np.ndarray, glasses_net: Any) -> np.ndarray:
    """(H,W) in 0..1: the glasses that the face in a picture (H,W,3) uint8 wears; zero without a GlassesNet."""
    piece, moved, *_ = _reduced(picture, mesh)
    if glasses_net is None or not _wears_glasses(piece, moved):
        return np.zeros(picture.shape[:2], np.float32)
    return glasses.find(picture, mesh, glasses_net).on(picture.shape[:2])


def _reduced(picture: np.ndarray, mesh: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, np.ndarray]:
    """Return the face's surroundings at the working size, the mesh in them, and the scale and shift to get there."""
    height, width = picture.shape[:2]
    pad = 0.06 * regions.face_width(mesh)
    x0, y0 = np.clip(np.floor(mesh[:, :2].min(0) - pad), 0, (width - 4, height - 4)).astype(int)
    x1, y1 = np.clip(np.ceil(mesh[:, :2].max(0) + pad), (x0 + 4, y0 + 4), (width, height)).astype(int)
    piece = picture[y0:y1, x0:x1]
    k = min(1.0, _WORK / regions.face_width(mesh))
    if k < 1:
        size = (max(4, round((x1 - x0) * k)), max(4, round((y1 - y0) * k)))
        piece = cv2.resize(piece, size, interpolation=cv2.INTER_AREA)
    moved = (mesh - np.array([x0 - 0.5, y0 - 0.5, 0])) * k - np.array([0.5, 0.5, 0])
    return piece, moved.astype(np.float32), k, -np.array([x0, y0]) * k


def _wears_glasses(picture: np.ndarray, mesh: np.ndarray) -> bool:
    return float(1 / (1 + np.exp(-GLASSES.score(picture, mesh)))) > _WEARS
