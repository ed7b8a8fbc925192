"""Who becomes whose partner."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence

import numpy as np

from reliableswap.triplets.pairing import Members, Pair, Pairing
from reliableswap.triplets.run_plan import FACE
from reliableswap.triplets.settings import PairSettings, TripletSettings


def faces_of(angles: np.ndarray, light: np.ndarray | None = None) -> np.ndarray:
    faces = np.zeros(len(angles), FACE)
    faces["yaw"], faces["pitch"] = angles.T
    faces["light"] = (0.0, 0.0, 10.0) if light is None else light
    return faces


def pairing(
    people: np.ndarray, angles: np.ndarray, embeddings: np.ndarray | None = None, **limits
) -> Pairing:
    settings = TripletSettings(pairing=PairSettings(**limits))
    members = Members.of(np.arange(len(people)), faces_of(angles), people, 10 * len(people), 0, "train")
    return Pairing(settings, "train", members, embeddings)


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


def test_a_pair_depends_only_on_slot_and_attempt(rng: np.random.Generator) -> None:
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


def plain_pair(
    settings: TripletSettings,
    split: str,
    used: Sequence[int],
    person: Sequence[int],
    faces: np.ndarray,
    vectors: np.ndarray,
    slot: int,
    attempt: int,
) -> Pair:
    """The same pair, computed from plain lists. The rule must not change, or unfinished runs can't be resumed."""
    text = zlib.crc32(split.encode())
    epoch, place = divmod(slot, len(used))
    order = np.random.default_rng([settings.seed, 1 << 32 | text, epoch]).permutation(len(used))
    a = used[order[place]]
    rng = np.random.default_rng([settings.seed, text, slot, attempt, 0])
    drawn = [used[k] for k in rng.integers(0, len(used), settings.pairing.candidates)]
    best, least = -1, np.inf
    for other in drawn:
        if person[other] == person[a]:
            continue
        turn = np.hypot(*(faces[name][other] - faces[name][a] for name in ("yaw", "pitch")))
        light = np.sqrt(sum((faces["light"][other] - faces["light"][a]) ** 2))
        excess = max(turn / settings.pairing.max_turn, light / settings.pairing.max_light)
        if excess < least:
            best, least = other, excess
        if excess <= 1:
            break

    def another(one: int) -> int | None:
        same = [i for i in used if person[i] == person[one] and i != one]
        same = [i for i in same if vectors[i] @ vectors[one] >= settings.filter.min_same]
        return same[rng.integers(len(same))] if same else None

    return Pair(a, best, another(a), another(best))


def test_pairs_are_those_of_a_plain_search(rng: np.random.Generator) -> None:
    person = rng.integers(0, 40, 150)
    faces = faces_of(rng.normal(0, 15, (150, 2)), rng.normal(0, 8, (150, 3)))
    vectors = rng.normal(size=(40, 8))[person] + 0.7 * rng.normal(size=(150, 8))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    used = np.flatnonzero(rng.random(150) < 0.8)
    settings = TripletSettings(seed=5, pairing=PairSettings(candidates=12))
    pairs = Pairing(settings, "test", Members.of(used, faces, person, 300, 5, "test"), vectors)
    plain = [used.tolist(), person.tolist(), faces, vectors]
    for slot in range(0, 300, 3):
        for attempt in (0, 2):
            assert pairs.pair(slot, attempt) == plain_pair(settings, "test", *plain, slot, attempt)
    for photo in used[:5]:
        others = used[used != photo]
        drawn = others[np.random.default_rng(1).integers(len(others))]
        assert pairs.another_photo(int(photo), np.random.default_rng(1)) == drawn
