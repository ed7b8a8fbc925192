"""A source-creating surrogate: another picture of a person, made from one real photo.

The head turns, and the mouth and brows move, as in another photo. Light, colours, sharpness and sometimes the
background change, and glasses may be added. So even the only photo of a person can be the truth of a training sample
whose source is another picture of that person.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np

from reliableswap.data.aligned import AlignedFace
from reliableswap.data.augment import Augmentation, Jitter
from reliableswap.faces.align import TEMPLATES, apply, crop, similarity
from reliableswap.faces.face import five_points
from reliableswap.faces.glasses import bundled_glasses
from reliableswap.faces.visibility import find_glasses
from reliableswap.geometry import regions
from reliableswap.geometry.measures import frontal, onto_mean_face
from reliableswap.geometry.raster import rasterise
from reliableswap.geometry.shape import displacement, reshape, shaped_mesh
from reliableswap.geometry.topology import topology
from reliableswap.geometry.warp import open_lips, reenact, warp_texture
from reliableswap.imaging import colour
from reliableswap.imaging.degrade import random_texture
from reliableswap.imaging.light import Light
from reliableswap.imaging.painted_glasses import paint_glasses
from reliableswap.triplets.settings import SourceVariation

from .target import folded_share

_OPENED = 0.04  # a mouth that opens by more shows teeth, which come from the other photo
_HEAD = 1.75  # size of the head with its hair, as a multiple of the face's outline
_LIDS = 0.3  # distance from the lids, in eye distances, from which on the expression changes in full
_COLOURS = Augmentation(brightness=0.25, contrast=0.25, saturation=0.35, hue=8.0)


@dataclass(frozen=True)
class SourceRecipe:
    """How a photo was changed. turn: degrees; expression: the share of the other photo's expression."""

    turn: float
    expression: float
    lit: bool
    recoloured: bool
    softened: float
    background: bool
    glasses: bool

    def to_dict(self) -> dict[str, Any]:
        return {k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(self).items()}


@dataclass(frozen=True, eq=False)
class SourceSurrogate:
    """face: an aligned crop without padding. folded: the share of the mesh's triangles that were turned over."""

    face: AlignedFace
    recipe: SourceRecipe
    folded: float


def make_source_surrogate(
    face: AlignedFace, other: AlignedFace, size: int, variation: SourceVariation, rng: np.random.Generator
) -> SourceSurrogate:
    """Make a picture (size,size,3) of a padded crop's person, with pose and expression from another padded crop."""
    share = float(rng.uniform(*variation.expression))
    goal, turn = moved_mesh(face.mesh, other.mesh, float(rng.uniform(0.3, 1.0)) * variation.max_turn, share)
    picture = moved_picture(face, goal, other)
    background = bool(rng.random() < variation.background)
    if background:
        picture = _with_new_background(picture, goal, rng)
    glasses = bool(rng.random() < variation.glasses) and not _wears_glasses(picture, goal)
    if glasses:
        picture = paint_glasses(picture, goal.astype(np.float64), rng)[0]
    lit, recoloured = bool(rng.random() < variation.lit), bool(rng.random() < variation.recoloured)
    if recoloured:
        picture = Jitter.draw(_COLOURS, rng)(picture)
    if lit:
        picture = Light.draw(rng)(picture)
    matrix = _framing(goal, size, rng)
    picture = crop(picture, matrix, size)
    softened = float(rng.uniform(0.4, 1.6)) * size / 128 if rng.random() < variation.softened else 0.0
    if softened:
        picture = cv2.GaussianBlur(picture, (0, 0), softened)
    recipe = SourceRecipe(turn, share, lit, recoloured, softened, background, glasses)
    return SourceSurrogate(AlignedFace(picture, apply(matrix, goal)), recipe, folded_share(face.mesh, goal))


def moved_mesh(
    mesh: np.ndarray, other: np.ndarray, max_turn: float, expression: float
) -> tuple[np.ndarray, float]:
    """(468,3) the mesh in another one's pose and expression, and the turn of its head in degrees, at most max_turn.

    The eyes keep their opening, since a photo of closed eyes cannot show them open.
    """
    scale, rotation, shift = onto_mean_face(mesh)
    own = scale * mesh @ rotation + shift
    change = frontal(shaped_mesh(other, mesh, 1.0)) - own
    form = own + expression * _away_from_eyes() * change
    turn = cv2.Rodrigues(rotation.T @ onto_mean_face(other)[1])[0]
    angle = float(np.degrees(np.linalg.norm(turn)))
    part = min(1.0, max_turn / max(angle, 1e-6))
    turned = rotation @ cv2.Rodrigues(part * turn)[0]
    moved = (form - shift) @ turned.T / scale
    rigid = topology().oval
    moved += (mesh[rigid].mean(0) - moved[rigid].mean(0)) * (1, 1, 0)
    return moved.astype(np.float32), part * angle


def moved_picture(face: AlignedFace, goal: np.ndarray, other: AlignedFace) -> np.ndarray:
    """(P,P,3) the photo with its face on the goal mesh. The inside of an opened mouth comes from the other photo."""
    shape = face.crop.shape[:2]
    width = regions.face_width(goal)
    around = reshape(face.crop, displacement(face.mesh, goal, shape))
    drawn = reenact(face.crop, open_lips(face.mesh, goal), goal, rasterise(goal, shape))
    inside = regions.eroded(regions.oval(goal, shape), 0.03 * width)
    picture = _laid_over(around, drawn.image, regions.feathered(inside, 0.02 * width) * drawn.validity)
    if regions.mouth_opening(goal) < regions.mouth_opening(face.mesh) + _OPENED:
        return picture
    mouth, valid = warp_texture(other.crop, other.mesh, goal, shape)
    skin = regions.skin(goal, shape) * (valid > 0.9)
    toned = colour.to_rgb(colour.match(colour.to_lab(mouth), colour.to_lab(picture), skin))
    between = regions.feathered(regions.inner_mouth(goal, shape), 0.008 * width)
    return _laid_over(picture, toned, between * valid)


def _away_from_eyes() -> np.ndarray:
    """(468,1) zero on the lids, rising smoothly to one around them."""
    face = topology().canonical
    lids = face[np.concatenate(topology().eyes)]
    t = np.clip(np.linalg.norm(face[:, None] - lids[None], axis=2).min(1) / _LIDS, 0, 1)
    return np.asarray(t * t * (3 - 2 * t))[:, None]


def _framing(mesh: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """(2,3) matrix to the aligned crop of the mesh, with small random errors like those of an analyser."""
    matrix = similarity(five_points(mesh), TEMPLATES["arcface_128"].at(size))
    angle, scale = float(rng.normal(0, 1.5)), float(np.exp(rng.normal(0, 0.015)))
    off = cv2.getRotationMatrix2D((size / 2, size / 2), angle, scale)
    off[:, 2] += rng.normal(0, 0.01 * size, 2)
    return np.asarray((np.vstack([off, (0, 0, 1)]) @ np.vstack([matrix, (0, 0, 1)]))[:2])


def _with_new_background(picture: np.ndarray, mesh: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Replace what is far from the head. Everything below the chin stays, and so do the shoulders."""
    size = picture.shape[0]
    behind = cv2.GaussianBlur(random_texture(rng, size), (0, 0), float(rng.uniform(1, 6)) * size / 128)
    width = regions.face_width(mesh)
    outline = regions.scaled_ring(mesh[topology().oval], _HEAD)
    head = regions.polygon_mask(cv2.convexHull(outline.astype(np.float32))[:, 0], picture.shape[:2])
    chin = float(mesh[152, 1])
    head = np.maximum(head, (np.arange(size) > chin)[:, None].astype(np.float32))
    return _laid_over(behind, picture, regions.feathered(head, 0.08 * width))


def _wears_glasses(picture: np.ndarray, mesh: np.ndarray) -> bool:
    return bool(find_glasses(picture, mesh, bundled_glasses()).any())


def _laid_over(below: np.ndarray, above: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """(H,W,3) uint8 the picture `above` over `below` with opacity (H,W)."""
    mixed = below + alpha[..., None] * (above.astype(np.float32) - below)
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
