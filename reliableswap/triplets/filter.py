"""Decide whether a surrogate is good enough to learn from. Every check names its reason, and reasons are counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reliableswap.faces.quality import sharpness

from .settings import FilterSettings
from .surrogates.target import Surrogate


@dataclass(frozen=True)
class Likeness:
    """Cosines of a surrogate's identity with those of its source and of its target."""

    to_source: float
    to_target: float


def reason_by_picture(surrogate: Surrogate, target_sharpness: float, settings: FilterSettings) -> str | None:
    """Why a surrogate without padding is dropped for its looks, or None."""
    if not np.isfinite(surrogate.face.mesh).all() or surrogate.folded > settings.max_folded:
        return "geometry"
    if surrogate.shown < settings.min_shown:
        return "source hidden"
    kept = sharpness(surrogate.face.crop) / max(target_sharpness, 1e-6)
    return "blurred" if kept < settings.min_sharpness_kept else None


def reason_by_identity(likeness: Likeness, settings: FilterSettings) -> str | None:
    """Why a surrogate is dropped for its identity, or None."""
    if likeness.to_source < settings.min_to_source:
        return "unlike source"
    if likeness.to_target > min(settings.max_to_target, likeness.to_source):
        return "like target"
    return None
