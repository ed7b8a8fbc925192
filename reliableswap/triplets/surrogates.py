"""A pair of real photos -> two surrogates: C_ab with the attributes of a and the identity of b, and C_ba."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from reliableswap.faces.glasses import bundled_glasses
from reliableswap.faces.visibility import Covers
from reliableswap.geometry.raster import signed_areas
from reliableswap.geometry.shape import displacement, reshape, similarity3d
from reliableswap.geometry.topology import topology
from reliableswap.swap.blend import blend_face
from reliableswap.swap.settings import SwapSettings

from .settings import Variation


@dataclass(frozen=True, eq=False)
class AlignedFace:
    """A padded aligned crop (P,P,3) uint8 and its mesh (468,3) in the crop's pixels; what covers it, by a strict look
    as a source and by a plain one as a target."""

    crop: np.ndarray
    mesh: np.ndarray
    covers: Covers | None = None
    target_covers: Covers | None = None

    def inner(self, pad: int) -> AlignedFace:
        """The same without its padding."""
        side = self.crop.shape[0] - pad
        mesh = self.mesh - np.array([pad, pad, 0], np.float32)
        return AlignedFace(np.ascontiguousarray(self.crop[pad:side, pad:side]), mesh)


@dataclass(frozen=True)
class Recipe:
    """How one surrogate was made: the blend's settings, and how much thinner or chubbier its jaw became."""

    blend: SwapSettings
    girth: float = 0.0

    def to_dict(self) -> dict[str, float]:
        return {name: round(v, 4) for name, v in dataclasses.asdict(self.blend).items()} | {
            "girth": round(self.girth, 4)
        }


@dataclass(frozen=True, eq=False)
class Surrogate:
    """The surrogate with its mesh; shown: share of the face that the source's photo shows; folded: share of the
    mesh's triangles that reshaping turned over."""

    face: AlignedFace
    recipe: Recipe
    shown: float
    folded: float

    def inner(self, pad: int) -> Surrogate:
        """The same without its padding."""
        return dataclasses.replace(self, face=self.face.inner(pad))


def draw_recipe(variation: Variation, rng: np.random.Generator) -> Recipe:
    """One setting of every knob, uniform in its range."""
    drawn = {
        one.name: float(rng.uniform(*getattr(variation, one.name))) for one in dataclasses.fields(variation)
    }
    girth = drawn.pop("girth")
    return Recipe(SwapSettings(**drawn), girth)


def synthesise(target: AlignedFace, source: AlignedFace, recipe: Recipe) -> Surrogate:
    """The target's photo with the source's face: the source's shape; the target's pose, expression, gaze and teeth."""
    if recipe.girth:
        target = with_girth(target, recipe.girth)
    result = blend_face(
        target.crop,
        target.mesh,
        source.crop,
        source.mesh,
        recipe.blend,
        source.covers,
        target.target_covers,
        bundled_glasses(),
    )
    folded = folded_share(target.mesh, result.mesh)
    return Surrogate(AlignedFace(result.image, result.mesh), recipe, result.shown, folded)


def folded_share(before: np.ndarray, after: np.ndarray) -> float:
    """Share of the triangles facing the camera that do not any more, lips and lids left out."""
    triangles = _steady_triangles()
    facing = signed_areas(before, triangles) > 0
    return float((signed_areas(after, triangles)[facing] <= 0).mean()) if facing.any() else 1.0


@lru_cache(maxsize=1)
def _steady_triangles() -> np.ndarray:
    """(T,3) those without a point of lips or lids."""
    top = topology()
    moving = np.concatenate([top.regions[name] for name in ("lips", "inner_lips", "right_eye", "left_eye")])
    return top.triangles[~np.isin(top.triangles, moving).any(1)]


def with_girth(face: AlignedFace, girth: float) -> AlignedFace:
    """The face thinner (girth < 0) or chubbier by that share of its width at the jaw; eyes and brow stay."""
    mesh = girth_mesh(face.mesh, girth)
    return AlignedFace(reshape(face.crop, displacement(face.mesh, mesh, face.crop.shape[:2])), mesh)


def girth_mesh(mesh: np.ndarray, girth: float) -> np.ndarray:
    """(468,3) the mesh with cheeks and jaw drawn away from its midline by a share of their distance from it."""
    mean = topology().canonical
    scale, rotation, _ = similarity3d(mesh, mean)
    eyes, chin = float(mean[[33, 263], 1].mean()), float(mean[152, 1])
    below = np.clip((mean[:, 1] - eyes) / (chin - eyes) * 1.5, 0, 1)
    lower = below * below * (3 - 2 * below)
    # Nose and mouth keep their width: only what is well off the midline moves.
    reach = float(np.abs(mean[:, 0] - mean[152, 0]).max())
    aside = (mean[:, 0] - mean[152, 0]) / reach
    outer = np.clip((np.abs(aside) - 0.25) / 0.5, 0, 1)
    step = np.zeros((len(mesh), 3))
    step[:, 0] = girth * aside * reach * lower * outer
    return (mesh + step @ rotation.T / scale).astype(np.float32)
