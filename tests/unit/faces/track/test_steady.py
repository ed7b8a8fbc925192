"""Decisions, numbers and masks along a track."""

from __future__ import annotations

import numpy as np
import pytest

from reliableswap.errors import ReliableSwapError
from reliableswap.faces.track import Hysteresis, MaskSmoother, TrackSmoother

RNG = np.random.default_rng(0)


def test_a_decision_changes_only_after_several_values_beyond_the_other_limit() -> None:
    decide = Hysteresis(0.7, 0.3, count=2)
    values = [0.1, 0.6, 0.9, 0.2, 0.8, 0.9, 0.4, 0.5, 0.2, 0.6, 0.1, 0.2, 0.6]
    answers = [decide(0, frame, value) for frame, value in enumerate(values)]
    assert answers == [False] * 5 + [True] * 6 + [False] * 2


def test_noise_around_one_limit_does_not_flicker() -> None:
    decide = Hysteresis(0.7, 0.3)
    noisy = 0.7 + 0.2 * RNG.standard_normal(300)
    answers = [decide(0, frame, float(value)) for frame, value in enumerate(noisy)]
    plain = np.abs(np.diff(noisy >= 0.7)).sum()
    assert np.abs(np.diff(np.array(answers, int))).sum() <= 2 < plain


def test_tracks_are_told_apart_and_a_long_gap_forgets() -> None:
    decide = Hysteresis(0.7, 0.3, window=5)
    for frame in range(4):
        assert decide(0, frame, 0.9)
        assert not decide(1, frame, 0.1)
    assert decide(0, 4, 0.4)
    assert not decide(0, 30, 0.4)


@pytest.mark.parametrize("start", [9, 20, 31])
def test_a_later_start_gives_the_same_values_after_one_window(start: int) -> None:
    values, window = RNG.random(40), 8
    whole, late = (Hysteresis(0.6, 0.4, window=window) for _ in range(2))
    mean, mean_late = (TrackSmoother(window=window) for _ in range(2))
    all_answers = [(whole(0, i, float(v)), float(mean(0, i, v))) for i, v in enumerate(values)]
    first = start - (window - 1)
    answers = [(late(0, i, float(values[i])), float(mean_late(0, i, values[i]))) for i in range(first, 40)]
    assert answers[window - 1 :] == all_answers[start:]


def test_numbers_are_steadied_and_follow() -> None:
    smooth = TrackSmoother(window=8, half_life=2.0)
    noisy = np.array([5.0, 1.0]) + 0.1 * RNG.standard_normal((100, 2))
    made = np.array([smooth(0, frame, value) for frame, value in enumerate(noisy)])
    assert made[20:].std(0).max() < 0.6 * noisy[20:].std(0).min()
    assert smooth(1, 100, np.array([9.0, 9.0])).tolist() == [9.0, 9.0]
    for frame in range(100, 110):
        last = smooth(0, frame, np.array([0.0, 0.0]))
    assert np.abs(last).max() < 1e-6


def test_masks_move_with_the_face() -> None:
    smooth = MaskSmoother()
    points = np.array([[20, 20], [40, 20], [30, 30], [23, 40], [37, 40]], float)

    def mask_at(shift: int, size: int) -> np.ndarray:
        mask = np.zeros((size, size), np.float32)
        mask[20:40, 22 + shift : 38 + shift] = 1
        return mask

    for frame, shift in enumerate((0, 6, 12)):
        size = 60 + 8 * frame  # regions around a face differ in size
        made = smooth(0, frame, mask_at(shift, size), points + np.array([shift, 0]))
        assert np.abs(made - mask_at(shift, size)).max() < 1e-3
    # A mask that is missing in one frame fades instead of vanishing.
    gone = smooth(0, 3, np.zeros((84, 84), np.float32), points + np.array([12, 0]))
    assert 0.2 < gone[30, 42] < 0.6


@pytest.mark.parametrize(
    "made", [lambda: Hysteresis(0.2, 0.5), lambda: Hysteresis(0.5, 0.2, count=9, window=4)]
)
def test_limits_that_make_no_sense_are_refused(made: object) -> None:
    with pytest.raises(ReliableSwapError, match="give"):
        made()  # type: ignore[operator]


def test_a_window_of_nothing_is_refused() -> None:
    with pytest.raises(ReliableSwapError, match="at least 1"):
        TrackSmoother(window=0)
