"""The blend engine: the source's real texture, reenacted on the target's face and blended into its photo.

goal mesh      the target's pose and expression, part of the way to the source's proportions   reshape
reshaped       the target's photo drawn onto the goal mesh                                      reshape
texture        the source's photo on the goal mesh, with what it does not show                  warp
recoloured     the texture in the target's skin tone and light                                  colour
mask           skin, less what is the target's own: gaze, inner mouth, hair and glasses         regions, occlusion
blended        both, band by band                                                               bands
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from reliableswap.faces.visibility import Covers, find_covers
from reliableswap.geometry import regions
from reliableswap.geometry.raster import rasterise
from reliableswap.geometry.shape import STILL, displacement, origins, reshape, shaped_mesh
from reliableswap.geometry.topology import checked_mesh, checked_picture
from reliableswap.geometry.warp import open_lips, reenact
from reliableswap.imaging import bands, colour
from reliableswap.imaging.grain import match_detail

from .settings import SwapSettings

_EYES = 0.85  # what lies between the lids is the target's: its gaze. Lids and lashes are the person's
_LEAK = 0.05  # coarse bands may change this share of the face's width beyond the mask


@dataclass(frozen=True, eq=False)
class BlendResult:
    """image (H,W,3) uint8; mask (H,W) float32, zero where the photo is untouched; mesh (468,3): where its face is now;
    shown 0..1: the share of the face that the source's photo shows."""

    image: np.ndarray
    mask: np.ndarray
    mesh: np.ndarray
    shown: float
    _steps: Callable[[], dict[str, np.ndarray]] = dict

    @cached_property
    def steps(self) -> dict[str, np.ndarray]:
        """Pictures (H,W,3) and maps (H,W) of the photo's size by name, drawn when they are asked for."""
        return self._steps()


@dataclass(frozen=True, eq=False)
class _Swap:
    """The piece of the photo around the face: image (h,w,3) and mask (h,w), and what its steps are drawn from."""

    image: np.ndarray
    mask: np.ndarray
    shown: float
    steps: Callable[[], dict[str, np.ndarray]]


def blend_face(
    target: np.ndarray,
    target_mesh: np.ndarray,
    source: np.ndarray,
    source_mesh: np.ndarray,
    settings: SwapSettings | None = None,
    source_covers: Covers | None = None,
    target_covers: Covers | None = None,
) -> BlendResult:
    """(H,W,3) the target's photo with the source's face; meshes (468,3) in their own pictures' pixels.

    `source_covers` is find_covers(source, source_mesh, strict=True) and `target_covers` find_covers(target,
    target_mesh), for callers who use one photo many times.
    """
    settings = settings or SwapSettings()
    target, source = checked_picture(target, "target"), checked_picture(source, "source")
    target_mesh, source_mesh = checked_mesh(target_mesh, "target"), checked_mesh(source_mesh, "source")
    shape = target.shape[:2]
    if settings.likeness == 0:
        return BlendResult(target.copy(), np.zeros(shape, np.float32), target_mesh, 0.0)

    width = regions.face_width(target_mesh)
    goal = shaped_mesh(target_mesh, source_mesh, settings.shape * settings.likeness)
    move = displacement(target_mesh, goal, shape)
    reshaped = reshape(target, move)
    window = regions.window(goal, shape, (0.5 * settings.feather + _LEAK) * width)
    corner = np.array([window[1].start, window[0].start, 0], np.float32)
    ours = target_covers or find_covers(target, target_mesh)
    seen_at = origins(move, window)
    hidden, bare = ours.at(seen_at)
    front = hidden - (1 - settings.glasses) * np.minimum(hidden, ours.glasses.at(seen_at))
    theirs = source_covers or find_covers(source, source_mesh, strict=True)
    swap = _swap(
        reshaped[window], goal - corner, source, source_mesh, width, settings, (front, hidden, bare), theirs
    )

    image = reshaped.copy()
    image[window] = swap.image
    moved = np.maximum(np.abs(move[..., 0]), np.abs(move[..., 1]))
    mask = np.where(moved < STILL, 0, np.minimum(moved, 1)).astype(np.float32)
    mask[window] = np.maximum(mask[window], swap.mask)
    image = cv2.copyTo(target, (mask == 0).astype(np.uint8), image)

    def steps() -> dict[str, np.ndarray]:
        placed = {name: _placed(step, window, shape) for name, step in swap.steps().items()}
        return {**placed, "reshaped": reshaped, "blended": image}

    return BlendResult(image, mask, goal, swap.shown, steps)


def _swap(
    under: np.ndarray,
    goal: np.ndarray,
    source: np.ndarray,
    source_mesh: np.ndarray,
    width: float,
    settings: SwapSettings,
    ours: tuple[np.ndarray, np.ndarray, np.ndarray],
    theirs: Covers,
) -> _Swap:
    """(h,w,3) the piece of the reshaped photo around the face, with the source's face on the goal mesh in it."""
    shape, (front, hidden, bare) = under.shape[:2], ours
    texture = reenact(
        source,
        open_lips(source_mesh, goal),
        goal,
        rasterise(goal, shape),
        theirs.at,
    )

    skin = np.minimum(texture.bare, bare) * (texture.validity > 0.9)
    base, lab = colour.to_lab(under), colour.to_lab(texture.image)
    lab = colour.match(lab, base, skin, strength=settings.colour)
    lab = colour.keep_light(lab, base, skin, settings.light_reach * width, settings.light)
    shared = (texture.validity > 0.9) * (hidden < 0.1)
    lab[..., 0] = match_detail(lab[..., 0], base[..., 0], shared, skin, width, settings.detail)
    recoloured = colour.to_rgb(lab)

    own = np.maximum(regions.eyes(goal, shape, _EYES), regions.inner_mouth(goal, shape))
    free = 1 - regions.soft(own, 0.008 * width)
    oval = regions.oval(goal, shape)
    shown = float(texture.validity[oval > 0].sum() / max(np.count_nonzero(oval), 1))
    alpha = _inside(oval, width, settings) * free * texture.validity * (1 - front) * settings.likeness
    valid = bands.in_colour(np.minimum(texture.validity * 4, 1))
    below = under.astype(np.float32)
    octaves = round(np.log2(max(settings.band_reach * width, 1)))
    over = below + valid * (recoloured - below)
    blended = bands.blend_bands(over, below, alpha.astype(np.float32), octaves)
    # The coarse bands run on past the mask; they may, a little way.
    reach = np.clip(4 * regions.soft(alpha, _LEAK / 2.5 * width), 0, 1)
    mask = np.where(reach < 1 / 64, 0, np.clip(np.maximum(reach * free, alpha), 0, 1)).astype(np.float32)
    blended = below + bands.in_colour(mask) * (blended - below)

    def steps() -> dict[str, np.ndarray]:
        return {
            "texture": texture.image,
            "validity": texture.validity,
            "reenacted": np.rint(below + valid * (texture.image - below)).astype(np.uint8),
            "recoloured": np.rint(over).astype(np.uint8),
        }

    return _Swap(np.clip(np.rint(blended), 0, 255).astype(np.uint8), mask, shown, steps)


def _placed(step: np.ndarray, window: tuple[slice, slice], shape: tuple[int, int]) -> np.ndarray:
    """(H,W) or (H,W,3) a step's piece in its place in the photo."""
    out = np.zeros((*shape, *step.shape[2:]), step.dtype)
    out[window] = step
    return out


def _inside(oval: np.ndarray, width: float, settings: SwapSettings) -> np.ndarray:
    """(H,W) one well inside the outline, falling softly to zero before it."""
    inside = regions.shrunk(oval, (settings.margin + settings.feather) * width)
    return regions.soft(inside, settings.feather * width)
