"""Triplets and trainings in object storage: the same bytes as on a disk."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import fsspec
import pytest
from support.s3 import remote_shards, s3_bucket, upload
from support.toy_training import ToyTask, same_run, toy_network, toy_settings
from support.triplet_people import SETTINGS, Known, shard_bytes

from reliableswap.data.shards import shards_of, split_of_folder
from reliableswap.data.storage import as_path, work_folder
from reliableswap.data.triplet_dataset import TripletDataset
from reliableswap.errors import ReliableSwapError
from reliableswap.training.core.trainer import train
from reliableswap.triplets.factory import make_triplets


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELIABLESWAP_CACHE", str(tmp_path / "copies"))


@pytest.mark.slow
def test_a_run_to_memory_and_a_training_from_it(
    made: Path, people: tuple[Path, partial[Known]], tmp_path: Path
) -> None:
    fsspec.filesystem("memory").store.clear()
    photos, output = as_path("memory://photos"), as_path("memory://triplets")
    upload(people[0], photos)
    work = partial(make_triplets, photos, output, SETTINGS, analyser=people[1], progress=False)
    report = work()
    assert remote_shards(output) == shard_bytes(made)
    assert {"README.md", "contact_sheet.jpg", "photos.csv", "run.json"} <= {p.name for p in output.glob("*")}

    first = min((output / "data").glob("*.parquet"), key=str)
    first.unlink()
    again = work()  # makes only what is missing
    assert len(again.tallies) == 1 < report.shards
    assert remote_shards(output) == shard_bytes(made)

    # Path drops a slash of memory://, as it does in a setting of type Path.
    dataset, local = TripletDataset(Path("memory://triplets")), TripletDataset(made)
    assert [shard.name for shard in dataset.shards] == [shard.name for shard in local.shards]
    assert (dataset[3]["target"] == local[3]["target"]).all()
    assert split_of_folder(Path("memory://triplets")) == SETTINGS.split
    fsspec.filesystem("memory").store.clear()


def test_a_name_without_a_folder_is_looked_up_on_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Hub:
        def __truediv__(self, _: str) -> Hub:
            return self

        def glob(self, _: str) -> list[Path]:
            raise OSError("no network")

    def as_hub(place: object) -> object:
        asked.append(str(place))
        return Hub() if str(place).startswith("hf:") else Path(str(place))

    monkeypatch.setattr("reliableswap.data.shards.as_path", as_hub)
    with pytest.raises(ReliableSwapError, match="no triplets could be read"):
        shards_of(Path("owner/triplets"), "train")
    assert asked == ["owner/triplets", "hf://datasets/owner/triplets"]


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[Path]:
    with s3_bucket(tmp_path / "copies") as place:
        yield place


@pytest.mark.slow
def test_a_run_to_a_real_s3_server_by_several_processes(
    bucket: Path, made: Path, people: tuple[Path, partial[Known]]
) -> None:
    upload(people[0], bucket / "photos")
    make_triplets(
        Path("s3://bucket/photos"),
        Path("s3://bucket/triplets"),
        SETTINGS,
        analyser=people[1],
        workers=2,
        progress=False,
    )
    assert remote_shards(bucket / "triplets") == shard_bytes(made)
    assert (TripletDataset("s3://bucket/triplets")[0]["target"] == TripletDataset(made)[0]["target"]).all()


@pytest.mark.slow
def test_a_training_to_a_real_s3_server_goes_on_from_there(bucket: Path, tmp_path: Path) -> None:
    place = Path("s3://bucket/run")
    for output, steps in ((tmp_path / "whole", [4]), (place, [2, 4])):
        for count in steps:
            settings = toy_settings(
                output, max_train_steps=count, lr_scheduler="constant", resume_from_checkpoint="latest"
            )
            train(toy_network(), ToyTask(), settings)
            if output == place and count == 2:
                shutil.rmtree(work_folder(place))  # as on another machine
    assert same_run(work_folder(place), tmp_path / "whole")
    found = sorted(path.parent.name for path in (bucket / "run").glob("checkpoint-*/position.json"))
    assert found == ["checkpoint-0000002", "checkpoint-0000004"]
