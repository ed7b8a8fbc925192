"""Runs whose output folder is in object storage."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from support.toy_training import ToyNetwork, ToyTask, same_run, toy_network, toy_settings

from reliableswap.data.storage import as_path, work_folder
from reliableswap.errors import ReliableSwapError
from reliableswap.training.core import mirror
from reliableswap.training.core.state import POSITION_FILE, checkpoints
from reliableswap.training.core.trainer import train

URL = Path("memory://bucket/run")  # pathlib removes one slash, as it does in the settings


@pytest.fixture(autouse=True)
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("RELIABLESWAP_CACHE", str(tmp_path / "cache"))
    fsspec.filesystem("memory").store.clear()
    yield as_path(URL)
    fsspec.filesystem("memory").store.clear()


def run(output: Path, **more: Any) -> None:
    train(toy_network(), ToyTask(), toy_settings(output, validation_steps=2, lr_scheduler="constant", **more))


def another_machine() -> None:
    """Act as another machine: delete the local copy of the run."""
    shutil.rmtree(work_folder(URL))


def complete(remote: Path) -> list[str]:
    return sorted(path.parent.name for path in remote.glob(f"checkpoint-*/{POSITION_FILE}"))


def test_a_run_is_stored_remotely_and_resumes_on_another_machine(remote: Path, tmp_path: Path) -> None:
    run(tmp_path / "whole", max_train_steps=6)
    run(URL, max_train_steps=4, checkpointing_steps=2, checkpoints_total_limit=1)
    assert complete(remote) == ["checkpoint-0000004"]
    assert not list(remote.glob("checkpoint-0000002/*"))
    assert {"config.json", "README.md", "figures.jsonl"} <= {path.name for path in remote.glob("*")}
    another_machine()
    with pytest.raises(ReliableSwapError, match="already holds a run"):
        run(URL, max_train_steps=6)
    another_machine()
    run(URL, max_train_steps=6, resume_from_checkpoint="latest")
    assert complete(remote) == ["checkpoint-0000004", "checkpoint-0000006"]
    assert same_run(work_folder(URL), tmp_path / "whole")
    assert len((remote / "figures.jsonl").read_text().splitlines()) == 3
    mirror.fetch_folder(remote, tmp_path / "result")
    assert isinstance(ToyNetwork.from_pretrained(tmp_path / "result"), ToyNetwork)


def test_an_upload_that_stops_leaves_no_half_checkpoint(
    remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(URL, max_train_steps=2)
    sent = []

    def stops(file: Path, place: Path) -> None:
        if "checkpoint-0000004" in str(place):
            sent.append(file.name)
            if len(sent) == 3:
                raise OSError("connection lost")
        original(file, place)

    original = mirror.upload
    monkeypatch.setattr(mirror, "upload", stops)
    with pytest.raises(ReliableSwapError, match="could not be brought up to date: connection lost"):
        run(URL, max_train_steps=4, resume_from_checkpoint="latest")
    assert len(sent) == 3
    assert complete(remote) == ["checkpoint-0000002"]
    monkeypatch.undo()
    monkeypatch.setenv("RELIABLESWAP_CACHE", str(tmp_path / "cache"))
    another_machine()
    run(URL, max_train_steps=4, resume_from_checkpoint="latest")
    assert complete(remote) == ["checkpoint-0000002", "checkpoint-0000004"]


def test_a_remote_checkpoint_can_be_named(remote: Path, tmp_path: Path) -> None:
    run(URL, max_train_steps=2)
    another_machine()
    run(tmp_path / "on", max_train_steps=4, resume_from_checkpoint=f"{remote}/checkpoint-0000002")
    run(tmp_path / "whole", max_train_steps=4)
    assert same_run(tmp_path / "on", tmp_path / "whole")


def test_a_named_checkpoint_is_fetched_by_the_first_rank_of_a_machine(
    remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(URL, max_train_steps=2)
    another_machine()
    settings = toy_settings(tmp_path / "on", resume_from_checkpoint=f"{remote}/checkpoint-0000002")
    local = Path(mirror.mirrored(settings)[0].resume_from_checkpoint)
    monkeypatch.setenv("LOCAL_RANK", "1")
    mirror.fetch_named_checkpoint(settings)
    assert not local.exists()
    monkeypatch.setenv("LOCAL_RANK", "0")
    mirror.fetch_named_checkpoint(settings)
    assert (local / POSITION_FILE).is_file()
    mirror.fetch_named_checkpoint(settings)  # already here


def test_a_checkpoint_that_can_not_be_fetched_is_one_line(
    remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(place: Path) -> None:
        raise OSError("connection lost")

    monkeypatch.setattr(mirror, "remote_files", fails)
    with pytest.raises(
        ReliableSwapError, match="checkpoint-0000002 could not be fetched: connection lost; check"
    ):
        run(tmp_path / "on", resume_from_checkpoint=f"{remote}/checkpoint-0000002")


@pytest.mark.parametrize("error", [OSError("connection lost"), RuntimeError("connection\nlost")])
def test_an_output_folder_that_can_not_be_fetched_is_one_line(
    remote: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    run(URL, max_train_steps=2)
    another_machine()

    def fails(place: Path) -> None:
        raise error

    monkeypatch.setattr(mirror, "remote_files", fails)
    with pytest.raises(ReliableSwapError, match="bucket/run could not be fetched: connection lost; check"):
        run(URL, max_train_steps=4, resume_from_checkpoint="latest")


def test_a_run_on_a_disk_has_no_mirror(tmp_path: Path) -> None:
    settings = toy_settings(tmp_path)
    assert mirror.mirrored(settings) == (settings, None)
    assert work_folder(tmp_path) == tmp_path
    run(tmp_path, max_train_steps=2)
    assert [path.name for path in checkpoints(tmp_path)] == ["checkpoint-0000002"]
