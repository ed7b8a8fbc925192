"""The folder of uploads and results: its quota, what is deleted first, and the background sweeper."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from reliableswap.space.storage import Storage, StorageFullError, sweep_until, sweeping

RECORD = 4096  # what a file counts in addition to its content


class Clock:
    """A clock that only moves when told; it starts at the real time, which files are stamped with."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def storage(tmp_path: Path, clock: Clock) -> Storage:
    """Room for three files of 10,000 bytes; files are kept for an hour, and in use for ten minutes."""
    quota = 3 * (10_000 + RECORD)
    return Storage(tmp_path, quota=quota, keep_seconds=3600, in_use_seconds=600, clock=clock)


def write(storage: Storage, name: str, size: int = 10_000) -> Path:
    path = storage.folder / name
    path.write_bytes(bytes(size))
    return path


def names(storage: Storage) -> set[str]:
    return {path.name for path in storage.folder.iterdir()}


def test_nothing_is_deleted_if_there_is_room(storage: Storage, clock: Clock) -> None:
    write(storage, "a")
    clock.now += 3000
    with storage.reserved(2 * 10_000):
        assert names(storage) == {"a"}


def test_the_oldest_unused_file_goes_first(storage: Storage, clock: Clock) -> None:
    for name in ("a", "b", "c"):
        write(storage, name)
    for name in ("b", "a", "c"):  # read in this order
        clock.now += 100
        storage.mark_used(storage.folder / name)
    clock.now += 1000
    storage.reserve(10_000)
    assert names(storage) == {"a", "c"}


def test_a_file_in_use_is_never_deleted_to_make_room(storage: Storage, clock: Clock) -> None:
    for name in ("a", "b", "c"):
        write(storage, name)
    clock.now += 700
    storage.mark_used(storage.folder / "a")
    storage.mark_used(storage.folder / "b")
    storage.reserve(10_000)
    assert names(storage) == {"a", "b"}
    with pytest.raises(StorageFullError, match="storage is full right now; please try again"):
        storage.reserve(10_000)
    assert names(storage) == {"a", "b"}, "nothing is deleted in vain"


def test_what_is_being_written_counts(storage: Storage) -> None:
    whole = storage.quota
    with storage.reserved(whole - 100):
        with pytest.raises(StorageFullError):
            storage.reserve(101)
        storage.reserve(100)
        storage.release(100)
    storage.reserve(whole)


def test_room_is_given_back_after_a_failure(storage: Storage) -> None:
    with pytest.raises(OSError, match="disk"), storage.reserved(storage.quota):
        raise OSError("disk")
    storage.reserve(storage.quota)


def test_a_folder_counts_with_all_it_holds(storage: Storage, clock: Clock) -> None:
    (storage.folder / "result" / "deep").mkdir(parents=True)
    write(storage, "result/deep/swapped.png", 30_000)
    with pytest.raises(StorageFullError):
        storage.reserve(10_000)
    clock.now += 700
    storage.reserve(10_000)
    assert names(storage) == set()


def test_many_tiny_files_count_too(storage: Storage) -> None:
    for number in range(10):
        write(storage, str(number), 1)
    with pytest.raises(StorageFullError):
        storage.reserve(10_000)


def test_a_link_is_deleted_and_not_followed(storage: Storage, clock: Clock, tmp_path: Path) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    (outside / "precious").write_bytes(bytes(100_000))
    (storage.folder / "link").symlink_to(outside)
    storage.reserve(10_000)
    clock.now += 4000
    storage.sweep()
    assert names(storage) == set()
    assert (outside / "precious").exists()


def test_old_files_are_swept_even_if_they_were_read(storage: Storage, clock: Clock) -> None:
    write(storage, "a")
    (storage.folder / "b").mkdir()
    write(storage, "b/b")
    clock.now += 3500
    storage.sweep()
    assert names(storage) == {"a", "b"}
    storage.mark_used(storage.folder / "a")
    clock.now += 200
    storage.sweep()
    assert names(storage) == set()


class Ticks(threading.Event):
    """An event whose `wait` returns at once: False `ticks` times, then True."""

    def __init__(self, ticks: int) -> None:
        super().__init__()
        self.ticks, self.waits = ticks, list[float | None]()

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        return len(self.waits) > self.ticks


def test_the_sweeper_needs_no_new_result(storage: Storage, clock: Clock) -> None:
    write(storage, "old")
    clock.now += 4000
    ticks = Ticks(2)
    sweep_until(ticks, storage, interval=60)
    assert names(storage) == set()
    assert ticks.waits == [60, 60, 60]


def test_the_sweeper_survives_a_failed_sweep(storage: Storage, caplog: pytest.LogCaptureFixture) -> None:
    storage.folder.rmdir()
    ticks = Ticks(2)
    sweep_until(ticks, storage, interval=60)
    assert len(ticks.waits) == 3
    assert "could not be deleted" in caplog.text


def test_the_sweeper_runs_in_the_background_and_stops(storage: Storage) -> None:
    with sweeping(storage, interval=3600) as thread:
        assert thread.is_alive()
        assert thread.daemon
    assert not thread.is_alive()
