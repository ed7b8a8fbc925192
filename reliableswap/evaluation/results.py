"""The results of an evaluation: of faces, pairs, methods and the whole run."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from reliableswap.faces.face import Face

from .metrics.intervals import Estimate
from .natural.views import FaceViews
from .protocols.shots import Pair, Shot


@dataclass(frozen=True, eq=False)
class ExaminedFace:
    """A face with the judges' vectors and a small JPEG; lower and features are None if not requested."""

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
    """A method's result for a pair: metric -> value, or the reason why it failed or was refused.

    refused: a safety gate refused the pair; it then has no metrics and counts in no figure.
    """

    pair: Pair
    metrics: dict[str, float] = field(default_factory=dict)
    failure: str = ""
    face: ExaminedFace | None = None
    views: FaceViews | None = None
    refused: bool = False


@dataclass(eq=False)
class MethodResult:
    """A method's results: pairs, metric -> mean with interval, and Fréchet distances to four sets of photos.

    frechet_others: photos that no pair uses; frechet_photos: all photos of the pairs; frechet: the targets;
    frechet_sources: the sources. None: too few pictures. told_photos: for each metric "told from photos", the share
    of each photo's comparisons that the probe gets right.
    """

    name: str
    control: bool
    pairs: list[PairResult]
    estimates: dict[str, Estimate] = field(default_factory=dict)
    frechet_others: float | None = None
    frechet_photos: float | None = None
    frechet: float | None = None
    frechet_sources: float | None = None
    told_photos: dict[str, np.ndarray] = field(default_factory=dict)


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

    left_out: name of a pair with a photo that shows no face -> reason; calibration: the judge's mean cosines on real
    photos; others: number of examined photos that no pair uses; real_photos, real_people: number of photos that results
    are told from, and of people in them; best: metric -> the method whose lead over every other one exceeds chance.
    """

    pairs: list[Pair]
    faces: dict[Shot, ExaminedFace]
    methods: list[MethodResult]
    left_out: dict[str, str]
    calibration: dict[str, float]
    frechet_differences: list[FrechetDifference] = field(default_factory=list)
    others: int = 0
    real_photos: int = 0
    real_people: int = 0
    best: dict[str, str] = field(default_factory=dict)
