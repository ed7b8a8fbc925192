"""Let a layered generator decide how to mix source and target."""

from __future__ import annotations

import cv2
import numpy as np

from reliableswap.faces.align import apply, to_planes
from reliableswap.geometry import regions
from reliableswap.geometry.ramps import rising
from reliableswap.geometry.warp import FULLY_VALID, lips_stretch
from reliableswap.imaging import colour
from reliableswap.models.layer_maps import SIDE
from reliableswap.models.mixture import LARGEST, Mixture, enlarged, mixture, reduced
from reliableswap.swap.job import FaceJob

from .cover import cover_of
from .guide import guide, identity_request

_STRETCHED = (1.1, 1.35)  # stretch of the lips over which their texture gives way to the target's
_UNSEEN = (0.1, 0.3)  # share of the lips not seen in the source over which they become the target's
# Drawn skin may have the target's chroma times the first plus the second.
_CHROMA, _MORE_CHROMA = 1.15, 4.0
_NEARBY = 0.06  # of the face's width: the scale of the target's chroma
_SOFT_SKIN = 0.02  # of the face's width: the soft edge of skin
_SOFT_LIPS = 0.012  # of the face's width: the soft edge of lips


def mix(job: FaceJob) -> FaceJob:
    """Layers of the crop: the mixture's terms `of_texture`, `of_target` (S,S) and `rest` (S,S,3), and its `flow`
    (2,128,128), see mixture.py; `generated` (S,S,3) float32, the face as the crop shows it; and `cover` (256,256) in
    0..1, the face's opacity.

    The cover has one size in all frames of a clip, so that it can be smoothed over time while the crop's size changes.
    """
    if "seen" not in job.layers:
        job = guide(job)
    generator, seen, guidance = job.networks.generator, job.layer("seen"), job.layer("guidance")
    small = reduced(to_planes(seen))
    drawn, maps, logits = generator.maps(small, identity_request(job), reduced(guidance))
    if job.has_finer_detail:
        drawn = _with_less_chroma(job, drawn, small)
    lean = float(generator.config.get("lean", 0.0)) if job.has_finer_detail else None
    mixed = mixture(drawn[0], maps[0], seen, guidance[0], job.layer("toned"), lean)
    if "folds" in job.layers:
        mixed = mixed.with_texture_change(job.layer("folds"))
    if job.has_finer_detail:
        mixed = _with_fitting_lips(job, mixed)
    if job.only_source_bearded > 0:
        mixed = mixed.towards_texture(job.layer("beard"), job.layer("toned"))
    mask = 0.5 + 0.5 * np.tanh(0.5 * enlarged(logits[0, 0], LARGEST))
    return job.with_layers(
        of_texture=mixed.texture,
        of_target=mixed.target,
        rest=mixed.rest,
        flow=mixed.flow,
        generated=mixed.picture,
        cover=np.maximum(cover_of(mask), enlarged(job.layer("beard"), LARGEST)),
    )


def _with_less_chroma(job: FaceJob, drawn: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(1,3,128,128) the drawn picture, its skin no more colourful than the target's skin nearby.

    Beside a texture in hard light, the network draws skin that glows orange.
    """
    mesh = apply(job.crop.matrix, job.goal) * np.float32(SIDE / job.crop.size)
    skin, width = regions.skin(mesh, (SIDE, SIDE)).astype(np.float32), regions.face_width(mesh)
    lab, target = (colour.to_lab(127.5 * one[0].transpose(1, 2, 0) + 127.5) for one in (drawn, seen))
    (light, *tint), (_, *usual) = (
        cv2.split(lab),
        cv2.split(colour.local_means([target], skin, _NEARBY * width)[0]),
    )
    most = _CHROMA * cv2.magnitude(*usual) + np.float32(_MORE_CHROMA)
    share = np.minimum(most / np.maximum(cv2.magnitude(*tint), 1e-3), 1)
    factor = 1 + regions.feathered(skin, _SOFT_SKIN * width) * (share - 1)
    paler = colour.to_rgb(cv2.merge([light, *(plane * factor for plane in tint)]))
    return np.asarray(paler / 127.5 - 1, np.float32).transpose(2, 0, 1)[None]


def _with_fitting_lips(job: FaceJob, mixed: Mixture) -> Mixture:
    """The mixture with the target's own lips, in the source's colour, where the source's would be stretched or are
    largely unseen.

    A smile's thin lips become streaks on a closed mouth, and their gloss a stain. Lips behind a hand would appear in
    pieces.
    """
    mesh, shape, seen = apply(job.crop.matrix, job.goal), mixed.texture.shape, job.layer("seen")
    lips = regions.lips(mesh, shape)
    red = lips * (1 - regions.inner_mouth(mesh, shape)) > 0
    if not red.any():
        return mixed
    shown = red & (job.layer("valid") > FULLY_VALID)
    hidden = 1 - float(np.count_nonzero(shown)) / np.count_nonzero(red)
    share = max(rising(lips_stretch(job.source.mesh, job.goal), _STRETCHED), rising(hidden, _UNSEEN))
    if share == 0:
        return mixed
    shift = (mixed.picture - seen)[shown].mean(0) if shown.any() else np.zeros(3)
    return mixed.towards_target(
        share * regions.feathered(lips, _SOFT_LIPS * job.width * job.crop.scale), seen, shift
    )
