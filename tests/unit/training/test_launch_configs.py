"""The launcher's config files are what `accelerate launch` takes."""

from __future__ import annotations

from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser

FOLDER = Path(__file__).parents[3] / "configs" / "accelerate"


@pytest.mark.parametrize(("name", "processes"), [("one_gpu", 1), ("eight_gpus", 8)])
def test_a_config_gives_the_processes_that_its_name_says(
    name: str, processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = FOLDER / f"{name}.yaml"
    assert load_config_from_file(str(path)).num_processes == processes
    monkeypatch.setattr("torch.cuda.device_count", lambda: processes)
    parsed = launch_command_parser().parse_args(
        ["--config_file", str(path), "train_accelerate.py", "generator"]
    )
    arguments, *_ = _validate_launch_command(parsed)
    assert arguments.num_processes == processes
    assert arguments.multi_gpu == (processes > 1)
    assert arguments.mixed_precision == "bf16"
    assert arguments.training_script_args == ["generator"]
