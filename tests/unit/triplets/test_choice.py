"""What is said of few photos for many pairs."""

from __future__ import annotations

import numpy as np

from reliableswap.triplets.choice import Choice, overused


def chosen(**photos: int) -> Choice:
    members = {name: np.arange(count) for name, count in photos.items()}
    return Choice(members, {}, np.zeros(0), np.zeros(0, np.int64))


def test_a_thousand_pairs_of_a_dozen_photos_are_too_many() -> None:
    text = overused(chosen(train=12, validation=0, test=40), {"train": 1000, "test": 20})
    assert text is not None
    assert "1,000 pairs of 12 photos in train, each about 166 times" in text
    assert "test" not in text
    assert "--pairs 320" in text  # 300 of train, 20 of test


def test_nothing_is_said_of_enough_photos() -> None:
    assert overused(chosen(train=60, test=10), {"train": 1000, "test": 100}) is None
