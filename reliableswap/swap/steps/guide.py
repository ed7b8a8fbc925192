"""The generator's inputs: the target's crop, the source's texture on it, and the vector of the identity to draw."""

from __future__ import annotations

import cv2
import numpy as np

from reliableswap.faces.align import apply, generator_crop, inverse, to_planes
from reliableswap.geometry import regions
from reliableswap.geometry.measures import pose_of
from reliableswap.geometry.ramps import rising
from reliableswap.geometry.resampling import to_bytes
from reliableswap.geometry.warp import mouth_width_ratio
from reliableswap.swap.guidance import Guidance, guidance_texture
from reliableswap.swap.job import FaceJob
from reliableswap.swap.person import directions

# Ratio of the mouths' widths over which the folds beside the mouth become the target's.
_SMILING = (1.1, 1.25)
_SOFT_FOLDS = 0.02  # of the face's width: the soft edge of where folds are
_ASIDE = (35.0, 45.0)  # degrees of yaw, also relative to the target, over which a source comes to look aside
_LESS_VALID = 0.4  # how much less valid such a source's texture is, so that the generator draws more
_HARD_LIGHT = (0.06, 0.17)  # hard_light over which a source's texture comes to be mistrusted


def guide(job: FaceJob) -> FaceJob:
    """Layers of the crop: `seen` (S,S,3) uint8, the target.

    If the generator takes guidance, also `guidance` (1,4,S,S); `valid` (S,S) in 0..1, where the source shows its
    texture; `toned` (S,S,3), what the target's light adds to that; and `beard` (S,S) in 0..1, where it shows a beard
    that the target lacks. If skin folds are the target's: `folds` (S,S,3), what they add besides, and `folded` (S,S) in
    0..1, how far they are the target's.
    """
    place = job.crop
    seen = to_bytes(generator_crop(job.layer("reshaped"), place.matrix, place.size, job.quick))
    if not job.networks.generator.guidance_channels:
        return job.with_layers(seen=seen)
    mesh = apply(place.matrix, job.goal)
    folded = _folds(job, mesh, seen.shape[:2]) if job.has_finer_detail else None
    made = _guidance(job, seen, mesh, folded)
    # The outline of a source that looks aside would otherwise be drawn across the middle of the face.
    aside = _looks_aside(job.source.mesh, job.goal) if job.has_finer_detail else np.float32(0)
    valid = made.validity.astype(np.float32)
    colours = cv2.split(to_planes(made.texture)[0].transpose(1, 2, 0))
    planes = cv2.merge([*colours, valid * (1 - np.float32(_LESS_VALID) * aside)])
    folds = {} if made.folds is None or folded is None else {"folds": made.folds, "folded": folded}
    return job.with_layers(
        seen=seen,
        guidance=planes.transpose(2, 0, 1)[None],
        valid=valid,
        toned=made.change,
        beard=_wanted(job, made.beard * (1 - aside)),
        **folds,
    )


def _wanted(job: FaceJob, beard: np.ndarray) -> np.ndarray:
    """(S,S) the crop's beard (S,S) as far as the target has none; in large photos, not in front of the background."""
    share = np.float32(job.only_source_bearded)
    if share == 0 or not job.has_finer_detail:
        return share * beard
    return np.asarray(share * beard * (1 - _class_probability(job, "background", beard.shape)), np.float32)


def _class_probability(job: FaceJob, name: str, shape_hw: tuple[int, ...]) -> np.ndarray:
    """(S,S) probability that the target's crop shows a class of face_classes.py; zero without a VisibilityNet."""
    parts, size = job.target.parts, shape_hw[::-1]
    if parts is None:
        return np.zeros(shape_hw, np.float32)
    rows, columns = np.indices(shape_hw, np.float32)
    # From the crop's pixels to the reshaped region, from there to the photo before reshaping, and on to its parts.
    places = cv2.transform(np.dstack([columns, rows]), inverse(job.crop.matrix))
    places += cv2.warpAffine(job.move, job.crop.matrix, size, flags=cv2.INTER_LINEAR)
    places = cv2.transform(places, parts.matrix)
    return cv2.remap(parts.of(name), places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _looks_aside(mesh: np.ndarray, other: np.ndarray) -> np.float32:
    """How far a face is turned to the side and another is not, in 0..1."""
    yaw, other_yaw = pose_of(mesh)[0], pose_of(other)[0]
    return np.float32(rising(min(abs(yaw), abs(yaw - other_yaw)), _ASIDE))


def identity_request(job: FaceJob) -> np.ndarray:
    """(1,D) v_full = [v_id ; v_fix] of the source, turned away from the target's by the generator's `away`.

    A generated face keeps something of the face under it; asking for less of the target's identity compensates. The
    output of the generator's adapter, if it has one, is joined.
    """
    share = float(job.networks.generator.config.get("away", 0.0))
    pairs = [(job.person.v_id, job.target.v_id)]
    if job.person.v_fix is not None and job.target.v_fix is not None:
        pairs.append((job.person.v_fix, job.target.v_fix))
    request = np.concatenate([_turned_away(source, target, share) for source, target in pairs], 1)
    adapted = job.person.adapted
    adapter = job.networks.adapter
    return request if adapted is None or adapter is None else adapter.join(request, adapted)


def _turned_away(vector: np.ndarray, other: np.ndarray, share: float) -> np.ndarray:
    """(1,D) the vector minus a share of the other's direction; its length is kept."""
    length = np.linalg.norm(vector, axis=1, keepdims=True)
    return directions(directions(vector) - np.float32(share) * directions(other)) * length


def _guidance(job: FaceJob, picture: np.ndarray, mesh: np.ndarray, folds: np.ndarray | None) -> Guidance:
    """The source's texture on the target's crop.

    The source goes through a crop of the same size first, as in training: a larger photo would give sharper
    guidance than the generator was trained on.
    """
    source = job.source
    view = job.crop.size, job.crop.template
    seen, matrix = source.aligned(*view)
    return guidance_texture(
        seen,
        apply(matrix, source.mesh),
        picture,
        mesh,
        source.covers_in_crop(*view),
        soft_light=job.soft_light,
        mistrust=float(rising(source.hard_light, _HARD_LIGHT)) if job.soft_light else 0.0,
        folds=folds,
        quick=job.quick,
    )


def _folds(job: FaceJob, mesh: np.ndarray, shape_hw: tuple[int, int]) -> np.ndarray | None:
    """(S,S) in 0..1, how far the folds beside the mouth are those of the target's skin; None: not at all.

    They are if one of the two faces smiles, because a smile's folds do not belong beside a closed mouth. In small
    photos, where folds carry likeness, they stay the source's.
    """
    share = rising(mouth_width_ratio(job.source.mesh, job.goal), _SMILING)
    if share == 0:
        return None
    place = regions.feathered(regions.folds(mesh, shape_hw), _SOFT_FOLDS * regions.face_width(mesh))
    return np.asarray(share * place * _class_probability(job, "skin", shape_hw), np.float32)
