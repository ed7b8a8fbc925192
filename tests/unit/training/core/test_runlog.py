"""What a run logs."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from support.toy_training import toy_settings

from reliableswap.errors import ReliableSwapError
from reliableswap.training.core.runlog import RunLog, find_tracker


def test_a_tracker_that_is_not_installed_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_tracker("none") is None
    with pytest.raises(ReliableSwapError, match="nonesuch is not installed"):
        find_tracker("nonesuch")
    monkeypatch.setattr("reliableswap.training.core.runlog.importlib.util.find_spec", lambda name: None)
    assert find_tracker("auto") is None


def test_means_leave_out_the_steps_that_overflow_cost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "reliableswap")
    log = RunLog(Accelerator(cpu=True), toy_settings(tmp_path, logging_steps=3), 0)
    log.add(1, {"l1": torch.tensor(2.0)}, torch.ones(()))
    log.add(2, {"l1": torch.tensor(float("inf"))}, torch.zeros(()))
    log.add(3, {"l1": torch.tensor(4.0)}, torch.ones(()))
    assert not caplog.messages
    log.log(3)
    assert "step 3/4 l1 3.0000 (1 steps skipped: fp16 overflow) |" in caplog.messages[0]
