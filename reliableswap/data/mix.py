"""The kinds of training samples that a triplet gives."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np

from reliableswap.errors import ReliableSwapError

KINDS = ("cycle", "naive", "real_source", "reconstruction", "vanilla", "surrogate_source")
NO_TRUTH = ("vanilla",)
# The kinds whose truth is a real photo.
PHOTO_TRUTH = ("cycle", "real_source", "reconstruction", "surrogate_source")


@dataclass(frozen=True)
class Mix:
    """The share of each kind, relative to the others. C_ab has the attributes of a and the identity of b.

    cycle           target C_ab, source C_ba, truth C_a
    naive           target C_a, source C_b, truth C_ab, which is synthetic
    real_source     target C_ab, source another real photo of a, truth C_a; cycle if there is only one photo of a
    reconstruction  target C_a, truth C_a, source C_a or, half the time, another photo of a if there is one
    vanilla         target C_a, source C_b, no truth
    surrogate_source  target C_ab, source another picture made from C_a, truth C_a; cycle if the row has none

    strangers: the share of vanilla samples whose source is a photo of another row. Partners were chosen for a similar
    pose and light, so that their surrogates are good; without a truth that is not needed.
    """

    cycle: float = 0.4
    naive: float = 0.0
    real_source: float = 0.2
    reconstruction: float = 0.1
    vanilla: float = 0.3
    surrogate_source: float = 0.0
    strangers: float = 0.0

    def __post_init__(self) -> None:
        weights = [getattr(self, kind) for kind in KINDS]
        if min(weights) < 0 or sum(weights) <= 0:
            raise ReliableSwapError(
                f"the mix is {asdict(self)}; give weights of 0 or more, not all of them 0"
            )
        if not 0 <= self.strangers <= 1:
            raise ReliableSwapError(f"strangers is {self.strangers}; choose a share from 0 to 1")

    @cached_property
    def shares(self) -> np.ndarray:
        """(6,) in the order of KINDS, with sum 1."""
        weights = np.array([getattr(self, kind) for kind in KINDS], np.float64)
        return np.asarray(weights / weights.sum())

    def draw(self, rng: np.random.Generator, truth: bool | None = None) -> str:
        """Draw a kind: any, or only of those with (True) or without (False) a truth."""
        shares = self.shares
        if truth is not None:
            shares = shares * [(kind in NO_TRUTH) != truth for kind in KINDS]
            shares = shares / shares.sum()
        return KINDS[int(rng.choice(len(KINDS), p=shares))]

    def check_alternation(self) -> None:
        """Raise unless there are samples with a truth and samples without."""
        none = sum(getattr(self, kind) for kind in NO_TRUTH)
        if not 0 < none < sum(getattr(self, kind) for kind in KINDS):
            raise ReliableSwapError(
                f"alternating needs samples with and without a truth, but the mix is {asdict(self)}"
            )
