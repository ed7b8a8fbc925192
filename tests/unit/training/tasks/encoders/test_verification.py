"""Verification of held-out people."""

from __future__ import annotations

import numpy as np
import pytest

from reliableswap.data.crops import Crops
from reliableswap.errors import ReliableSwapError
from reliableswap.training.tasks.encoders.verification import best_threshold, draw_pairs, verification


def test_verification_uses_thresholds_of_other_folds_and_chance_is_a_half(rng: np.random.Generator) -> None:
    same = np.arange(400) % 2 == 0
    assert verification(np.where(same, 0.7, 0.2) + rng.normal(0, 0.01, 400), same) == 1.0
    assert verification(rng.random(400), same) == pytest.approx(0.5, abs=0.08)
    spread = np.where(same, 1.0, -1.0) + rng.normal(0, 1, 400)
    assert verification(spread, same) == pytest.approx(
        0.841, abs=0.05
    )  # the normal distribution at one sigma
    assert best_threshold(np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True])) == 0.5


def test_pairs_are_labelled_correctly(crops: Crops) -> None:
    pairs = draw_pairs(crops, crops.rows(False), 100)
    people = np.array([crops.shown[i].person for i in pairs.rows])
    assert np.array_equal(people[pairs.left] == people[pairs.right], pairs.same)
    assert (pairs.rows[pairs.left] != pairs.rows[pairs.right]).all()
    assert pairs.same.mean() == 0.5
    with pytest.raises(ReliableSwapError, match="1 of the held-out people"):
        draw_pairs(crops, crops.rows(False)[:2], 100)
