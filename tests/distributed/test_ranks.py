"""Two ranks, launched by torchrun: one gradient, one checkpoint, one error."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support import rank_scenarios
from support.toy_training import figures_of_run, same_run, tensors_of_run

from reliableswap.training.core.state import checkpoints

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory, triplets: Path, encoders: Path) -> Path:
    """The folder in which two ranks have gone through all scenarios."""
    folder = tmp_path_factory.mktemp("ranks")
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", rank_scenarios.__file__]
    tests = Path(__file__).parents[1]
    environment = {k: v for k, v in os.environ.items() if k != "ACCELERATE_USE_CPU"}
    environment["FORK_LAUNCHED"] = (
        "1"  # Accelerate then keeps the process group at the end of a run, for the next one
    )
    environment |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": f"{tests.parent}{os.pathsep}{tests}"}
    done = subprocess.run(
        [sys.executable, *launch, str(folder), str(triplets), str(encoders)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


def outcomes(folder: Path, scenario: str) -> list[str]:
    return [(folder / f"{scenario}-{rank}.txt").read_text() for rank in range(2)]


def test_two_ranks_with_8_samples_equal_one_with_16(ranks: Path, tmp_path: Path) -> None:
    rank_scenarios.run(tmp_path, noise=0.0, train_batch_size=16)
    one, two = tensors_of_run(tmp_path), tensors_of_run(ranks / "halves_of_a_batch" / "two")
    assert one.keys() == two.keys()
    for name in one:
        assert torch.allclose(one[name], two[name], rtol=1e-4, atol=1e-5), name
    (first,), (second,) = figures_of_run(tmp_path), figures_of_run(ranks / "halves_of_a_batch" / "two")
    assert first == second


def test_two_ranks_resume_exactly(ranks: Path) -> None:
    assert outcomes(ranks, "stopped_and_resumed") == ["done", "done"]
    folder = ranks / "stopped_and_resumed"
    assert checkpoints(folder / "halves")[-1].name == "checkpoint-0000004"
    assert same_run(folder / "whole", folder / "halves")


def test_two_ranks_resume_a_generator_exactly(ranks: Path) -> None:
    folder = ranks / "generator_stopped_and_resumed"
    assert outcomes(ranks, folder.name) == ["done", "done"]
    assert same_run(folder / "whole", folder / "halves")


def test_a_rank_without_the_checkpoint_stops_all_with_one_error(ranks: Path) -> None:
    first, second = outcomes(ranks, "without_the_checkpoint")
    assert first == second
    assert first.startswith("SharedError: rank 1: ")
    assert "checkpoint-0000001 is missing on this machine, but rank 0 resumes from it" in first


def test_rank_0_chooses_whatever_the_others_hold(ranks: Path) -> None:
    assert outcomes(ranks, "with_a_newer_checkpoint") == ["done", "done"]
    folder = ranks / "with_a_newer_checkpoint" / "disk0"
    assert [path.name for path in checkpoints(folder)] == ["checkpoint-0000001", "checkpoint-0000004"]


def test_a_rank_with_another_checkpoint_of_that_name_stops_all(ranks: Path) -> None:
    first, second = outcomes(ranks, "with_another_checkpoint_of_that_name")
    assert first == second
    assert "rank 1" in first
    assert "id another) is not the checkpoint that rank 0 resumes from" in first


def test_ranks_with_different_settings_stop_at_once(ranks: Path) -> None:
    first, second = outcomes(ranks, "with_other_settings")
    assert first == second
    assert "learning_rate 0.01 -> 0.02" in first
    assert not (ranks / "with_other_settings" / "run").exists()


def test_rank_0s_clock_says_when_a_level_is_over(ranks: Path) -> None:
    assert outcomes(ranks, "levels_by_time") == ["done", "done"]
    first, second = (
        json.loads((ranks / "levels_by_time" / f"sides-{rank}.json").read_text()) for rank in range(2)
    )
    assert first == second == [4] * 3 + [8] * 3 + [16] * 2
