"""Run the generator on the aligned crop of the reshaped photo."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from reliableswap.faces.align import apply, generators_crop, to_planes
from reliableswap.geometry.regions import disc
from reliableswap.geometry.resampling import to_bytes
from reliableswap.imaging.colour import local_means, to_lab, to_rgb
from reliableswap.models.layer_maps import SIDE
from reliableswap.models.mixture import LARGEST, enlarged, mixture, reduced
from reliableswap.swap.guidance import guidance_texture
from reliableswap.swap.job import FaceJob
from reliableswap.swap.person import directions

_DECISION = 3.0  # power of the mask's odds
_NEARBY = 0.04  # of the crop's side: the distance within which a colour must be seen to be allowed


def guide(job: FaceJob) -> FaceJob:
    """Layers of the crop: `seen` (S,S,3) uint8 the target.

    And if the generator takes guidance: `guidance` (1,4,S,S), and `toned` (S,S,3), what of it the target's light has
    changed.
    """
    place = job.crop
    picture = job.layer("reshaped")
    seen = to_bytes(generators_crop(picture, place.matrix, place.size, job.quick))
    if not job.networks.generator.guidance_channels:
        return job.with_layers(seen=seen)
    guidance, toned = _guidance(job, seen, apply(place.matrix, job.goal))
    return job.with_layers(seen=seen, guidance=guidance, toned=toned)


def generate(job: FaceJob) -> FaceJob:
    """The generator's answer: layer `cover` (s,s) in 0..1, where it counts, and the picture.

    A picture is the layer `generated` (S,S,3) float32 RGB in 0..255. A layered generator gives a mixture of texture and
    target instead: layers `of_texture`, `of_target` (S,S), `rest` (S,S,3) and `flow` (2,128,128), see mixture.py. Its
    cover has one size in all frames of a clip, so that it can be steadied while crops grow.
    """
    if "seen" not in job.layers:
        job = guide(job)
    generator = job.networks.generator
    return _mixed(job) if generator.config.get("layers") else _drawn(job)


def _drawn(job: FaceJob) -> FaceJob:
    generator, picture = job.networks.generator, job.layer("seen")
    guidance = job.layer("guidance") if generator.guidance_channels else None
    low, high = (np.float32(level) for level in generator.config["value_range"])
    seen = (to_planes(picture) + np.float32(1)) * ((high - low) / 2) + low
    image, mask = generator(seen, identity_request(job), guidance)
    levels = (np.clip(image[0], low, high) - low) * (255 / (high - low))
    made = np.ascontiguousarray(levels.transpose(1, 2, 0))
    if guidance is not None:
        made = _within_seen_colours(made, picture, guidance)
    return job.with_layers(generated=made, cover=_faded(_decided(mask[0, 0])))


def _mixed(job: FaceJob) -> FaceJob:
    generator, seen, guidance = job.networks.generator, job.layer("seen"), job.layer("guidance")
    drawn, maps, logits = generator.maps(reduced(to_planes(seen)), identity_request(job), reduced(guidance))
    lean = float(generator.config.get("lean", 0.0))
    mixed = mixture(drawn[0], maps[0], seen, guidance[0], job.layer("toned"), lean)
    cover = 0.5 + 0.5 * np.tanh(0.5 * enlarged(logits[0, 0], LARGEST))
    return job.with_layers(
        of_texture=mixed.texture,
        of_target=mixed.target,
        rest=mixed.rest,
        flow=mixed.flow,
        cover=_faded(_decided(cover)),
    )


def identity_request(job: FaceJob) -> np.ndarray:
    """(1,D) v_full = [v_id ; v_fix] of the source, turned away from the target's by the generator's `away`.

    A generated face keeps something of the face under it; asking for less of the target's identity compensates. The
    generator's adapter, if it has one, is joined.
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
    """(1,D) the vector minus a share of the other's direction; its length stays."""
    length = np.linalg.norm(vector, axis=1, keepdims=True)
    return directions(directions(vector) - np.float32(share) * directions(other)) * length


def _guidance(job: FaceJob, picture: np.ndarray, mesh: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(1,4,S,S) the source's texture on the target's crop in [-1,1] with its validity in 0..1, and (S,S,3) what the
    target's light has changed of it.

    The source goes through a crop of the same size first, as in training: a larger photo would give a sharper
    guidance than the generator has learnt from.
    """
    source = job.source
    view = job.crop.size, job.crop.template
    seen, matrix = source.aligned(*view)
    # In small photos softer light costs likeness and shows little.
    made = guidance_texture(
        seen,
        apply(matrix, source.mesh),
        picture,
        mesh,
        source.covers_in_crop(*view),
        soft_light=job.crop.size > SIDE,
        quick=job.quick,
    )
    colours = cv2.split(to_planes(made.texture)[0].transpose(1, 2, 0))
    planes = cv2.merge([*colours, made.validity.astype(np.float32)])
    return planes.transpose(2, 0, 1)[None], made.change


def _decided(mask: np.ndarray) -> np.ndarray:
    """(S,S) the mask with odds to the power of `_DECISION`.

    It is the probability that the face is in front. As an opacity it would let the target's skin show through a
    source's beard, about which the generator is not quite certain.
    """
    face, other = mask**_DECISION, (1 - mask) ** _DECISION
    return face / np.maximum(face + other, 1e-6)


def _faded(mask: np.ndarray) -> np.ndarray:
    """(S,S) the mask, faded out at the crop's edge so that the crop's square never shows."""
    return mask * _inside(mask.shape[0])


@lru_cache(maxsize=8)
def _inside(size: int) -> np.ndarray:
    """(S,S) one inside a square crop, zero at its edge."""
    border = size // 16
    side = np.zeros((1, size), np.float32)
    side[:, border:-border] = 1
    side = cv2.GaussianBlur(side, (0, 0), border / 2)  # a blurred square is the product of its blurred sides
    return np.clip(side.T * side * 2 - 1, 0, 1)


def _within_seen_colours(made: np.ndarray, picture: np.ndarray, guidance: np.ndarray) -> np.ndarray:
    """(S,S,3) the generated crop, its colours limited to those that the target's crop or the guidance shows nearby.

    Encoders like violet temples and yellow lids, people do not. Lightness stays.
    """
    size = made.shape[0]
    shown = guidance[0]
    valid = np.ascontiguousarray(shown[3])
    texture = np.ascontiguousarray((shown[:3].transpose(1, 2, 0) + 1) * 127.5)
    (told,) = local_means([to_lab(texture)], valid, _NEARBY / 4 * size)
    (seen,) = local_means([to_lab(picture)], np.ones_like(valid), _NEARBY / 4 * size)
    lab = to_lab(made)
    # Limit along the skin's hue and across it: between skin and dark hair there is brown, but no violet.
    along = told[valid > 0.5][:, 1:].mean(0) if (valid > 0.5).any() else np.ones(2)
    along = along / max(float(np.linalg.norm(along)), 1e-6)
    turn = np.array([along, [-along[1], along[0]]], np.float32)
    tint, ours, theirs = (one[..., 1:] @ turn.T for one in (lab, seen, told))
    reach = disc(_NEARBY * size)
    for n in range(2):
        low, high = ours[..., n], ours[..., n]
        low = cv2.erode(np.where(valid > 0.5, np.minimum(low, theirs[..., n]), low), reach)
        high = cv2.dilate(np.where(valid > 0.5, np.maximum(high, theirs[..., n]), high), reach)
        tint[..., n] = np.clip(tint[..., n], low, high)
    lab[..., 1:] = tint @ turn
    return to_rgb(lab)
