"""Which photos are used, and the warning about too few photos for many pairs."""

from __future__ import annotations

import numpy as np

from reliableswap.triplets.choice import Choice, choose_photos, reuse_warning
from reliableswap.triplets.run_plan import FACE
from reliableswap.triplets.settings import TripletSettings


def test_a_thousand_pairs_of_a_dozen_photos_give_a_warning() -> None:
    text = reuse_warning({"train": 12, "validation": 0, "test": 40}, {"train": 1000, "test": 20})
    assert text is not None
    assert "1,000 pairs of 12 photos in train, each used about 166 times" in text
    assert "test" not in text
    assert "--pairs 320" in text  # 300 of train, 20 of test


def test_enough_photos_give_no_warning() -> None:
    assert reuse_warning({"train": 60, "test": 10}, {"train": 1000, "test": 100}) is None


def good_faces(count: int, rng: np.random.Generator) -> np.recarray:
    faces = np.zeros(count, FACE).view(np.recarray)
    faces.enlargement, faces.sharpness, faces.score = 0.5, 0.4, 0.9
    faces.hash = rng.integers(0, 2**63, (count, 4))
    return faces


def test_every_photo_that_is_not_used_has_its_first_reason(rng: np.random.Generator) -> None:
    faces = good_faces(8, rng)
    faces.why[[0, 6]] = 1, 2
    faces.enlargement[1], faces.sharpness[1] = 9, 0
    faces.yaw[2] = -80
    faces.hash[3], faces.sharpness[4] = faces.hash[4], 0.3
    choice = choose_photos(
        faces, ["", "no face", "unreadable"], np.array([0] * 5 + [2] * 3), TripletSettings()
    )
    assert [choice.reasons[k] for k in choice.why] == [
        "no face", "small", "turned", "", "duplicate", "", "unreadable", "",
    ]  # fmt: skip
    assert {name: members.tolist() for name, members in choice.members.items()} == {
        "train": [3], "validation": [], "test": [5, 7],
    }  # fmt: skip
    assert list(choice.counts.items()) == [
        ("no face", 1), ("small", 1), ("turned", 1), ("unreadable", 1), ("duplicate", 1),
    ]  # fmt: skip
    assert faces.quality[0] == 0 < faces.quality[4] < faces.quality[3]


def test_without_reasons_none_is_counted(rng: np.random.Generator) -> None:
    assert not Choice({}, [""], np.zeros(3, np.uint8)).counts
    choice = choose_photos(good_faces(3, rng), [""], np.zeros(3), TripletSettings())
    assert choice.reasons == [""]
