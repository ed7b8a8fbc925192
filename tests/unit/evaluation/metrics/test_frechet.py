"""The Fréchet distance and the difference of two distances."""

from __future__ import annotations

import numpy as np
import pytest

from reliableswap.errors import ReliableSwapError
from reliableswap.evaluation.metrics import frechet


def test_frechet_distance_in_closed_form(rng: np.random.Generator) -> None:
    x = rng.normal(size=(500, 6)) @ rng.normal(size=(6, 6))
    shift = np.arange(6.0)
    assert frechet.frechet_distance(x, x) == pytest.approx(0, abs=1e-8)
    assert frechet.frechet_distance(x, x + shift) == pytest.approx((shift**2).sum(), rel=1e-9)
    x -= x.mean(0)
    # Covariances C and 4C commute: the distance is the trace of (2-1)² C.
    assert frechet.frechet_distance(x, 2 * x) == pytest.approx(np.trace(np.cov(x, rowvar=False)), rel=1e-9)


def test_frechet_distance_holds_with_fewer_pictures_than_features(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(20, 64)), rng.normal(size=(30, 64))
    there, back = frechet.frechet_distance(x, y), frechet.frechet_distance(y, x)
    assert there == pytest.approx(back, rel=1e-6)
    assert there > 0
    assert frechet.frechet_distance(x, x[::-1]) == pytest.approx(0, abs=1e-6)


@pytest.fixture
def sets(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Features of real photos, of two methods near to them, and of one farther away."""
    return {
        "real": rng.normal(size=(300, 4)),
        "near": rng.normal(size=(200, 4)),
        "also near": rng.normal(size=(200, 4)),
        "far": rng.normal(size=(200, 4)) + 1,
    }


NAMES = [str(i) for i in range(200)]


def test_the_difference_detects_a_farther_method(sets: dict[str, np.ndarray]) -> None:
    far, near, real = sets["far"], sets["near"], sets["real"]
    found = frechet.frechet_difference(far, near, real, NAMES)
    assert found.value == pytest.approx(
        frechet.frechet_distance(far, real) - frechet.frechet_distance(near, real)
    )
    assert 0 < found.low < found.value < found.high
    back = frechet.frechet_difference(near, far, real, NAMES)
    assert (back.value, back.low, back.high) == pytest.approx((-found.value, -found.high, -found.low))


def test_the_difference_of_two_near_methods_may_be_zero(sets: dict[str, np.ndarray]) -> None:
    found = frechet.frechet_difference(sets["near"], sets["also near"], sets["real"], NAMES)
    assert found.low < 0 < found.high


def test_frames_of_one_video_say_less_than_as_many_pictures(
    sets: dict[str, np.ndarray], rng: np.random.Generator
) -> None:
    videos = [str(i // 20) for i in range(200)]
    frames = sets["far"] + np.repeat(rng.normal(size=(10, 4)), 20, 0)
    together, alone = (
        frechet.frechet_difference(frames, sets["near"], sets["real"], groups) for groups in (videos, NAMES)
    )
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_the_interval_is_as_wide_as_other_pairs_would_differ(rng: np.random.Generator) -> None:
    real, names = rng.normal(size=(400, 3)), [str(i) for i in range(100)]
    values, widths = [], []
    for _ in range(40):
        one = frechet.frechet_difference(
            rng.normal(size=(100, 3)) * 1.3, rng.normal(size=(100, 3)) + 0.5, real, names
        )
        values.append(one.value)
        widths.append((one.high - one.low) / 2 / 1.96)
    assert np.median(widths) == pytest.approx(np.std(values), rel=0.35)


def test_too_few_pictures_and_unequal_features_are_refused(rng: np.random.Generator) -> None:
    with pytest.raises(ReliableSwapError, match="at least 16"):
        frechet.frechet_distance(rng.normal(size=(15, 4)), rng.normal(size=(50, 4)))
    with pytest.raises(ReliableSwapError, match="shapes"):
        frechet.frechet_distance(rng.normal(size=(20, 4)), rng.normal(size=(20, 5)))
