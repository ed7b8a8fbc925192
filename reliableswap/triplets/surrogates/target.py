"""A target-creating surrogate by the blend: C_ab, with the attributes of the real photo a and the identity of b."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from reliableswap.data.aligned import AlignedFace
from reliableswap.faces.glasses import bundled_glasses
from reliableswap.geometry.raster import signed_areas
from reliableswap.geometry.shape import displacement, reshape, similarity3d
from reliableswap.geometry.topology import topology
from reliableswap.swap.blend import blend_face
from reliableswap.swap.settings import SwapSettings
from reliableswap.triplets.settings import Variation

BLEND = "blend"  # `made_by` of surrogates that no generator made
_DRAWN = tuple(one.name for one in dataclasses.fields(Variation) if one.name != "girth")


@dataclass(frozen=True)
class Recipe:
    """How a surrogate is made. girth: how much wider its jaw becomes, as a share of the jaw's width."""

    blend: SwapSettings
    girth: float = 0.0

    def to_dict(self) -> dict[str, float]:
        return {name: round(getattr(self.blend, name), 4) for name in _DRAWN} | {
            "girth": round(self.girth, 4)
        }


@dataclass(frozen=True, eq=False)
class Surrogate:
    """A synthetic face. shown: the share of it that the source's photo shows; folded: the share of the mesh's triangles
    that reshaping turned over; made_by: "blend", or the label of a generator."""

    face: AlignedFace
    recipe: Recipe
    shown: float
    folded: float
    made_by: str = BLEND

    def inner(self, pad: int) -> Surrogate:
        """The surrogate without `pad` pixels of padding on each side."""
        return dataclasses.replace(self, face=self.face.inner(pad))


def draw_recipe(variation: Variation, rng: np.random.Generator, girth_share: float = 1.0) -> Recipe:
    """Draw every setting uniformly from its range; the girth changes in a share of the recipes."""
    drawn: dict[str, Any] = {name: float(rng.uniform(*getattr(variation, name))) for name in _DRAWN}
    girth = float(rng.uniform(*variation.girth))
    if girth and rng.random() >= girth_share:
        girth = 0.0
    return Recipe(SwapSettings(**drawn), girth)


def synthesise(target: AlignedFace, source: AlignedFace, recipe: Recipe) -> Surrogate:
    """Put the source's face with its shape into the target's photo; pose, expression, gaze and teeth stay."""
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
    """The share of the triangles facing the camera that face away afterwards; those of lips and lids do not count."""
    triangles = _steady_triangles()
    facing = signed_areas(before, triangles) > 0
    return float((signed_areas(after, triangles)[facing] <= 0).mean()) if facing.any() else 1.0


@lru_cache(maxsize=1)
def _steady_triangles() -> np.ndarray:
    """(T,3) the triangles without a point of lips or lids."""
    top = topology()
    moving = np.concatenate([top.regions[name] for name in ("lips", "inner_lips", "right_eye", "left_eye")])
    return top.triangles[~np.isin(top.triangles, moving).any(1)]


def with_girth(face: AlignedFace, girth: float) -> AlignedFace:
    """Make the jaw narrower (girth < 0) or wider by that share of its width; eyes and brow stay."""
    mesh = girth_mesh(face.mesh, girth)
    return AlignedFace(reshape(face.crop, displacement(face.mesh, mesh, face.crop.shape[:2])), mesh)


def girth_mesh(mesh: np.ndarray, girth: float) -> np.ndarray:
    """(468,3) the mesh with cheeks and jaw moved away from the midline by a share of their distance from it."""
    mean = topology().canonical
    scale, rotation, _ = similarity3d(mesh, mean)
    eyes, chin = float(mean[[33, 263], 1].mean()), float(mean[152, 1])
    below = np.clip((mean[:, 1] - eyes) / (chin - eyes) * 1.5, 0, 1)
    lower = below * below * (3 - 2 * below)
    # Only points well off the midline move, so nose and mouth keep their width.
    reach = float(np.abs(mean[:, 0] - mean[152, 0]).max())
    aside = (mean[:, 0] - mean[152, 0]) / reach
    outer = np.clip((np.abs(aside) - 0.25) / 0.5, 0, 1)
    step = np.zeros((len(mesh), 3))
    step[:, 0] = girth * aside * reach * lower * outer
    return (mesh + step @ rotation.T / scale).astype(np.float32)
