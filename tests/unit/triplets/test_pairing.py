"""Who becomes whose partner."""

from __future__ import annotations

from collections import Counter

import numpy as np

from reliableswap.triplets import quality
from reliableswap.triplets.choice import Choice
from reliableswap.triplets.pairing import Pairing
from reliableswap.triplets.settings import PairSettings, TripletSettings


class FakeRecords:
    """Only what Pairing asks of records."""

    def __init__(self, angles: np.ndarray, embeddings: np.ndarray | None = None) -> None:
        self.measures = [
            quality.Measures(0.5, 0.4, 0.9, float(yaw), float(pitch), 0.0, 0.2, (0.0, 0.0, 10.0))
            for yaw, pitch in angles
        ]
        self.embeddings = embeddings


def pairing(
    people: np.ndarray, angles: np.ndarray, embeddings: np.ndarray | None = None, **limits
) -> Pairing:
    count = len(people)
    choice = Choice({"train": np.arange(count)}, {}, np.ones(count), people)
    wanted = TripletSettings(pairing=PairSettings(**limits))
    return Pairing(FakeRecords(angles, embeddings), choice, wanted, "train")


def test_partners_are_other_people_near_in_pose_and_every_photo_is_used(rng: np.random.Generator) -> None:
    people = rng.integers(0, 30, 120)
    angles = np.column_stack([rng.uniform(-30, 30, 120), rng.uniform(-10, 10, 120)])
    pairs = pairing(people, angles, max_turn=12.0)
    chosen = [pairs.pair(slot) for slot in range(240)]
    assert Counter(p.a for p in chosen) == dict.fromkeys(range(120), 2)
    assert all(people[p.a] != people[p.b] for p in chosen)
    assert np.mean([np.linalg.norm(angles[p.a] - angles[p.b]) <= 12 for p in chosen]) > 0.9
    for p in chosen:
        same = [i for i in np.flatnonzero(people == people[p.a]) if i != p.a]
        assert (p.other_a in same) if same else p.other_a is None
    anyone = pairing(people, angles, max_turn=np.inf, max_light=np.inf)
    far = [np.linalg.norm(angles[p.a] - angles[p.b]) for p in map(anyone.pair, range(240))]
    assert np.median(far) > 12


def test_a_pair_follows_from_slot_and_attempt_alone(rng: np.random.Generator) -> None:
    people, angles = np.arange(50) // 2, rng.uniform(-20, 20, (50, 2))
    one, other = pairing(people, angles), pairing(people, angles)
    forwards = [one.pair(slot) for slot in range(60)]
    assert [other.pair(slot) for slot in reversed(range(60))] == forwards[::-1]
    second = [one.pair(slot, attempt=1) for slot in range(60)]
    assert [p.a for p in second] == [p.a for p in forwards]
    assert sum(p.b != q.b for p, q in zip(second, forwards, strict=True)) > 40


def test_a_partner_is_found_where_one_person_has_nearly_all_photos() -> None:
    people = np.zeros(400, int)
    people[399] = 1
    pairs = pairing(people, np.zeros((400, 2)))
    assert all(pairs.pair(slot).b == 399 for slot in range(400) if pairs.pair(slot).a != 399)


def test_the_other_photo_must_look_like_the_same_person() -> None:
    people = np.array([0, 0, 0, 1])
    vectors = np.eye(4, dtype=np.float32)
    vectors[1] = vectors[0]  # 0 and 1 are one person, 2 is filed under a wrong name
    pairs = pairing(people, np.zeros((4, 2)), vectors)
    others = {p.a: p.other_a for p in map(pairs.pair, range(40))}
    assert others == {0: 1, 1: 0, 2: None, 3: None}
