"""Guidance: what a generator is told of the source's looks, as a texture on the target's face."""

from __future__ import annotations

import cv2
import numpy as np

from reliableswap.faces.visibility import find_covers, find_glasses
from reliableswap.geometry import regions
from reliableswap.geometry.raster import rasterise
from reliableswap.geometry.topology import checked_mesh, checked_picture
from reliableswap.geometry.warp import reenact
from reliableswap.imaging import colour

_LIDS = 0.95  # of the opening between the lids, what is the target's
_LIGHT_REACH = 0.22  # of the face's width: what changes more slowly is light, and the target's
_SHOWN = 0.02  # guidance that is less valid than this is none


def guidance_texture(
    source: np.ndarray, source_mesh: np.ndarray, target: np.ndarray, target_mesh: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(H,W,3) uint8 the source's texture on the target's mesh, in its light, and where it is valid (H,W) 0..1.

    Zero where it is not valid: where nothing shows the source's skin, where something covers its face, and where the
    picture is always the target's, between lids and between lips.
    """
    source, target = checked_picture(source, "source"), checked_picture(target, "target")
    source_mesh, target_mesh = checked_mesh(source_mesh, "source"), checked_mesh(target_mesh, "target")
    shape = target.shape[:2]
    covers = find_covers(source, source_mesh, strict=True)
    texture = reenact(source, source_mesh, target_mesh, rasterise(target_mesh, shape), covers.at)
    skin = texture.bare * (texture.validity > 0.9) * regions.skin(target_mesh, shape)
    base = colour.to_lab(target)
    lab = colour.match(colour.to_lab(texture.image), base, skin)
    lab = colour.keep_light(lab, base, skin, _LIGHT_REACH * regions.face_width(target_mesh))
    own = np.maximum(regions.eyes(target_mesh, shape, _LIDS), regions.inner_mouth(target_mesh, shape))
    shown = ((own < 0.5) & (texture.validity > _SHOWN)).astype(np.float32)
    toned = np.rint(colour.to_rgb(lab) * shown[..., None]).astype(np.uint8)
    return toned, texture.validity * shown


def carried_glasses(
    source: np.ndarray, source_mesh: np.ndarray, target_mesh: np.ndarray, shape_hw: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """(H,W,3) uint8 the source's face on the target's mesh, and where its glasses would be there (H,W) 0..1."""
    worn = find_glasses(source, source_mesh)
    if not worn.any():
        return np.zeros((*shape_hw, 3), np.uint8), np.zeros(shape_hw, np.float32)
    places = rasterise(target_mesh, shape_hw).picture(source_mesh[:, :2], outside=-2)
    return cv2.remap(source, places, None, cv2.INTER_LINEAR), cv2.remap(worn, places, None, cv2.INTER_LINEAR)
