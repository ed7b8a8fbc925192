"""`reliableswap train`: which tasks there are, and errors in one line."""

from __future__ import annotations

from typing import Any

import pytest

import train_accelerate
from reliableswap.cli import train as command
from reliableswap.cli.main import main
from reliableswap.errors import ReliableSwapError
from reliableswap.training.core.distributed import SharedError


def fail(error: Exception) -> Any:
    def parse(task: str, options: list[str]) -> Any:
        raise error

    return parse


def test_help_lists_the_tasks(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    printed = capsys.readouterr().out
    assert all(f"  {task} " in printed for task in command.TASKS)


def test_a_tasks_help_is_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["train", "glasses", "--help"])
    assert caught.value.code == 0
    assert "--painted-share FLOAT" in capsys.readouterr().out


def test_an_unknown_task_ends_with_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["train", "hair"])
    assert caught.value.code == 2
    assert "generator" in capsys.readouterr().err


def test_an_error_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(command, "parse", fail(ReliableSwapError("no photos; give some")))
    assert train_accelerate.main(["glasses"]) == 2
    assert capsys.readouterr().err == "error: no photos; give some\n"


@pytest.mark.parametrize(("rank", "said"), [("0", "error: same everywhere\n"), ("1", "")])
def test_an_error_of_all_ranks_is_printed_once(
    rank: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "parse", fail(SharedError("same everywhere")))
    monkeypatch.setenv("RANK", rank)
    assert main(["train", "glasses"]) == 2
    assert capsys.readouterr().err == said
