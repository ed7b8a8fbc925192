"""The filter that separates the person's part of a face's shape from the photo's."""

from __future__ import annotations

import numpy as np
import pytest
from support.tool_faces import MIRROR

from reliableswap.errors import ReliableSwapError
from tools.mean_face import reflected
from tools.person_shape import area, person_filter, separation


def planted(rng: np.random.Generator, people: int, photos: int) -> tuple[np.ndarray, ...]:
    """Departures whose first direction is the person's and whose second is the photo's."""
    directions = rng.normal(0, 1, (2, 468, 3))
    directions = directions + reflected(directions, MIRROR)
    directions /= np.linalg.norm(directions, axis=(1, 2), keepdims=True)
    who = np.repeat(np.arange(people), photos)
    person = rng.normal(0, 0.5, people)[who]
    moment = rng.normal(0, 0.8, people * photos)
    noise = rng.normal(0, 0.0005, (len(who), 468, 3))
    forms = np.einsum("nk,kpc->npc", np.column_stack([person, moment]), directions) + noise
    return forms, np.array([f"p{w}" for w in who]), directions.reshape(2, -1)


def test_the_persons_part_passes_and_the_photos_part_does_not(rng: np.random.Generator) -> None:
    forms, people, (person, moment) = planted(rng, 80, 3)
    filter = person_filter(forms, people, MIRROR, modes=1)
    assert filter.shares[0] > 0.95
    passed = filter(np.stack([person, moment]))
    assert passed[0] @ person > 0.9
    assert np.linalg.norm(passed[1]) < 0.1
    unseen, others, _ = planted(np.random.default_rng(0), 30, 2)  # the same seed plants the same directions
    figures = separation(filter, unseen, others, seed=0)
    assert figures["area_filtered"] > 0.9 > 0.75 > figures["area_raw"]
    assert figures["passed_same"] < 0.2 < figures["passed_others"]


def test_one_photo_per_person_is_an_error(rng: np.random.Generator) -> None:
    forms = rng.normal(0, 0.1, (6, 468, 3))
    with pytest.raises(ReliableSwapError, match="no two photos of one person among 6"):
        person_filter(forms, np.array(list("abcdef")), MIRROR, 2)
    forms, people, _ = planted(rng, 10, 2)
    filter = person_filter(forms, people, MIRROR, 1)
    with pytest.raises(ReliableSwapError, match="add photos"):
        separation(filter, forms[::2], people[::2], 0)


def test_the_area_counts_pairs_in_order_and_ties_half() -> None:
    assert area(np.array([3.0, 4.0]), np.array([1.0, 2.0])) == 1
    assert area(np.array([1.0, 3.0]), np.array([1.0, 2.0])) == pytest.approx((0.5 + 0 + 1 + 1) / 4)
