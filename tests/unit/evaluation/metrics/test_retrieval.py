"""Identity retrieval, in galleries with known results."""

from __future__ import annotations

import numpy as np
import pytest

from reliableswap.evaluation.metrics.retrieval import ranks


@pytest.fixture
def gallery(rng: np.random.Generator) -> np.ndarray:
    """(50,16) unit vectors, one per person"""
    vectors = rng.normal(size=(50, 16))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


NAMES = [f"p{i}" for i in range(50)]


def test_a_copy_ranks_first(gallery: np.ndarray) -> None:
    assert (ranks(gallery, NAMES, gallery, NAMES) == 1).all()


def test_shuffled_names_rank_by_chance(gallery: np.ndarray, rng: np.random.Generator) -> None:
    queries = np.repeat(gallery, 40, axis=0) + rng.normal(0, 0.01, (2000, 16))
    shuffled = [NAMES[i] for i in rng.permutation(np.repeat(np.arange(50), 40))]
    found = ranks(queries, shuffled, gallery, NAMES)
    assert (found == 1).mean() == pytest.approx(1 / 50, abs=0.012)
    assert (found <= 5).mean() == pytest.approx(5 / 50, abs=0.03)


def test_a_person_is_as_near_as_their_nearest_photo() -> None:
    gallery = np.array([[1.0, 0], [0, 1], [0.6, 0.8]])
    people = ["a", "b", "a"]
    assert ranks(np.array([[0.6, 0.8]]), ["a"], gallery, people)[0] == 1
    assert ranks(np.array([[0.1, 0.9]]), ["a"], gallery, people)[0] == 2


def test_a_tie_counts_against_the_query() -> None:
    alike = np.ones((4, 3))
    assert (ranks(alike[:1], ["b"], alike, list("abcd")) == 4).all()


def test_a_person_missing_from_the_gallery_is_an_error() -> None:
    with pytest.raises(ValueError, match="no photo of z"):
        ranks(np.ones((1, 3)), ["z"], np.ones((4, 3)), list("abcd"))
