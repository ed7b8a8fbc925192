"""Triplets whose photos, records and shards are in object storage: the same bytes as on a disk."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import fsspec
import pytest
from support.triplet_people import SETTINGS, Known, shard_bytes

from reliableswap.data.shards import shards_of, split_of_folder
from reliableswap.data.storage import as_path
from reliableswap.data.triplet_dataset import TripletDataset
from reliableswap.errors import ReliableSwapError
from reliableswap.triplets.factory import make_triplets


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELIABLESWAP_CACHE", str(tmp_path / "copies"))


def remote_bytes(output: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((output / "data").glob("*"), key=str)}


def upload(folder: Path, place: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            (place / path.relative_to(folder).as_posix()).write_bytes(path.read_bytes())


def test_a_run_to_memory_and_a_training_from_it(
    made: Path, people: tuple[Path, partial[Known]], tmp_path: Path
) -> None:
    fsspec.filesystem("memory").store.clear()
    photos, output = as_path("memory://photos"), as_path("memory://triplets")
    upload(people[0], photos)
    work = partial(make_triplets, photos, output, SETTINGS, analyser=people[1], progress=False)
    report = work()
    assert remote_bytes(output) == shard_bytes(made)
    assert {"README.md", "contact_sheet.jpg", "photos.csv", "run.json"} <= {p.name for p in output.glob("*")}

    first = min((output / "data").glob("*.parquet"), key=str)
    first.unlink()
    again = work()  # goes on where it is
    assert len(again.tallies) == 1 < report.shards
    assert remote_bytes(output) == shard_bytes(made)

    # pathlib takes a slash away, as in a setting of type Path.
    dataset, local = TripletDataset(Path("memory://triplets")), TripletDataset(made)
    assert [shard.name for shard in dataset.shards] == [shard.name for shard in local.shards]
    assert (dataset[3]["target"] == local[3]["target"]).all()
    assert split_of_folder(Path("memory://triplets")) == SETTINGS.split
    fsspec.filesystem("memory").store.clear()


def test_a_name_that_is_no_folder_is_asked_for_on_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
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
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A bucket of an S3 server on this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ)
    )
    try:
        deadline = time.monotonic() + 60
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert time.monotonic() < deadline
            assert server.poll() is None
            time.sleep(0.1)
        place = as_path("s3://bucket")
        place.fs.mkdir("bucket")  # type: ignore[attr-defined]
        yield place
    finally:
        server.terminate()
        server.wait(timeout=30)


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
    assert remote_bytes(bucket / "triplets") == shard_bytes(made)
    assert (TripletDataset("s3://bucket/triplets")[0]["target"] == TripletDataset(made)[0]["target"]).all()
