"""The scenarios of tests/distributed, run by each of two ranks: `torchrun --nproc_per_node 2 rank_scenarios.py FOLDER
TRIPLETS ENCODERS`.

Each rank writes the outcome of every scenario to FOLDER/SCENARIO-RANK.txt: an error's text, or `done`. Different
output folders stand for ranks with separate disks.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from reliableswap.errors import ReliableSwapError
from reliableswap.training.core.trainer import train
from reliableswap.training.tasks.person import levels
from support.generator_runs import HALVES, train_generator
from support.person_runs import Clock, person_settings
from support.toy_training import ToyTask, toy_network, toy_settings

RANK = int(os.environ.get("RANK", "0"))
FIRST = "checkpoint-0000001"


def run(output: Path, *, noise: float = 0.1, **settings: Any) -> None:
    train(toy_network(), ToyTask(adversarial=True, noise=noise), toy_settings(output, **settings))


def halves_of_a_batch(folder: Path) -> None:
    """Two ranks with 8 samples each."""
    run(folder / "two", noise=0.0, train_batch_size=8)


def stopped_and_resumed(folder: Path) -> None:
    run(folder / "whole", gradient_accumulation_steps=2)
    run(folder / "halves", gradient_accumulation_steps=2, max_train_minutes=0.0)
    run(folder / "halves", gradient_accumulation_steps=2, resume_from_checkpoint="latest")


def without_the_checkpoint(folder: Path) -> None:
    """Rank 1's disk does not hold what rank 0 saved."""
    disk = folder / f"disk{RANK}"
    run(disk, max_train_minutes=0.0)
    run(disk, resume_from_checkpoint="latest")


def with_a_newer_checkpoint(folder: Path) -> None:
    """Rank 1's disk holds rank 0's checkpoint, and a later one of its own."""
    disk = folder / f"disk{RANK}"
    run(disk, max_train_minutes=0.0)
    if RANK == 1:
        shutil.copytree(folder / "disk0" / FIRST, disk / FIRST)
        shutil.copytree(folder / "disk0" / FIRST, disk / "checkpoint-0000003")
    run(disk, resume_from_checkpoint="latest")


def with_another_checkpoint_of_that_name(folder: Path) -> None:
    disk = folder / f"disk{RANK}"
    run(disk, max_train_minutes=0.0)
    if RANK == 1:
        shutil.copytree(folder / "disk0" / FIRST, disk / FIRST)
        position = json.loads((disk / FIRST / "position.json").read_text())
        (disk / FIRST / "position.json").write_text(json.dumps({**position, "id": "another"}))
    run(disk, resume_from_checkpoint="latest")


def with_other_settings(folder: Path) -> None:
    run(folder / "run", learning_rate=1e-2 * (1 + RANK))


def generator_stopped_and_resumed(folder: Path) -> None:
    triplets, encoders = map(Path, sys.argv[2:])
    for name, more in (("whole", ()), *(("halves", half) for half in HALVES)):
        pieces = ("--gradient_accumulation_steps", "2")
        assert train_generator(triplets, encoders, folder / name, *pieces, *more) == 0


def levels_by_time(folder: Path) -> None:
    """Rank 1's clock runs ten times as fast; rank 0 asks for each step's level twice, as before a validation."""
    clock = Clock()
    levels.monotonic = clock
    settings = person_settings(folder, growth="time", level_minutes=1.0)
    manager, seen = levels.LevelManager(settings, (4, 8, 16), 4), []
    for step in range(8):
        if RANK == 0:
            manager.at(step)
        seen.append(manager.at(step)[0])
        clock.now += 20 * (1 + 9 * RANK)
        manager.add(torch.tensor(0.0))
    folder.mkdir(exist_ok=True)
    (folder / f"sides-{RANK}.json").write_text(json.dumps(seen))


SCENARIOS: list[Callable[[Path], None]] = [
    halves_of_a_batch,
    stopped_and_resumed,
    without_the_checkpoint,
    with_a_newer_checkpoint,
    with_another_checkpoint_of_that_name,
    with_other_settings,
    generator_stopped_and_resumed,
    levels_by_time,
]


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    os.fsync = os.fstat  # as in conftest.py: do not wait for the disk
    for scenario in SCENARIOS:
        outcome = "done"
        try:
            scenario(folder / scenario.__name__)
        except ReliableSwapError as error:
            outcome = f"{type(error).__name__}: {error}"
        (folder / f"{scenario.__name__}-{RANK}.txt").write_text(outcome)
    # Accelerate kept the process group. Its threads abort the process if they still run when the interpreter exits.
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
