"""How opaque the generated face is: what stays the target's shows through it.

That is its gaze and teeth, glasses, whatever hides the face and, in large photos, what lies at its outline.
"""

from __future__ import annotations

import numpy as np

from reliableswap.geometry import regions
from reliableswap.geometry.ramps import rising
from reliableswap.geometry.shape import origins
from reliableswap.swap.job import FaceJob
from reliableswap.swap.kept_features import inner_features_mask
from reliableswap.swap.place import Window

from .crop import enlarged, face_in_crop_window, in_region

# Fraction of the opening between the lids that stays the target's. In small photos, whose eyes are a few pixels high,
# more of it costs likeness; in large ones the source's iris would show at the lids.
_OPENING, _OPENING_LARGE = 0.7, 0.95
_EDGE, _SOFT = 0.05, 0.03  # of the face's width: how far a large face ends inside the outline, and how softly
_SOFT_BEARD = 0.015  # of the face's width: how softly a beard ends at the jaw
_VALID = (0.5, 0.9)  # validity over which a texture comes to count


def opacity(job: FaceJob) -> FaceJob:
    """Layer of the crop's window: `alpha` (h,w), the opacity of the generated face.

    Without a VisibilityNet, hair and hands are left to the generator, which masks most of them by itself.
    """
    cover = job.steadied("cover", job.layer("cover")) * job.settings.likeness
    piece = face_in_crop_window(job)
    there = in_region(job, piece)
    covers = job.target.covers
    worn = covers.glasses.at(origins(job.move, there))
    front = job.settings.glasses * worn
    if covers.by_network:
        hidden, _ = job.covered(there)
        front = np.maximum(front, hidden - np.minimum(hidden, worn))
    mesh = job.goal - np.array([there[1].start, there[0].start, 0], np.float32)
    opening = _OPENING_LARGE if job.has_finer_detail else _OPENING
    shown = (1 - front) * (1 - inner_features_mask(mesh, worn.shape, opening))
    if job.has_finer_detail:
        beard = enlarged(job, job.layer("beard"), piece)
        shown *= _inside(mesh, worn.shape, _validity(job, piece), beard)
        rows, columns = job.crop.window
        alpha = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.float32)
        alpha[piece] = shown * enlarged(job, cover, piece)
    else:
        alpha = enlarged(job, cover)
        alpha[piece] *= shown
    return job.with_layers(alpha=alpha)


def _validity(job: FaceJob, piece: Window) -> np.ndarray:
    """(H,W) in 0..1 how far the source's texture counts, in a piece of the crop's window."""
    return rising(enlarged(job, job.layer("valid"), piece), _VALID)


def _inside(mesh: np.ndarray, shape_hw: tuple[int, int], valid: np.ndarray, beard: np.ndarray) -> np.ndarray:
    """(H,W) one inside the face, falling to zero before its outline, and beside its features where no texture is valid.

    What a layered generator draws itself is soft beside a photo of more than 128 px, and where the source's face is
    behind hair it draws a stain: the target's own cheek and temple look better. A source's beard reaches to the jaw.
    """
    width = regions.face_width(mesh)
    oval = regions.oval(mesh, shape_hw)
    there = regions.eroded(oval, _EDGE * width) * np.maximum(valid, regions.features(mesh, shape_hw))
    shown = regions.feathered(there, _SOFT * width)
    if beard.any():
        shown = np.maximum(shown, beard * regions.feathered(oval, _SOFT_BEARD * width))
    return shown
