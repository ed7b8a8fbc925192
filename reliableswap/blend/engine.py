"""The blend engine: the source's real texture, reenacted on the target's face and blended into its photo.

goal mesh      the target's pose and expression, part of the way to the source's proportions   reshape
reshaped       the target's photo drawn onto the goal mesh                                      reshape
texture        the source's photo on the goal mesh, with what it does not show                  warp
recoloured     the texture in the target's skin tone and light                                  colour
mask           skin, less what is the target's own: gaze, inner mouth, hair and glasses         regions, occlusion
blended        both, band by band                                                               bands
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from reliableswap.errors import ReliableSwapError

from . import bands, colour, regions
from .occlusion import find_covers
from .reshape import displacement, reshape, shaped_mesh
from .topology import checked_mesh, checked_picture
from .warp import open_lips, rasterise, reenact


@dataclass(frozen=True)
class BlendSettings:
    """How a face is blended. Lengths are shares of the face's width.

    likeness: how much of the source comes in, 0 (the target's photo, untouched) to 1. shape: how far the outline
    moves to the source's. colour and light: how far skin tone, and slow changes of it, become the target's.
    light_reach: how slow is slow. bands: octaves that are blended apart. margin: how far inside the outline the
    blend ends. feather: how softly. occlusion: whether hair, glasses and hands are looked for.
    """

    likeness: float = 1.0
    shape: float = 0.5
    colour: float = 1.0
    light: float = 0.9
    light_reach: float = 0.13
    bands: int = 5
    margin: float = 0.03
    feather: float = 0.03
    occlusion: bool = True

    def __post_init__(self) -> None:
        for name in ("likeness", "shape", "colour", "light"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ReliableSwapError(f"{name} is {value}; choose a value from 0 to 1")


@dataclass(frozen=True, eq=False)
class BlendResult:
    """image (H,W,3) uint8; mask (H,W) float32, zero where the photo is untouched; steps: pictures by name."""

    image: np.ndarray
    mask: np.ndarray
    steps: dict[str, np.ndarray] = field(default_factory=dict)


def blend_face(
    target: np.ndarray,
    target_mesh: np.ndarray,
    source: np.ndarray,
    source_mesh: np.ndarray,
    settings: BlendSettings | None = None,
) -> BlendResult:
    """(H,W,3) the target's photo with the source's face; meshes (468,3) in their own pictures' pixels."""
    settings = settings or BlendSettings()
    target, source = checked_picture(target, "target"), checked_picture(source, "source")
    target_mesh, source_mesh = checked_mesh(target_mesh, "target"), checked_mesh(source_mesh, "source")
    shape = target.shape[:2]
    if settings.likeness == 0:
        return BlendResult(target.copy(), np.zeros(shape, np.float32))

    width = regions.face_width(target_mesh)
    goal = shaped_mesh(target_mesh, source_mesh, settings.shape * settings.likeness)
    move = displacement(target_mesh, goal, shape)
    reshaped = reshape(target, move)
    theirs, ours = find_covers(source, source_mesh), find_covers(reshaped, goal)
    texture = reenact(source, open_lips(source_mesh, goal), goal, rasterise(goal, shape), theirs.hidden)

    seen = cv2.remap(theirs.bare, texture.positions[..., 0], texture.positions[..., 1], cv2.INTER_LINEAR)
    skin = np.minimum(seen, ours.bare) * (texture.validity > 0.9)
    base_lab, lab = colour.to_lab(reshaped), colour.to_lab(texture.image)
    lab = colour.match(lab, base_lab, skin, strength=settings.colour)
    lab = colour.keep_light(lab, base_lab, skin, settings.light_reach * width, settings.light)
    recoloured = colour.to_rgb(lab)

    alpha = _mask(goal, shape, width, settings) * texture.validity * (1 - ours.hidden) * settings.likeness
    under = reshaped.astype(np.float32)
    valid = np.minimum(texture.validity * 4, 1)[..., None]
    over = recoloured * valid + under * (1 - valid)
    blended = bands.blend_bands(over, under, alpha, settings.bands)
    image = np.clip(np.rint(blended), 0, 255).astype(np.uint8)
    moved = np.clip(np.abs(move).max(2), 0, 1)
    mask = np.maximum(cv2.dilate(alpha, np.ones((3, 3))), np.where(moved < 1 / 64, 0, moved)).astype(
        np.float32
    )
    image = np.where(mask[..., None] > 0, image, target)
    steps = {
        "texture": texture.image,
        "validity": texture.validity,
        "reenacted": texture.image,
        "recoloured": np.rint(recoloured).astype(np.uint8),
        "reshaped": reshaped,
        "blended": image,
    }
    return BlendResult(image, mask, steps)


def _mask(goal: np.ndarray, shape: tuple[int, int], width: float, settings: BlendSettings) -> np.ndarray:
    """(H,W) the face the source may fill: inside the outline, outside the target's gaze and inner mouth."""
    size = 2 * max(1, round((settings.margin + settings.feather) * width)) + 1
    inside = cv2.erode(regions.oval(goal, shape), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    own = np.maximum(regions.eyes(goal, shape, 1.15), regions.inner_mouth(goal, shape))
    return regions.soft(inside, settings.feather * width) * (1 - regions.soft(own, 0.008 * width))
