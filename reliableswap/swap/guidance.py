"""Guidance: the source's texture on the target's face, which a generator gets as an input."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from reliableswap.faces.visibility import Covers, find_glasses
from reliableswap.geometry import regions
from reliableswap.geometry.raster import rasterise
from reliableswap.geometry.topology import checked_mesh, checked_picture
from reliableswap.geometry.warp import open_lips, reenact
from reliableswap.imaging import colour
from reliableswap.models.layers import INVALID

_EYE_OPENING = 0.95  # fraction of the opening between the lids that is the target's
_LIGHT_REACH = 0.22  # of the face's width: slower changes of brightness count as light, which is the target's
_HARD_LIGHT = 0.05  # of the face's width: the scale at which hard light is limited
_FADE = 0.06  # of the face's width: the distance in which the texture fades to the outline
_LEAST_VALID = 0.02  # guidance with a lower validity is left out


def guidance_texture(
    source: np.ndarray,
    source_mesh: np.ndarray,
    target: np.ndarray,
    target_mesh: np.ndarray,
    covers: Covers,
    *,
    soft_light: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """(H,W,3) uint8 the source's texture on the target's mesh, in the target's light, and its validity (H,W) in 0..1.

    Both are zero where the source's photo does not show its skin, where something covers the source's face, and where
    the picture is always the target's: between lids and between lips.

    covers: what covers the source, strictly judged. soft_light: take the source's hard light away, which costs a little
    of its likeness.
    """
    source, target = checked_picture(source, "source"), checked_picture(target, "target")
    source_mesh, target_mesh = checked_mesh(source_mesh, "source"), checked_mesh(target_mesh, "target")
    toned, valid = np.zeros_like(target), np.zeros(target.shape[:2], np.float32)
    room = 0.08 * regions.face_width(target_mesh)  # local means need some surroundings
    where = regions.window(target_mesh, target.shape[:2], room)  # both are zero beside the mesh
    corner = np.array([where[1].start, where[0].start, 0], np.float32)
    toned[where], valid[where] = _in_window(
        source, source_mesh, target[where], target_mesh - corner, covers, soft_light
    )
    return toned, valid * _fading_outwards(target_mesh, target.shape[:2])


def _in_window(
    source: np.ndarray,
    source_mesh: np.ndarray,
    target: np.ndarray,
    target_mesh: np.ndarray,
    covers: Covers,
    soft_light: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """As guidance_texture, for a piece of the target that holds its mesh."""
    shape = target.shape[:2]
    seen_from = open_lips(source_mesh, target_mesh)
    texture = reenact(source, seen_from, target_mesh, rasterise(target_mesh, shape), covers.at)
    skin = texture.bare * (texture.validity > 0.9) * regions.skin(target_mesh, shape)
    base = colour.to_lab(target)
    lab = colour.match(colour.to_lab(texture.image), base, skin)
    width = regions.face_width(target_mesh)
    lab = colour.match_light(lab, base, skin, _LIGHT_REACH * width)
    if soft_light:
        lab = colour.limit_light(lab, base, skin, _HARD_LIGHT * width)
    own = np.maximum(regions.eyes(target_mesh, shape, _EYE_OPENING), regions.inner_mouth(target_mesh, shape))
    shown = ((own < 0.5) & (texture.validity > _LEAST_VALID)).astype(np.float32)
    toned = np.rint(colour.to_rgb(lab) * shown[..., None]).astype(np.uint8)
    return toned, texture.validity * shown


def _fading_outwards(mesh: np.ndarray, shape_hw: tuple[int, int]) -> np.ndarray:
    """(H,W) a factor on the texture's validity with which a layered generator's texture falls evenly to zero at the
    face's outline.

    The mesh ends on the forehead and at the temples, where nothing in a photo ends.
    """
    soft = regions.feathered(regions.oval(mesh, shape_hw), _FADE * regions.face_width(mesh))
    weight = np.clip(2 * soft - 1, np.exp(-INVALID), 1)
    return np.asarray(1 + np.log(weight) / INVALID, np.float32)


def carried_glasses(
    source: np.ndarray,
    source_mesh: np.ndarray,
    target_mesh: np.ndarray,
    shape_hw: tuple[int, int],
    glasses_net: Any,
) -> tuple[np.ndarray, np.ndarray]:
    """(H,W,3) uint8 the source's face on the target's mesh, and (H,W) in 0..1 where its glasses would be there."""
    worn = find_glasses(source, source_mesh, glasses_net)
    if not worn.any():
        return np.zeros((*shape_hw, 3), np.uint8), np.zeros(shape_hw, np.float32)
    places = rasterise(target_mesh, shape_hw).picture(source_mesh[:, :2], outside=-2)
    return cv2.remap(source, places, None, cv2.INTER_LINEAR), cv2.remap(worn, places, None, cv2.INTER_LINEAR)
