"""Blend two faces given as pictures and meshes: the blend engine's core steps, which need no network.

Triplets are made this way, and the Space shows the steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from reliableswap.faces.visibility import Covers
from reliableswap.geometry.topology import checked_mesh, checked_picture
from reliableswap.imaging.bands import three_channels

from .engines import run
from .job import FaceJob
from .networks import Networks
from .person import Person
from .settings import SwapSettings
from .steps.bands import bands, shown_share
from .steps.recolour import recolour
from .steps.reshape import reshape
from .steps.texture import texture
from .subject import Subject

STEPS = (reshape, texture, recolour, bands)


@dataclass(frozen=True, eq=False)
class BlendResult:
    """image (H,W,3) uint8; mask (H,W) float32, zero where the photo is untouched; mesh (468,3) of the result's face;
    shown 0..1: the fraction of the face that the source's photo shows."""

    image: np.ndarray
    mask: np.ndarray
    mesh: np.ndarray
    shown: float
    _steps: Callable[[], dict[str, np.ndarray]] = dict

    @cached_property
    def steps(self) -> dict[str, np.ndarray]:
        """Pictures (H,W,3) and maps (H,W) of the photo's size by name: reshaped, texture, validity, reenacted,
        recoloured, blended."""
        return self._steps()


def blend_face(
    target: np.ndarray,
    target_mesh: np.ndarray,
    source: np.ndarray,
    source_mesh: np.ndarray,
    settings: SwapSettings | None = None,
    source_covers: Covers | None = None,
    target_covers: Covers | None = None,
    glasses: Any = None,
) -> BlendResult:
    """Blend the source's face into the target's photo (H,W,3); each mesh (468,3) is in its own picture's pixels.

    Pass `source_covers` = find_covers(source, source_mesh, glasses, strict=True) and `target_covers` =
    find_covers(target, target_mesh, glasses) for photos that are used repeatedly. `glasses` is a GlassesNet; without
    one, glasses are not looked for.
    """
    networks = Networks(glasses=glasses)
    target, target_mesh = checked_picture(target, "target"), checked_mesh(target_mesh, "target")
    source, source_mesh = checked_picture(source, "source"), checked_mesh(source_mesh, "source")
    ours = Subject.of_crop(target, target_mesh, networks, covers=target_covers)
    theirs = Subject.of_crop(source, source_mesh, networks, strict_covers=source_covers)
    job = FaceJob.start(ours, Person("source", (theirs,)), settings or SwapSettings(), networks)
    if job.settings.likeness == 0:
        return BlendResult(target.copy(), job.mask, ours.mesh, 0.0)
    job = run(STEPS, job)
    return BlendResult(job.image, job.mask, job.goal, shown_share(job), lambda: _pictures(job))


def _pictures(job: FaceJob) -> dict[str, np.ndarray]:
    """The steps' layers as pictures of the photo's size."""
    below = job.layer("reshaped")[job.window].astype(np.float32)
    valid = three_channels(np.minimum(job.layer("validity") * 4, 1))
    pieces = {
        "texture": job.layer("texture"),
        "validity": job.layer("validity"),
        "reenacted": np.rint(below + valid * (job.layer("texture") - below)).astype(np.uint8),
        "recoloured": np.rint(below + valid * (job.layer("recoloured") - below)).astype(np.uint8),
    }
    whole = job.layer("reshaped")
    steps = {"reshaped": whole, "blended": job.image}
    for name, piece in pieces.items():
        shown = name in ("reenacted", "recoloured")  # pictures; texture and validity are zero elsewhere
        placed = whole.copy() if shown else np.zeros((*job.target.shape, *piece.shape[2:]), piece.dtype)
        placed[job.window] = piece
        steps[name] = placed
    return steps
