"""Decisions over a clip: when to look at a frame, and how the looks add up."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from statistics import median

from .age import DOUBT, DOUBT_YEARS, MINOR, MINOR_YEARS, AgeEstimate

ENTER, LEAVE = 0.8, 0.5  # nudity starts and ends at these scores
CERTAIN = 0.95  # one look at this score is enough


@dataclass
class LookSchedule:
    """When to look at a clip: at the first frame, at each cut, and at least every `every` seconds."""

    every: float = 1.0
    _last: float = -math.inf

    def due(self, time: float, cut: bool = False) -> bool:
        """Whether to look at the frame at this time in seconds; if so, it counts as looked at."""
        if not cut and self._last <= time < self._last + self.every:
            return False
        self._last = time
        return True


@dataclass
class NudityTrack:
    """Scores of a clip in order, with hysteresis: one doubtful frame of an honest clip does not refuse it.

    Nudity is seen when one score reaches CERTAIN, or two reach ENTER with none below LEAVE between them. It ends with a
    score below LEAVE.
    """

    seen: bool = False  # at the last look
    refused: bool = False  # anywhere in the clip
    _suspected: bool = False

    def add(self, score: float) -> bool:
        """Add the highest score of a look; return whether nudity is seen now. NaN counts as certain."""
        certain, high, low = not score < CERTAIN, not score < ENTER, score < LEAVE
        self.seen = certain or (high and self._suspected) or (self.seen and not low)
        self._suspected = (high or self._suspected) and not low
        self.refused = self.refused or self.seen
        return self.seen


@dataclass
class AgeTrack:
    """Estimates of one face over a clip; their medians decide."""

    estimates: list[AgeEstimate] = field(default_factory=list)

    def add(self, estimate: AgeEstimate) -> None:
        self.estimates.append(estimate)

    @property
    def estimate(self) -> AgeEstimate:
        """The medians; without a look, or if a probe score is NaN, an estimate that refuses."""
        if not self.estimates:
            return AgeEstimate(math.nan)
        if any(math.isnan(one.probe) for one in self.estimates):
            return AgeEstimate(math.nan)
        probe = median(one.probe for one in self.estimates)
        years = [one.years for one in self.estimates if one.years is not None]
        # The second network runs only in doubt; on the other frames the face was clearly adult.
        years += [math.inf] * (len(self.estimates) - len(years))
        return AgeEstimate(probe, median(years))

    @property
    def may_be_minor(self) -> bool:
        return self.estimate.may_be_minor

    def surely_adult(self, looks: int) -> bool:
        """Whether the medians of `looks` looks will find an adult, whatever the remaining ones say."""
        known = [(one.probe, math.inf if one.years is None else one.years) for one in self.estimates]
        by_probe = sum(probe >= DOUBT and years >= MINOR_YEARS for probe, years in known)
        by_years = sum(probe >= MINOR and years >= DOUBT_YEARS for probe, years in known)
        return 2 * max(by_probe, by_years) > looks
