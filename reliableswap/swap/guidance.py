"""Guidance: the source's texture on the target's face, given to a generator as an input."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import cv2
import numpy as np

from reliableswap.faces.visibility import Covers, find_glasses
from reliableswap.geometry import regions
from reliableswap.geometry.ramps import rising
from reliableswap.geometry.raster import mirror_positions, rasterise
from reliableswap.geometry.resampling import put, to_bytes
from reliableswap.geometry.topology import checked_mesh, checked_picture
from reliableswap.geometry.trust import scale_between
from reliableswap.geometry.warp import FULLY_VALID, Sampler, Texture, open_lips, reenact
from reliableswap.imaging import colour
from reliableswap.imaging.bands import three_channels
from reliableswap.models.layer_maps import INVALID

EYE_OPENING = 0.95  # fraction of the opening between the lids that is the target's
LIGHT_REACH = 0.22  # face widths; slower changes of brightness count as light, which is the target's
_SIDED_LIGHT = 0.025  # face widths: the scale at which one-sided light is removed
_LIGHT_CELLS = 6  # cells per _SIDED_LIGHT at which that is computed; fewer would blur a shadow's edge
_EVENED = (3.0, 8.0)  # change of L by removing hard light over which a mistrusted texture becomes invalid
_SOFT_EVENED = 0.015  # face widths: the sigma over which that change is averaged
_EDGE_MATCH = 0.02  # face widths: the scale at which light meets the target's where the texture ends
_FOLDS = 0.008  # face widths: the scale above which skin folds can be the target's
_MIN_FOLD = 0.02  # share of the target's folds below which none are computed
_SURROUNDINGS = 12  # sigmas of surroundings that local means need
# Face widths from the texture's end over which its light becomes the target's; the second for small photos.
_EDGE_REACH, _SMALL_EDGE_REACH = 0.1, 0.05
_UNLIMITED = 100.0  # multiple of the limits on light that amounts to no limit
# Face widths in pixels above which a clip's tones are computed at half the size, and at a third of it.
_COARSE_TONES, _COARSER_TONES = 100, 200
MIRROR_SEAM = 0.08  # face widths over which one half blends into the other's mirror image
_HEM = 0.04  # face widths beside hidden skin within which the texture carries colours of what hides it
# Validity below which skin counts as hidden. A turned face's is a little below FULLY_VALID, but shades nothing.
_MOSTLY_VALID = 0.7
FADE = 0.06  # face widths over which the texture fades out towards the outline
MIN_VALIDITY = 0.02  # guidance with a lower validity is left out
# Validity from which a texture can be shown: it is low at the jaw, where a beard must end.
SHOWN_VALIDITY = 0.2
_SOFT_BEARD, _SOFT_FOREHEAD = 0.01, 0.03  # of the face's width


class Guidance(NamedTuple):
    """texture: (H,W,3) uint8, the source on the target's mesh, in the target's light. validity: (H,W) in 0..1. Both are
    zero where the source's photo does not show the skin, where something covers it, and between lids and lips.

    change: (H,W,3) float32, what the target's light adds to the texture, in 8-bit levels; unlike in `texture`, hair
    does not take on the skin's tint.
    beard: (H,W) in 0..1, where the texture shows a lower face that is not bare skin.
    folds: (H,W,3) float32, what the target's folds add to that, or None. `texture` leaves it out: a generator that sees
    the target's folds takes the whole face for the target's.
    """

    texture: np.ndarray
    validity: np.ndarray
    change: np.ndarray
    beard: np.ndarray
    folds: np.ndarray | None


def guidance_texture(
    source: np.ndarray,
    source_mesh: np.ndarray,
    target: np.ndarray,
    target_mesh: np.ndarray,
    covers: Covers,
    *,
    soft_light: bool = False,
    mistrust: float = 0.0,
    match_edges: bool = True,
    folds: np.ndarray | None = None,
    quick: bool = False,
) -> Guidance:
    """The source's texture on the target's mesh, in the target's light.

    covers: the source's strict covers. soft_light: remove the source's hard light, at the cost of a little likeness.
    mistrust: in 0..1, how far the texture becomes invalid where removing hard light changed it much, because the edges
    of shadows are left there.
    match_edges: let the texture's light become the target's where the texture ends (without soft_light, on the forehead
    only), and give dark hair the target's light; not used in training. folds: (H,W) in 0..1, how far the skin's folds
    are the target's. quick: as for `resampling.interpolation_for`.
    """
    source, target = checked_picture(source, "source"), checked_picture(target, "target")
    source_mesh, target_mesh = checked_mesh(source_mesh, "source"), checked_mesh(target_mesh, "target")
    toned, valid = np.zeros_like(target), np.zeros(target.shape[:2], np.float32)
    change, beard = np.zeros(target.shape, np.float32), np.zeros(target.shape[:2], np.float32)
    pad = 0.08 * regions.face_width(target_mesh)  # local means need some surroundings
    where = regions.window(target_mesh, target.shape[:2], pad)  # texture and validity are zero elsewhere
    corner = np.array([where[1].start, where[0].start, 0], np.float32)
    folded, piece = (None, None) if folds is None else (np.zeros(target.shape, np.float32), folds[where])
    made = _in_window(
        source,
        source_mesh,
        target[where],
        target_mesh - corner,
        covers,
        soft_light,
        mistrust,
        match_edges,
        piece,
        quick,
    )
    toned[where], valid[where], change[where], beard[where] = made[:4]
    if folded is not None:
        folded[where] = made.folds
    return Guidance(toned, valid * _fading_outwards(target_mesh, target.shape[:2]), change, beard, folded)


def _in_window(
    source: np.ndarray,
    source_mesh: np.ndarray,
    target: np.ndarray,
    target_mesh: np.ndarray,
    covers: Covers,
    soft_light: bool,
    mistrust: float,
    match_edges: bool,
    folds: np.ndarray | None,
    quick: bool,
) -> Guidance:
    """As guidance_texture, for a window of the target that contains its mesh."""
    shape = target.shape[:2]
    seen_from = open_lips(source_mesh, target_mesh)
    width = regions.face_width(target_mesh)
    seam = MIRROR_SEAM * width if soft_light else 0.0
    texture = reenact(source, seen_from, target_mesh, rasterise(target_mesh, shape), covers.at, quick, seam)
    valid = texture.validity > FULLY_VALID
    skin = texture.skin * valid * regions.skin(target_mesh, shape)
    tolerance = _light_tolerance(valid, target_mesh, width, soft_light) if match_edges else None
    hair = (1 - texture.skin) * (1 - regions.lips(target_mesh, shape))
    k = 1 + (width > _COARSE_TONES) + (width > _COARSER_TONES) if quick else 1
    cell = max(_SIDED_LIGHT * width / _LIGHT_CELLS, k)
    mirror = mirror_positions(target_mesh, shape, cell) if soft_light else None
    tone, change, evened = _changes(texture.image, target, skin, hair, width, tolerance, mirror, k)
    own = np.maximum(regions.eyes(target_mesh, shape, EYE_OPENING), regions.inner_mouth(target_mesh, shape))
    shown = ((own < 0.5) & (texture.validity > MIN_VALIDITY)).astype(np.float32)
    toned = to_bytes((texture.image + tone) * three_channels(shown))
    if soft_light:
        shown *= _away_from_hidden(texture.validity, target_mesh, width)
        evened = cv2.GaussianBlur(evened, (0, 0), _SOFT_EVENED * width)
        shown *= 1 - np.float32(mistrust) * rising(evened, _EVENED)
    folded = None if folds is None else _folded(texture.image + tone, target, skin, width, folds)
    return Guidance(toned, texture.validity * shown, change, _beard(texture, target_mesh, width), folded)


def _folded(
    toned: np.ndarray, target: np.ndarray, skin: np.ndarray, width: float, folds: np.ndarray
) -> np.ndarray:
    """(H,W,3) float32 RGB, what to add to a texture in the target's tone where the folds are the target's."""
    change, sigma = np.zeros(target.shape, np.float32), _FOLDS * width
    left, top, across, down = cv2.boundingRect((folds > _MIN_FOLD).astype(np.uint8))
    if across:
        pad = math.ceil(_SURROUNDINGS * sigma)
        where = slice(max(top - pad, 0), top + down + pad), slice(max(left - pad, 0), left + across + pad)
        tolerance = 1 / np.maximum(folds[where], 1 / _UNLIMITED) - 1
        before, seen = colour.to_lab(toned[where]), colour.to_lab(target[where])
        change[where] = (
            colour.to_rgb(colour.limit_light(before, seen, skin[where], sigma, tolerance)) - toned[where]
        )
    return change


def _away_from_hidden(validity: np.ndarray, mesh: np.ndarray, width: float) -> np.ndarray:
    """(H,W) a factor on the validity that falls to zero towards skin that the source does not show.

    Hair and skin turned away there shade what lies beside them.
    """
    hidden = (regions.skin(mesh, validity.shape) > 0.5) & (validity < _MOSTLY_VALID)
    return regions.away_from(hidden, _HEM * width)


def _beard(texture: Texture, mesh: np.ndarray, width: float) -> np.ndarray:
    """(H,W) `beard` of Guidance."""
    shape = texture.skin.shape
    place = regions.lower_face(mesh, shape) * (1 - regions.lips(mesh, shape))
    hairy = (1 - texture.skin) * place * (texture.validity > SHOWN_VALIDITY)
    # Beside the ears, a source's mesh may extend over what is behind the face.
    return regions.feathered(hairy.astype(np.float32), _SOFT_BEARD * width) * _below_nose(mesh, shape)


def _below_nose(mesh: np.ndarray, shape_hw: tuple[int, int]) -> np.ndarray:
    """(H,W) rising from 0 to 1 between the nose and the mouth."""
    tip, chin = mesh[4, :2], mesh[152, :2]
    down = (chin - tip) / max(float(np.square(chin - tip).sum()), 1e-6)
    rows, columns = np.ogrid[: shape_hw[0], : shape_hw[1]]
    t = np.clip(((columns - tip[0]) * down[0] + (rows - tip[1]) * down[1] - 0.15) / 0.35, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def _changes(
    texture: np.ndarray,
    target: np.ndarray,
    skin: np.ndarray,
    hair: np.ndarray,
    width: float,
    tolerance: np.ndarray | None,
    mirror: np.ndarray | None,
    k: int = 1,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(H,W,3) float32 RGB, what the target's tone and light add to a texture, measured on the skin (H,W) that both
    show; the same where hair (H,W) takes the light alone; and (H,W) by how much L removing hard light changed the
    texture.

    tolerance: from `_light_tolerance`; None: no limit, and dark hair is shifted like skin. mirror: from
    `mirror_positions`, to soften the light; None: it stays hard. k: the factor by which pictures are reduced for this.
    """
    if k > 1:
        size = texture.shape[1] // k, texture.shape[0] // k
        pictures = texture, target, skin, hair
        small, seen, small_skin, small_hair = (
            cv2.resize(x, size, interpolation=cv2.INTER_AREA) for x in pictures
        )
        small_tolerance = (
            None if tolerance is None else cv2.resize(tolerance, size, interpolation=cv2.INTER_AREA)
        )
        changes = _changes(small, seen, small_skin, small_hair, width / k, small_tolerance, mirror)
        tone, change, evened = (
            cv2.resize(x, texture.shape[1::-1], interpolation=cv2.INTER_LINEAR) for x in changes
        )
        return tone, change, evened
    base, plain = colour.to_lab(target), colour.to_lab(texture)
    lab = colour.match(plain, base, skin)
    if tolerance is not None:
        lab = colour.relight_dark(lab, plain, base, skin)
    # In small photos, scaled detail carries likeness.
    max_detail_gain = np.inf if mirror is None else colour.MAX_DETAIL_GAIN
    lab = colour.match_light(lab, base, skin, LIGHT_REACH * width, max_detail_gain=max_detail_gain)
    evened = np.zeros(texture.shape[:2], np.float32)
    if mirror is not None:
        before, lab = lab, colour.even_light(lab, base, skin, mirror, _SIDED_LIGHT * width)
        evened = cv2.absdiff(lab[..., 0], before[..., 0])
    if tolerance is not None:
        lab = colour.limit_light(lab, base, skin, _EDGE_MATCH * width, tolerance)
    tone = colour.to_rgb(lab) - texture
    if not (hair > 0).any():
        return tone, tone, evened
    hair = hair * (1 - regions.feathered(colour.skin_likeness(plain, skin), _SOFT_BEARD * width))
    warm = colour.warmth(plain, base, skin)
    return tone, colour.to_rgb(colour.limit_chroma(lab, plain, hair, warm)) - texture, evened


def _light_tolerance(valid: np.ndarray, mesh: np.ndarray, width: float, soft_light: bool) -> np.ndarray:
    """(H,W) how far the texture's light may differ, for `limit_light`: 0 where the texture ends beside the target's own
    skin, and without limit from some distance on.

    In small photos, light carries likeness, and the texture's end shows only on the forehead, within which the mesh
    ends.
    """
    shape = valid.shape
    shown = (valid & (regions.oval(mesh, shape) > 0)).astype(np.uint8)
    ends = cv2.distanceTransform(shown, cv2.DIST_L2, 5)
    share = np.minimum(ends / np.float32((_EDGE_REACH if soft_light else _SMALL_EDGE_REACH) * width), 1)
    tolerance = share / (1.001 - share)
    if not soft_light:
        forehead = (regions.forehead(mesh, shape) > 0).astype(np.float32)
        tolerance += _UNLIMITED * (1 - np.minimum(2 * regions.feathered(forehead, _SOFT_FOREHEAD * width), 1))
    return np.asarray(tolerance, np.float32)


def _fading_outwards(mesh: np.ndarray, shape_hw: tuple[int, int]) -> np.ndarray:
    """(H,W) a factor on the texture's validity that makes a layered generator's texture fall evenly to zero at the
    face's outline.

    The mesh ends on the forehead and at the temples, where a photo has no edge.
    """
    soft = regions.feathered(regions.oval(mesh, shape_hw), FADE * regions.face_width(mesh))
    weight = np.clip(2 * soft - 1, np.exp(-INVALID), 1)
    return np.asarray(1 + np.log(weight) / INVALID, np.float32)


def carried_glasses(
    source: np.ndarray,
    source_mesh: np.ndarray,
    target_mesh: np.ndarray,
    shape_hw: tuple[int, int],
    glasses_net: Any,
) -> tuple[np.ndarray, np.ndarray]:
    """(H,W,3) uint8 the source's face on the target's mesh, and (H,W) in 0..1, where its glasses lie there."""
    worn = find_glasses(source, source_mesh, glasses_net)
    if not worn.any():
        return np.zeros((*shape_hw, 3), np.uint8), np.zeros(shape_hw, np.float32)
    raster = rasterise(target_mesh, shape_hw)
    levels = np.dstack([source, np.rint(255 * worn).astype(np.uint8)])
    x, y = raster.interpolate(source_mesh[:, :2])
    found = Sampler(levels, scale_between(source_mesh, target_mesh)).at(
        np.column_stack([x, y]), cv2.INTER_LINEAR
    )
    whole = np.zeros((*shape_hw, 4), np.uint8)
    put(whole, raster.pixels, found)
    return np.ascontiguousarray(whole[..., :3]), whole[..., 3].astype(np.float32) / 255
