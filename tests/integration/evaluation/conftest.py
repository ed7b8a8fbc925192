"""Evaluations that several tests share, each measured once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.evaluation_people import examiner

from reliableswap.errors import ReliableSwapError
from reliableswap.evaluation.measure import evaluate
from reliableswap.evaluation.methods import Result, SourcePhoto, UnchangedTarget
from reliableswap.evaluation.protocols.pairs import make_pairs
from reliableswap.evaluation.protocols.shots import Pair, Shot
from reliableswap.evaluation.results import Evaluation


@pytest.fixture(scope="session")
def controls(portraits: Path) -> Evaluation:
    """Both controls, whose results are known in advance."""
    pairs = make_pairs("identity-folders", portraits, 10, 0)
    return evaluate([UnchangedTarget(), SourcePhoto()], pairs, examiner(lower=True))


class Half:
    """A method that fails for every second pair: an error or a result without a face. Other results have half the size.

    Its name must be escaped in HTML.
    """

    name, control = "half <b>", False

    def __init__(self) -> None:
        self.count = 0

    def result(self, pair: Pair, target: Shot) -> Result:
        self.count += 1
        if self.count % 4 == 0:
            raise ReliableSwapError("it would not")
        image = target.read()
        made = np.full_like(image, 128) if self.count % 4 == 2 else image[::2, ::2].copy()
        return Result(made, 5.0 * self.count)


@pytest.fixture(scope="session")
def with_failures(portraits: Path) -> Evaluation:
    """A method that fails for every second pair, and a control."""
    pairs = make_pairs("identity-folders", portraits, 8, 1)
    return evaluate([Half(), UnchangedTarget()], pairs, examiner())
