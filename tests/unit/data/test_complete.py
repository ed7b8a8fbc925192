"""A batch in PyTorch equals its pictures processed singly, and no sample depends on its neighbours."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from support.completed import Completed, completed
from support.triplet_people import SIZE

from reliableswap.data.augment import NONE, Augmentation, Jitter
from reliableswap.data.complete import complete, lit, recoloured, to_float
from reliableswap.data.mix import Mix
from reliableswap.data.samples import Sample, collate, sample_tensors
from reliableswap.data.shards import read_about, write_shard
from reliableswap.data.stored_covers import SIDE as PLANE_SIDE
from reliableswap.data.stored_covers import StoredCovers, encode_cover_planes, find_cover_planes
from reliableswap.data.triplet_dataset import TripletDataset
from reliableswap.errors import ReliableSwapError
from reliableswap.imaging.light import Light

EVERYTHING = Augmentation(light=0.5, occluded=0.5)
ALL = Mix(1, 1, 1, 1, 1, 1)


def test_a_batchs_colours_and_light_are_those_of_single_pictures(rng: np.random.Generator) -> None:
    pictures = rng.integers(0, 256, (6, SIZE, SIZE, 3), dtype=np.uint8)
    jitters = [Jitter.draw(Augmentation(brightness=0.4, contrast=0.4, hue=20), rng) for _ in pictures]
    lights = [Light.draw(rng) for _ in pictures]
    maps = torch.from_numpy(np.stack([one.map() for one in jitters])).float()
    numbers = torch.from_numpy(np.stack([one.numbers() for one in lights])).float()
    made = lit(recoloured(to_float(torch.from_numpy(pictures)), maps), numbers).permute(0, 2, 3, 1).numpy()
    wanted = np.stack(
        [light(jitter(one)) for one, jitter, light in zip(pictures, jitters, lights, strict=True)]
    )
    assert np.abs(made - wanted).max() <= 3  # a light that multiplies by up to e enlarges rounding errors
    assert (made != wanted).mean() < 0.1  # OpenCV rounds the factors to multiples of 1/1024


@pytest.mark.slow
def test_a_sample_does_not_depend_on_its_batch(made: Path) -> None:
    dataset = TripletDataset(made, mix=ALL, augmentation=EVERYTHING)
    samples = [dataset[i] for i in range(16)]
    assert any("front" in one for one in samples)
    assert any("before_source" in one for one in samples)
    whole = complete(collate(samples))
    halves = [complete(collate(samples[start : start + 8])) for start in (0, 8)]
    for name in whole.keys() - {"truth_rows"}:
        in_halves = torch.cat([half[name] for half in halves])
        alone = torch.stack([completed(one)[name] for one in samples])
        for other in (in_halves, alone):
            # The last digit of a power depends on the number's position in a SIMD vector.
            off = 2e-5 if name == "guidance" else 0
            assert torch.allclose(whole[name].float(), other.float(), atol=off, rtol=0), name


def test_rows_say_which_samples_have_what(made: Path) -> None:
    dataset = TripletDataset(made, mix=ALL, augmentation=EVERYTHING)
    samples = [dataset[i] for i in range(12)]
    batch = collate(samples)
    assert batch["front_rows"].tolist() == [i for i, one in enumerate(samples) if "front" in one]
    assert len(batch["front"]) == len(batch["front_rows"])
    assert batch["truth_rows"].tolist() == [i for i, one in enumerate(samples) if one["has_truth"]]
    plain = collate([one for one in samples if "front" not in one])
    assert "front" not in plain


def test_covers_are_stored_with_their_faces(made: Path) -> None:
    dataset = TripletDataset(made, mix=Mix(0, 0, 0, 0, 1), augmentation=NONE)
    assert dataset.knows_covers
    sample = dataset.sample(0, np.random.default_rng([0, 1, 0]))
    assert sample.source.stored_covers is not None
    found = find_cover_planes([dataclasses.replace(sample.source, stored_covers=None)])[0]
    # The stored covers were found before JPEG compression, so those of the stored picture differ a little.
    assert np.abs(found.astype(int) - sample.source.stored_covers.planes()).mean() < 6
    mirror = sample.source.stored_covers.flipped().planes()
    assert np.array_equal(mirror, sample.source.stored_covers.planes()[:, :, ::-1])


def test_glasses_are_known_without_decoding() -> None:
    planes = np.zeros((3, PLANE_SIDE, PLANE_SIDE), np.uint8)
    planes[0, 40:60] = 255
    bare = StoredCovers(encode_cover_planes(planes))
    planes[2, 50:60, 30:90] = 17 * 9
    worn = StoredCovers(encode_cover_planes(planes))
    assert (bare.wears_glasses, worn.wears_glasses) == (False, True)
    assert np.array_equal(worn.planes(), planes)
    assert not bare.planes()[2].any()
    with pytest.raises(ReliableSwapError, match="make its shard again"):
        StoredCovers(b"nothing").planes()


def test_what_hides_a_target_is_in_front_of_its_generated_face_if_wanted(made: Path) -> None:
    planes = np.zeros((3, PLANE_SIDE, PLANE_SIDE), np.uint8)
    planes[0, 30:60] = 255
    fringe = StoredCovers(encode_cover_planes(planes))
    vanilla, cycle = (
        TripletDataset(made, mix=mix, augmentation=NONE).sample(0, np.random.default_rng(1))
        for mix in (Mix(0, 0, 0, 0, 1), Mix(1, 0, 0, 0, 0))
    )

    def in_front(sample: Sample, covers: bool) -> torch.Tensor:
        one = dataclasses.replace(
            sample, target=dataclasses.replace(sample.target, stored_covers=fringe), kind="real_source"
        )
        return completed(sample_tensors(one, covers=covers))["glasses"]

    found = in_front(vanilla, True)
    opacity = torch.nn.functional.interpolate(found[None, 3:], PLANE_SIDE, mode="bilinear")[0, 0]
    assert float(opacity[35:55].min()) == 1
    assert float(opacity[:25].max()) == float(opacity[65:].max()) == 0
    target = completed(sample_tensors(vanilla))["target"]
    assert torch.equal(found[:3, found[3] > 0], target[:, found[3] > 0])
    assert not in_front(vanilla, False)[3].any()
    assert not in_front(cycle, True)[3].any()  # a truth shows the fringe itself


@pytest.mark.slow
def test_a_folder_without_covers_gives_nearly_the_same_samples(made: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    shards = sorted((made / "data").glob("train-*.parquet"))
    for shard in shards:
        rows = [
            {name: value for name, value in row.items() if not name.startswith("seen_")}
            for row in pq.read_table(shard).to_pylist()
        ]
        write_shard(tmp_path / "data" / shard.name, rows, read_about(shard))
    mix = Mix(0, 0, 0, 0, 1)
    new, old = (Completed(folder, mix=mix, augmentation=NONE) for folder in (made, tmp_path))
    assert not old.knows_covers
    for i in range(4):
        one, other = new[i], old[i]
        assert torch.equal(one["target"], other["target"])
        assert float((one["guidance"][3] - other["guidance"][3]).abs().mean()) < 0.02


def test_without_guidance_all_other_tensors_stay_equal(made: Path) -> None:
    dataset = TripletDataset(made, mix=ALL, augmentation=NONE)
    sample = dataset.sample(0, np.random.default_rng([0, 1, 0]))
    bare = completed(sample_tensors(sample, guidance=False))
    assert not bare["guidance"].any()
    whole = completed(sample_tensors(sample))
    assert all(torch.equal(bare[name], whole[name]) for name in bare.keys() - {"guidance"})


def test_without_guidance_and_glasses_their_inputs_are_not_made(made: Path) -> None:
    dataset = TripletDataset(made, mix=ALL, augmentation=NONE)
    samples = [dataset.sample(i, np.random.default_rng([0, 1, i])) for i in range(4)]
    bare = [sample_tensors(one, guidance=False, glasses=False) for one in samples]
    assert not {"pixels", "triangles", "source_mesh", "source_covers", "worn", "keep_source_glasses"} & {
        *bare[0]
    }
    least = complete(collate(bare))
    whole = complete(collate([sample_tensors(one) for one in samples]))
    assert not least["guidance"].any()
    assert not least["glasses"][:, 3].any()
    assert least.keys() == whole.keys()
    assert all(torch.equal(least[name], whole[name]) for name in least.keys() - {"guidance", "glasses"})
    few = TripletDataset(made, mix=ALL, augmentation=NONE, guidance=False, glasses=False)
    assert few[0].keys() == bare[0].keys()
