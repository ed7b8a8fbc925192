"""TripletDataset: which pictures make a sample, in which order, and what augmentation may change."""

from __future__ import annotations

import dataclasses
import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from support.completed import Completed
from support.triplet_people import SIZE
from torch.utils.data import DataLoader

from reliableswap.data.augment import NONE, Augmentation, Jitter
from reliableswap.data.cells import decode_picture
from reliableswap.data.mix import KINDS, Mix
from reliableswap.data.samples import collate
from reliableswap.data.triplet_dataset import TripletDataset
from reliableswap.errors import ReliableSwapError


@pytest.fixture
def plain(made: Path) -> TripletDataset:
    return Completed(made, augmentation=NONE, mix=Mix(1, 1, 1, 1, 1, 1))


def test_samples_have_their_shapes_and_ranges(plain: TripletDataset) -> None:
    shapes = {
        "target": (3, SIZE, SIZE), "source": (3, SIZE, SIZE), "guidance": (4, SIZE, SIZE), "truth": (3, SIZE, SIZE),
        "has_truth": (), "face_mask": (1, SIZE, SIZE), "glasses": (4, SIZE, SIZE), "mesh": (468, 3),
        "kind": (), "front": (1, SIZE, SIZE), "identity_face": (3, SIZE, SIZE),
    }  # fmt: skip
    for i in range(12):
        sample = plain[i]
        assert {name: tuple(value.shape) for name, value in sample.items()} == shapes
        for name in ("target", "source", "truth"):
            assert -1 <= float(sample[name].min()) <= float(sample[name].max()) <= 1
        validity = sample["guidance"][3]
        assert 0 <= float(validity.min()) <= float(validity.max()) <= 1
        inside = float((validity * sample["face_mask"][0]).sum() / sample["face_mask"].sum())
        assert inside > 0.6
        if KINDS[int(sample["kind"])] == "vanilla":
            assert float(sample["has_truth"]) == 0
            assert float(sample["truth"].abs().max()) == 0
        else:
            assert float(sample["has_truth"]) == 1


def test_each_kind_is_made_of_the_right_pictures(made: Path, plain: TripletDataset) -> None:
    rows = [pq.read_table(path).to_pylist() for path in plain.shards]
    seen = Counter()
    for i in range(60):
        sample = plain.sample(i, np.random.default_rng([0, 1, i]))
        shard, row = plain.place(i)
        stored = {
            name: decode_picture(rows[shard][row][name]["bytes"])
            for name in ("c_a", "c_b", "c_ab", "c_ba", "other_a", "other_b", "source_a", "source_b")
        }
        names = {}
        for part in ("target", "source", "truth"):
            face = getattr(sample, part)
            found = [n for n, p in stored.items() if face is not None and np.array_equal(p, face.crop)]
            names[part] = found[0] if found else None
        if names["target"] in ("c_b", "c_ba"):
            swapped = {"c_a": "c_b", "c_b": "c_a", "c_ab": "c_ba", "c_ba": "c_ab", "other_b": "other_a"}
            swapped["source_b"] = "source_a"
            names = {part: swapped.get(name, name) for part, name in names.items()}
            seen["mirror"] += 1
        allowed = {
            "cycle": [("c_ab", "c_ba", "c_a")],
            "naive": [("c_a", "c_b", "c_ab")],
            "real_source": [("c_ab", "other_a", "c_a")],
            "reconstruction": [("c_a", "c_a", "c_a"), ("c_a", "other_a", "c_a")],
            "vanilla": [("c_a", "c_b", None)],
            "surrogate_source": [("c_ab", "source_a", "c_a")],
        }
        assert (names["target"], names["source"], names["truth"]) in allowed[sample.kind]
        seen[sample.kind] += 1
    assert set(seen) == {*KINDS, "mirror"}
    assert 15 < seen["mirror"] < 45


def test_strangers_are_of_other_rows_and_people(made: Path) -> None:
    mix = Mix(0, 0, 0, 0, 1, strangers=0.5)
    dataset, pairs = (TripletDataset(made, augmentation=NONE, mix=m) for m in (mix, Mix(0, 0, 0, 0, 1)))
    rows = [pq.read_table(path).to_pylist() for path in dataset.shards]
    people = {row[f"c_{side}"]["bytes"]: row[f"identity_{side}"] for t in rows for row in t for side in "ab"}
    owners = {decode_picture(data).tobytes(): name for data, name in people.items()}
    strange = 0
    for i in range(40):
        sample = dataset.sample(i, np.random.default_rng([0, 1, i]))
        partner = pairs.sample(i, np.random.default_rng([0, 1, i]))
        assert np.array_equal(sample.target.crop, partner.target.crop)
        source = owners[sample.source.crop.tobytes()]
        assert source != owners[sample.target.crop.tobytes()]
        strange += source != owners[partner.source.crop.tobytes()]
    assert 8 < strange < 30


def test_a_sample_follows_from_its_number_alone(made: Path) -> None:
    one, other = TripletDataset(made, seed=3), pickle.loads(pickle.dumps(TripletDataset(made, seed=3)))
    wanted = [7, 0, 3, 2**20 + 5]
    first = {i: one[i] for i in wanted}
    for i in reversed(wanted):
        again = other[i]
        assert all(torch.equal(first[i][name], again[name]) for name in again)
    moved = TripletDataset(made, seed=4)
    assert any(not torch.equal(moved[i]["target"], first[i]["target"]) for i in wanted)


def test_a_loader_with_workers_gives_the_same_batches(made: Path) -> None:
    from reliableswap.training.core.batches import RankBatches

    dataset = TripletDataset(made, lanes=2, batch=2)
    loader = DataLoader(
        dataset,
        batch_sampler=RankBatches(1, 3, 2, 0, 1),
        num_workers=2,
        multiprocessing_context="fork",
        collate_fn=collate,
    )
    for step, batch in enumerate(loader, start=1):
        expected = collate([dataset[2 * step + k] for k in range(2)])
        assert batch.keys() == expected.keys()
        assert all(torch.equal(value, expected[name]) for name, value in batch.items())


def test_an_epoch_shows_every_row_once_and_lanes_keep_apart(made: Path) -> None:
    dataset = TripletDataset(made)
    rows = sum(dataset.counts)
    first = [dataset.place(i) for i in range(rows)]
    second = [dataset.place(i) for i in range(rows, 2 * rows)]
    everything = [(s, r) for s, count in enumerate(dataset.counts) for r in range(count)]
    assert sorted(first) == sorted(second) == everything
    assert first != second

    lanes = TripletDataset(made, lanes=2, batch=3)
    read = [{lanes.place(i) for i in range(3000) if (i // 3) % 2 == lane} for lane in range(2)]
    assert not read[0] & read[1]
    assert read[0] | read[1] == set(everything)


def test_there_are_no_more_lanes_than_batches_of_rows(made: Path) -> None:
    rows = sum(TripletDataset(made).counts)
    assert TripletDataset(made, lanes=99, batch=4).lanes == rows // 4
    assert TripletDataset(made, lanes=99, batch=2 * rows).lanes == 1


def test_a_shard_without_rows_takes_no_lane(made: Path, tmp_path: Path) -> None:
    """The filter may drop all pairs of a shard."""
    (tmp_path / "data").mkdir()
    tables = [pq.read_table(path) for path in TripletDataset(made).shards]
    for number, table in enumerate([tables[0].slice(0, 0), *tables]):
        pq.write_table(table, tmp_path / "data" / f"train-{number:05d}-of-{len(tables) + 1:05d}.parquet")
    dataset = TripletDataset(tmp_path, lanes=len(tables) + 1, batch=2)
    assert dataset.counts[0] == 0
    assert dataset.knows_covers
    assert dataset.lanes == len(tables) + 1
    assert {dataset.place(i)[0] for i in range(200)} == set(range(1, len(tables) + 1))


def test_kinds_are_drawn_by_the_mix(made: Path) -> None:
    dataset = TripletDataset(made, mix=Mix(cycle=3, naive=0, real_source=0, reconstruction=0, vanilla=1))
    rng = np.random.default_rng(0)
    kinds = Counter(dataset.sample(i, rng).kind for i in range(200))
    assert set(kinds) == {"cycle", "vanilla"}
    assert 130 < kinds["cycle"] < 170


def test_a_split_without_rows_says_why_and_what_to_do(made: Path) -> None:
    text = r"no rows of split validation in .*--split 70/0/30 \(rows: train \d+, validation 0, test \d+\): .*two people"
    with pytest.raises(ReliableSwapError, match=text):
        TripletDataset(made, "validation")


def test_a_mix_that_can_not_be_drawn_is_an_error() -> None:
    with pytest.raises(ReliableSwapError, match="give weights"):
        Mix(0, 0, 0, 0, 0)
    with pytest.raises(ReliableSwapError, match="strangers is 2"):
        Mix(strangers=2)


def test_flips_mirror_everything(made: Path) -> None:
    turned = dataclasses.replace(NONE, flip=1.0)
    for i in range(4):
        straight, mirrored = (Completed(made, augmentation=a)[i] for a in (NONE, turned))
        for name in ("target", "source", "truth"):
            assert torch.equal(mirrored[name], straight[name].flip(2))
        assert torch.equal(mirrored["kind"], straight["kind"])
        assert (mirrored["face_mask"] != straight["face_mask"].flip(2)).float().mean() < 0.01
        both = (mirrored["guidance"][3] > 0.5) & (straight["guidance"][3].flip(1) > 0.5)
        difference = (mirrored["guidance"][:3] - straight["guidance"][:3].flip(2)).abs().mean(0)
        assert float(both.float().mean()) > 0.2
        assert float(difference[both].mean()) < 0.03


def test_target_and_truth_change_colour_alike_and_the_source_by_itself(made: Path) -> None:
    strong = Augmentation(flip=0, brightness=0.4, contrast=0.3, saturation=0.5, hue=15)
    mix = Mix(0, 0, 0, 1, 0)  # reconstruction: target and truth are one picture
    coloured = Completed(made, augmentation=strong, mix=mix)
    untouched = Completed(made, augmentation=NONE, mix=mix)
    apart = []
    for i in range(8):
        sample, before = coloured[i], untouched[i]
        assert torch.equal(sample["target"], sample["truth"])
        assert not torch.equal(sample["target"], before["target"])
        means = [float((sample[n] - before[n]).mean()) for n in ("target", "source")]
        apart.append(abs(means[0] - means[1]))
    assert max(apart) > 0.05


def test_no_jitter_is_no_change(rng: np.random.Generator) -> None:
    picture = rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)
    assert np.array_equal(Jitter(1, 1, 1, 0)(picture), picture)
    grey = np.repeat(picture[..., :1], 3, axis=2)
    assert np.abs(Jitter(1, 1, 1.5, 15)(grey).astype(int) - grey).max() <= 1  # grey has no colour to change
    assert Jitter(1.2, 1, 1, 0)(picture).mean() > picture.mean()
    assert Jitter(1, 0.5, 1, 0)(picture).std() < 0.6 * picture.std()


@pytest.mark.slow
def test_occluders_are_alike_on_target_and_truth_and_absent_from_the_wanted_face(made: Path) -> None:
    limits = dataclasses.replace(NONE, occluded=1.0)
    plain = Completed(
        made, augmentation=NONE, mix=Mix(cycle=1, naive=0, real_source=0, reconstruction=0, vanilla=0)
    )
    hidden = Completed(made, augmentation=limits, mix=plain.mix)
    differing = 0
    for i in range(12):
        clean, sample = plain[i], hidden[i]
        front = sample["front"]
        assert 0 <= float(front.min()) <= float(front.max()) <= 1
        opaque = (front > 0.99).expand(3, -1, -1)
        apart = (sample["target"] - sample["truth"]).abs()[opaque]
        assert not len(apart) or float(apart.max()) <= 4 / 255
        assert torch.equal(sample["identity_face"], clean["truth"])
        assert torch.allclose(sample["face_mask"], clean["face_mask"] * (1 - front), atol=1e-6)
        assert float((sample["glasses"][3:] - front).min()) >= 0  # encoders see the face behind the occluder
        differing += not torch.equal(sample["source"], clean["source"])
    assert differing > 6


def test_light_changes_target_and_truth_alike_and_the_source_by_itself(made: Path) -> None:
    mix = Mix(cycle=0, naive=0, real_source=0, reconstruction=1, vanilla=0)
    lit = Completed(made, augmentation=dataclasses.replace(NONE, light=1.0), mix=mix)
    for i in range(4):
        sample = lit[i]
        assert torch.equal(sample["target"], sample["truth"])
        assert not torch.equal(sample["source"], sample["truth"])
