"""Checkpoints: put back bit by bit, and whole whenever the process is killed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from support.toy_training import toy_network

from reliableswap.errors import ReliableSwapError
from reliableswap.training.core.state import (
    TrainingState,
    checkpoints,
    keep_newest,
    load_checkpoint,
    read_position,
    save_checkpoint,
)


def state_of(value: float) -> TrainingState:
    """A network full of that value, and an optimizer that has made a step."""
    network = toy_network(batch_norm=True)
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.ones(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(value)
    return TrainingState({"network": network}, {"optimizer": optimizer}, {"head": torch.nn.Linear(2, 2)})


def position(step: int, name: str = "a") -> dict[str, Any]:
    return {"id": name, "step": step, "scaler": None, "settings": {}, "data": {}}


def value_in(folder: Path) -> float:
    state = state_of(0.0)
    load_checkpoint(folder, state)
    return state.networks["network"].last.bias.item()


class Killed(BaseException):
    """Not an Exception: nothing may catch it to tidy up, as nothing tidies up after a SIGKILL."""


class Killer:
    """Lets so many of the calls through that change the disk, then kills."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, calls: int) -> None:
        self.left = calls
        for module, name in ((os, "rename"), (os, "rmdir"), (os, "unlink"), (os, "fsync"), (os, "mkdir")):
            monkeypatch.setattr(module, name, self.counted(getattr(module, name)))

    def counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def act(*arguments: Any, **options: Any) -> Any:
            if self.left == 0:
                raise Killed
            self.left -= 1
            return call(*arguments, **options)

        return act


def kill_after(calls: int, act: Callable[[], object]) -> bool:
    """Whether `act` was killed after so many calls."""
    with pytest.MonkeyPatch.context() as patch:
        Killer(patch, calls)
        try:
            act()
        except Killed:
            return True
    return False


def test_everything_comes_back(tmp_path: Path) -> None:
    before, after = state_of(1.0), state_of(2.0)
    folder = save_checkpoint(tmp_path, 4, before, position(4))
    load_checkpoint(folder, after)
    assert folder == tmp_path / "checkpoint-0000004"
    assert read_position(folder) == position(4)
    for one, other in (
        (before.networks["network"].state_dict(), after.networks["network"].state_dict()),
        (before.companions["head"].state_dict(), after.companions["head"].state_dict()),
    ):
        assert all(torch.equal(one[name], other[name]) for name in one)
    ours, theirs = (s.optimizers["optimizer"].state_dict()["state"] for s in (before, after))
    assert all(torch.equal(ours[i][name], theirs[i][name]) for i in ours for name in ours[i])


def test_killed_between_any_two_calls_a_checkpoint_of_that_step_is_left(tmp_path: Path) -> None:
    calls, killed, values = 0, True, set()
    while killed:
        output = tmp_path / str(calls)
        save_checkpoint(output, 4, state_of(1.0), position(4, "old"))
        killed = kill_after(calls, partial(save_checkpoint, output, 4, state_of(2.0), position(4, "new")))
        (left,) = checkpoints(output)
        value, name = value_in(left), read_position(left)["id"]
        assert (value, name) in ((1.0, "old"), (2.0, "new"))
        values.add(value)
        save_checkpoint(output, 5, state_of(3.0), position(5))  # a later save clears up
        assert sorted(p.name for p in output.iterdir()) == ["checkpoint-0000004", "checkpoint-0000005"]
        assert value_in(output / "checkpoint-0000004") == value
        shutil.rmtree(output)
        calls += 1
    assert calls > 10
    assert values == {1.0, 2.0}


def test_killed_while_removing_old_ones_no_half_checkpoint_is_left(tmp_path: Path) -> None:
    calls, killed = 0, True
    while killed:
        output = tmp_path / str(calls)
        for step in (1, 2):
            save_checkpoint(output, step, state_of(step), position(step))
        killed = kill_after(calls, partial(keep_newest, output, 1))
        assert [value_in(folder) for folder in checkpoints(output)] in ([1.0, 2.0], [2.0])
        calls += 1
    assert calls > 3


def test_files_and_folders_are_flushed_before_the_checkpoint_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    fsync, rename = os.fsync, os.rename

    def flush(handle: int) -> None:
        events.append(Path(f"/proc/self/fd/{handle}").readlink().name)
        fsync(handle)

    def name(source: Any, target: Any) -> None:
        events.append("renamed")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(os, "rename", name)
    folder = save_checkpoint(tmp_path, 1, state_of(1.0), position(1))
    flushed = events[: events.index("renamed")]
    assert {path.name for path in folder.rglob("*")} <= set(flushed)
    assert "checkpoint-0000001.part" in flushed
    assert events[-1] == tmp_path.name


def test_only_complete_folders_are_checkpoints(tmp_path: Path) -> None:
    for name in ("checkpoint-0000009", "checkpoint-0000006.part", "checkpoint-last"):
        (tmp_path / name).mkdir()
    folder = save_checkpoint(tmp_path, 4, state_of(1.0), position(4))
    assert checkpoints(tmp_path) == [folder]
    with pytest.raises(ReliableSwapError, match="is not a checkpoint"):
        read_position(tmp_path / "checkpoint-0000009")


def test_a_checkpoint_of_another_network_is_one_line(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path, 4, state_of(1.0), position(4))
    other = TrainingState({"network": toy_network()}, {})
    with pytest.raises(ReliableSwapError, match="does not fit this run") as caught:
        load_checkpoint(folder, other)
    assert "\n" not in str(caught.value)


def test_the_newest_are_kept(tmp_path: Path) -> None:
    for step in (1, 20, 3):
        save_checkpoint(tmp_path, step, state_of(1.0), position(step))
    keep_newest(tmp_path, 2)
    assert [folder.name for folder in checkpoints(tmp_path)] == ["checkpoint-0000003", "checkpoint-0000020"]
