"""Warp a photo's texture from its own mesh onto another mesh."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np

from .ramps import rising
from .raster import Raster, rasterise
from .regions import away_from, mouth_opening
from .resampling import in_rows, interpolation_for, put, read_points, to_bytes
from .topology import checked_mesh, checked_picture, topology
from .trust import inside_lips, scale_between, trust

LIP_PULL = 0.45  # how far the lips' points move towards the outer ring to stay clear of the teeth
# The middle of the upper and lower lip, at their outer and inner edges.
_OUTER_LIPS, _INNER_LIPS = [0, 17], [13, 14]
FULLY_VALID = 0.9  # validity from which a pixel needs nothing from the face's other half
_COPIES, _MAX_COPIES = 8, 4  # reduced copies of a source per halving of its size, and how many are kept
# Fraction of the face that only its mirrored half shows, over which the halves come to meet softly.
_MIRRORED_ONLY = 0.15, 0.25
_TAKEOVER = 0.5, FULLY_VALID  # validity of the other half over which it takes over where the halves meet
_RESIDUAL = 2e-3  # factor on a half's validity where the other half has taken over

# Positions (H,W,2) in the source -> (H,W) in 0..1 where something covers its face, and (H,W) where its skin is bare.
CoversAt = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, eq=False)
class Texture:
    """image: (H,W,3) uint8. validity: (H,W) in 0..1. skin: (H,W) in 0..1, where the image shows bare skin."""

    image: np.ndarray
    validity: np.ndarray
    skin: np.ndarray


def reenact(
    source: np.ndarray | Copies,
    source_mesh: np.ndarray,
    target_mesh: np.ndarray,
    raster: Raster,
    covers_at: CoversAt | None = None,
    quick: bool = False,
    seam: float = 0.0,
) -> Texture:
    """Warp the source's texture onto the target's mesh, whose raster is given.

    What is covered, hidden or turned away in the source is taken from the mirrored half of its face where that shows
    it, and is not valid otherwise. quick: as for `resampling.interpolation_for`. seam: pixels of the target over which
    one half blends into the other beside what the source does not show, which shades its surroundings.
    """
    scale = scale_between(source_mesh, target_mesh)
    own, mirrored = trust(source_mesh, target_mesh)
    picture = source.at_scale(scale) if isinstance(source, Copies) else Sampler(source, scale)
    kernel = interpolation_for(raster.shape, quick)
    if not len(raster.pixels):
        empty = np.zeros(raster.shape, np.float32)
        return Texture(np.zeros((*raster.shape, 3), np.uint8), empty, empty)
    positions, validity, skin = _shown(raster, source_mesh, own, covers_at)
    image = picture.at(positions, kernel)
    if np.count_nonzero(validity < FULLY_VALID) > 0.01 * len(validity):
        away = _trusted_more(raster, validity, seam) if seam else np.ones_like(validity)
        lacking = np.flatnonzero(validity * away < 1)
        beside, before = raster.only(lacking), validity[lacking]
        positions, shown, skin_mirrored = _shown(beside, source_mesh[topology().mirror], mirrored, covers_at)
        other = picture.at(positions, kernel)
        gained = float((shown * (1 - before)).sum()) / len(validity)
        softly = float(rising(gained, _MIRRORED_ONLY))
        before = before * (1 + softly * rising(shown, _TAKEOVER) * (away[lacking] - 1))
        both = before + shown * (1 - before)
        share = before / np.maximum(both, 1e-6)
        mixed = image.take(lacking, axis=0).astype(np.float32) - other
        mixed *= share[:, None]
        mixed += other
        put(image[None], lacking, to_bytes(mixed))
        validity[lacking] = np.maximum(validity[lacking], both)
        skin[lacking] = skin_mirrored + share * (skin[lacking] - skin_mirrored)
    whole = np.zeros((*raster.shape, 3), np.uint8)
    put(whole, raster.pixels, image)
    return Texture(whole, raster.plane(validity), raster.plane(skin))


def _trusted_more(raster: Raster, validity: np.ndarray, seam: float) -> np.ndarray:
    """(N,) a factor on a validity (N,): nearly 0 where that is low, rising to 1 over the `seam` pixels around it."""
    low = raster.plane((validity < FULLY_VALID).astype(np.float32))
    # Keep a little for places that the other half does not show either.
    return np.maximum(away_from(low, seam).ravel()[raster.pixels], _RESIDUAL)


def _shown(
    raster: Raster, source_mesh: np.ndarray, trusted: np.ndarray, covers_at: CoversAt | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each pixel of the raster: where to sample the source (N,2), how far it shows the face there (N,), and how
    bare its skin is (N,)."""
    x, y, shown = raster.interpolate(np.column_stack([source_mesh[:, :2], trusted]))
    positions, shown = np.column_stack([x, y]), np.maximum(shown, 0)
    if covers_at is None:
        return positions, shown, np.ones_like(shown)
    hidden, skin = (plane.ravel()[: len(shown)] for plane in covers_at(in_rows(positions)))
    return positions, shown * (1 - hidden), skin


def warp_texture(
    source: np.ndarray, source_mesh: np.ndarray, target_mesh: np.ndarray, shape_hw: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """(H,W,3) uint8 the source's texture on the target's mesh, and its validity (H,W) float32 in 0..1.

    Both are zero outside the mesh. Validity falls to zero where neither half of the source's face shows the skin.
    """
    source = checked_picture(source, "source")
    source_mesh, target_mesh = checked_mesh(source_mesh, "source"), checked_mesh(target_mesh, "target")
    texture = reenact(source, source_mesh, target_mesh, rasterise(target_mesh, shape_hw))
    return texture.image, texture.validity


def open_lips(source_mesh: np.ndarray, target_mesh: np.ndarray) -> np.ndarray:
    """(468,3) the source's mesh to sample from, its lips pulled off the teeth if its mouth is open wider.

    A mesh errs by a pixel or two along the lips, and a row of teeth on a closed mouth shows at once. Points within
    the lips move towards the lips' outer ring, so that a little less of the lips fills the same place.
    """
    surplus = mouth_opening(source_mesh) - mouth_opening(target_mesh)
    share = LIP_PULL * float(np.clip(surplus / 0.1, 0, 1))
    if share == 0:
        return source_mesh
    inside, ring = inside_lips()
    moved = source_mesh.copy()
    moved[inside] += share * (source_mesh[ring] - source_mesh[inside])
    return moved


def lips_stretch(source_mesh: np.ndarray, target_mesh: np.ndarray) -> float:
    """The factor by which the source's lips get thicker on the target's mesh, as a smile's do on a closed mouth.

    What `open_lips` trims off them does not count.
    """
    meshes = source_mesh, target_mesh
    own, other = (np.linalg.norm(mesh[_OUTER_LIPS] - mesh[_INNER_LIPS], axis=1) for mesh in meshes)
    return float((other / np.maximum(own, 1e-3)).max()) * scale_between(source_mesh, target_mesh)


def mouth_width_ratio(source_mesh: np.ndarray, target_mesh: np.ndarray) -> float:
    """Ratio of the wider mouth's width to the other's: 1 if they are equal, more if one of them smiles."""
    own, other = (float(np.linalg.norm(mesh[61] - mesh[291])) for mesh in (source_mesh, target_mesh))
    ratio = max(own, 1e-3) / (max(other, 1e-3) * scale_between(source_mesh, target_mesh))
    return max(ratio, 1 / ratio)


class Sampler:
    """A picture (H,W,C) to sample at positions, reduced first if `scale` of its pixels fall into one."""

    def __init__(self, picture: np.ndarray, scale: float) -> None:
        self.picture = picture
        self.matrix: np.ndarray | None = None  # from the picture to its reduced copy
        if scale > 1.5:
            height, width = picture.shape[:2]
            size = (max(1, round(width / scale)), max(1, round(height / scale)))
            self.picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
            kx, ky = size[0] / width, size[1] / height
            self.matrix = np.array([[kx, 0, 0.5 * kx - 0.5], [0, ky, 0.5 * ky - 0.5]])

    def at(self, positions: np.ndarray, kernel: int) -> np.ndarray:
        """(N,C) the picture sampled at positions (N,2), in pixels of the picture before reduction."""
        if self.matrix is not None:
            positions = cv2.transform(positions[None], self.matrix)[0]
        return read_points(self.picture, positions, kernel)


@dataclass(eq=False)
class Copies:
    """A picture (H,W,C) that is sampled repeatedly at similar scales, such as a clip's source; keeps reduced copies.

    A copy is up to 9 % larger than `Sampler` would make it, so that the next frames can use it too.
    """

    picture: np.ndarray
    _kept: dict[int, Sampler] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def at_scale(self, scale: float) -> Sampler:
        """Return the picture for sampling where `scale` of its pixels fall into one."""
        if scale <= 1.5:
            return Sampler(self.picture, scale)
        step = math.floor(_COPIES * math.log2(scale))
        with self._lock:
            found = self._kept.get(step)
            if found is None:
                while len(self._kept) >= _MAX_COPIES:
                    self._kept.pop(next(iter(self._kept)))
                found = self._kept[step] = Sampler(self.picture, 2 ** (step / _COPIES))
            return found
