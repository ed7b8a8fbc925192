"""What an evaluation finds: examined faces, results of pairs, of methods, and of the whole run."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from reliableswap.faces.face import Face

from .metrics.intervals import Estimate
from .protocols.shots import Pair, Shot


@dataclass(frozen=True, eq=False)
class ExaminedFace:
    """A face with the judges' vectors and a small JPEG; lower and features are None if nobody asked for them."""

    face: Face
    vector: np.ndarray
    lower: np.ndarray | None
    features: np.ndarray | None
    thumbnail: bytes

    @property
    def mesh(self) -> np.ndarray:
        """(468,3)"""
        return self.face.mesh


@dataclass(eq=False)
class PairResult:
    """A method's result for a pair: metric -> value, or the reason why it failed."""

    pair: Pair
    metrics: dict[str, float] = field(default_factory=dict)
    failure: str = ""
    face: ExaminedFace | None = None


@dataclass(eq=False)
class MethodResult:
    """A method's results: by pair, metric -> mean with interval, and the Fréchet distances to four sets of photos.

    frechet_others: photos that no pair uses; frechet_photos: all photos of the pairs; frechet: the targets;
    frechet_sources: the sources. None: too few pictures.
    """

    name: str
    control: bool
    pairs: list[PairResult]
    estimates: dict[str, Estimate] = field(default_factory=dict)
    frechet_others: float | None = None
    frechet_photos: float | None = None
    frechet: float | None = None
    frechet_sources: float | None = None


@dataclass(frozen=True)
class FrechetDifference:
    """The Fréchet distance of method `one` minus that of method `other`.

    to: which distance, by its name in MethodResult: `frechet_others` or `frechet_photos`.
    """

    one: str
    other: str
    to: str
    estimate: Estimate


@dataclass(eq=False)
class Evaluation:
    """The results of all methods over the same pairs.

    left_out: name of a pair whose own photos show no face -> reason; calibration: what the judge says of real photos;
    others: number of examined photos that no pair uses.
    """

    pairs: list[Pair]
    faces: dict[Shot, ExaminedFace]
    methods: list[MethodResult]
    left_out: dict[str, str]
    calibration: dict[str, float]
    frechet_differences: list[FrechetDifference] = field(default_factory=list)
    others: int = 0
