"""Which checkpoint a run goes on from, and which differences it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.toy_training import ToyTask, toy_network, toy_settings

from reliableswap.errors import ReliableSwapError
from reliableswap.training.core.fingerprint import Fingerprint, digest_of_files, digest_of_names
from reliableswap.training.core.resume import choose_checkpoint, require_same_checkpoint
from reliableswap.training.core.state import TrainingState, save_checkpoint


def saved(output: Path, step: int, name: str = "a") -> tuple[Path, dict[str, Any]]:
    position = {"id": name, "step": step, "scaler": None, "settings": {}, "data": {}}
    state = TrainingState({"network": toy_network()}, {})
    return save_checkpoint(output, step, state, position), position


def test_latest_is_the_newest_and_none_starts_anew(tmp_path: Path) -> None:
    assert choose_checkpoint(tmp_path, "latest") is None
    saved(tmp_path, 9)
    _, position = saved(tmp_path, 10)
    assert choose_checkpoint(tmp_path, "latest") == ("checkpoint-0000010", position)


def test_a_folder_can_be_named(tmp_path: Path) -> None:
    folder, position = saved(tmp_path, 9)
    saved(tmp_path, 10)
    assert choose_checkpoint(tmp_path, str(folder)) == ("checkpoint-0000009", position)
    with pytest.raises(ReliableSwapError, match="is not a checkpoint"):
        choose_checkpoint(tmp_path, str(tmp_path))


def test_a_fresh_run_never_goes_over_an_earlier_one(tmp_path: Path) -> None:
    assert choose_checkpoint(tmp_path, None) is None
    saved(tmp_path, 1)
    with pytest.raises(ReliableSwapError, match="already holds a run"):
        choose_checkpoint(tmp_path, None)


def test_a_checkpoint_of_another_version_is_said(tmp_path: Path) -> None:
    folder, _ = saved(tmp_path, 1)
    (folder / "position.json").write_text('{"step": 1, "scaler": null, "samples": {}}')
    with pytest.raises(ReliableSwapError, match="written by another version"):
        choose_checkpoint(tmp_path, "latest")


def test_another_checkpoint_of_the_same_name_is_noticed(tmp_path: Path) -> None:
    folder, position = saved(tmp_path, 1, "mine")
    require_same_checkpoint(folder, position)
    with pytest.raises(ReliableSwapError, match="not the checkpoint that rank 0 resumes from"):
        require_same_checkpoint(folder, {**position, "id": "theirs"})
    with pytest.raises(ReliableSwapError, match="missing on this machine"):
        require_same_checkpoint(tmp_path / "checkpoint-0000002", position)


def fingerprint(output: Path, seed: int = 0, ranks: int = 1, **settings: Any) -> Fingerprint:
    return Fingerprint.of(toy_settings(output, **settings), ToyTask(seed), ranks)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"train_batch_size": 2}, "train_batch_size 4 -> 2"),
        ({"learning_rate": 0.5, "use_ema": False}, "learning_rate 0.01 -> 0.5, use_ema True -> False"),
        ({"ranks": 2}, "processes 1 -> 2"),
        ({"seed": 1}, "samples seed 0 -> seed 1"),
    ],
)
def test_each_changed_field_is_named(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(ReliableSwapError, match=f"^other: {said}$"):
        fingerprint(tmp_path).require_same(fingerprint(tmp_path, **change), "other")


def test_harmless_changes_are_allowed(tmp_path: Path) -> None:
    other = fingerprint(
        tmp_path / "elsewhere", max_train_steps=9, max_train_minutes=1.0, logging_steps=2, checkpointing_steps=7,
        validation_steps=2, checkpoints_total_limit=5, report_to="auto", push_to_hub=True,
    )  # fmt: skip
    fingerprint(tmp_path).require_same(other, "other")


def test_a_digest_follows_from_names_and_contents(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"rows"), two.write_bytes(b"rows")
    assert digest_of_files([one]) == digest_of_files([one]) != digest_of_files([two])
    before = digest_of_files([one, two])
    two.write_bytes(b"more")
    assert digest_of_files([one, two]) != before


def test_a_digest_of_names_follows_from_names_and_sizes_wherever_the_folder_lies(tmp_path: Path) -> None:
    def digest(place: str, name: str, data: bytes) -> str:
        file = tmp_path / place / name
        file.parent.mkdir(parents=True)
        file.write_bytes(data)
        return digest_of_names(tmp_path / place, [file])

    assert digest("a", "hair/1.png", b"1234") == digest("b", "hair/1.png", b"1234")
    assert digest("c", "masks/1.png", b"1234") != digest("d", "hair/1.png", b"1234")
    assert digest("e", "hair/1.png", b"12345") != digest("f", "hair/1.png", b"1234")
