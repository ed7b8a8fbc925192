"""What an evaluation finds: faces as the judges saw them, rows, methods, and all of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from reliableswap.evaluation.metrics.statistics import Estimate
from reliableswap.evaluation.protocols.shots import Pair, Shot
from reliableswap.faces.face import Face


@dataclass(frozen=True, eq=False)
class Subject:
    """A face as the judges saw it, and a small JPEG of it."""

    face: Face
    vector: np.ndarray
    lower: np.ndarray | None
    features: np.ndarray | None
    thumbnail: bytes

    @property
    def mesh(self) -> np.ndarray:
        return self.face.mesh


@dataclass(eq=False)
class Row:
    """A method's result for a pair: its figures, or why there are none."""

    pair: Pair
    figures: dict[str, float] = field(default_factory=dict)
    failure: str = ""
    subject: Subject | None = None


@dataclass(eq=False)
class MethodResult:
    """A method's rows, means with intervals by figure, and Fréchet distances to real photos.

    To photos that no result was made of, to all of the pairs' photos, to the targets alone and to the sources alone.
    """

    name: str
    control: bool
    rows: list[Row]
    estimates: dict[str, Estimate] = field(default_factory=dict)
    frechet_others: float | None = None
    frechet_photos: float | None = None
    frechet: float | None = None
    frechet_sources: float | None = None


@dataclass(frozen=True)
class FrechetDifference:
    """By how much the first method's Fréchet distance is larger than the second's.

    to: which one, by its name in MethodResult: `frechet_others` or `frechet_photos`.
    """

    one: str
    other: str
    to: str
    estimate: Estimate


@dataclass(eq=False)
class Evaluation:
    """All methods over the same pairs.

    left_out: pairs whose own photos show no face, with the reason; others: how many photos that no pair holds were
    looked at.
    """

    pairs: list[Pair]
    subjects: dict[Shot, Subject]
    methods: list[MethodResult]
    left_out: dict[str, str]
    calibration: dict[str, float]
    frechet_differences: list[FrechetDifference] = field(default_factory=list)
    others: int = 0
