"""What a run logs."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from support.provenance import photo
from support.toy_training import ToyTask, figures_of_run, toy_network, toy_settings

from reliableswap.errors import ReliableSwapError
from reliableswap.provenance.verify import verify
from reliableswap.training.core.runlog import RunLog, drop_figures_after, find_tracker
from reliableswap.training.core.trainer import train


def test_a_tracker_that_is_not_installed_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_tracker("none") is None
    with pytest.raises(ReliableSwapError, match="nonesuch is not installed"):
        find_tracker("nonesuch")
    monkeypatch.setattr("reliableswap.training.core.runlog.importlib.util.find_spec", lambda name: None)
    assert find_tracker("auto") is None


def test_means_leave_out_steps_skipped_for_overflow(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "reliableswap")
    log = RunLog(Accelerator(cpu=True), toy_settings(tmp_path, logging_steps=3), 0)
    log.add(1, {"l1": torch.tensor(2.0)}, torch.ones(()))
    log.add(2, {"l1": torch.tensor(float("inf"))}, torch.zeros(()))
    log.add(3, {"l1": torch.tensor(4.0)}, torch.ones(()))
    assert not caplog.messages
    log.log(3)
    assert "step 3/4 l1 3.0000 (1 steps skipped: fp16 overflow) |" in caplog.messages[0]


def test_a_resumed_run_has_no_figures_of_later_steps(tmp_path: Path) -> None:
    """The run validated more often than it saved, and was killed."""
    train(toy_network(), ToyTask(), toy_settings(tmp_path, validation_steps=1, checkpointing_steps=2))
    shutil.rmtree(tmp_path / "checkpoint-0000004")
    with (tmp_path / "figures.jsonl").open("a") as log:
        log.write('{"step": 5, "accu')
    more = {"validation_steps": 3, "resume_from_checkpoint": "latest", "max_train_minutes": 0.0}
    train(toy_network(), ToyTask(), toy_settings(tmp_path, **more))
    assert [line["step"] for line in figures_of_run(tmp_path)] == [1, 2, 3]
    assert "After 3 steps." in (tmp_path / "README.md").read_text()


def test_figures_of_a_run_that_begins_anew_are_dropped(tmp_path: Path) -> None:
    (tmp_path / "figures.jsonl").write_text('{"step": 1, "accuracy": 1.0}\n')
    drop_figures_after(0, tmp_path)
    assert not (tmp_path / "figures.jsonl").exists()
    drop_figures_after(0, tmp_path)


def test_the_grid_of_a_validation_carries_all_marks(tmp_path: Path) -> None:
    log = RunLog(Accelerator(cpu=True), toy_settings(tmp_path), 0)
    log.add_validation(7, {"identity": 0.5}, photo(), [])
    found = verify(tmp_path / "grids" / "step-0000007.png")
    assert found.manifest is not None
    assert found.manifest.state == "valid"
    assert found.agree
