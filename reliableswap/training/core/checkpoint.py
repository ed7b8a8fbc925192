"""Checkpoints without pickles: from_pretrained folders, optimisers as safetensors, the position as JSON."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from reliableswap.errors import ReliableSwapError
from reliableswap.models.base import Network


@dataclass
class TrainingState:
    """All that a run is made of; the discriminator and the companions only where a training has them."""

    networks: dict[str, Network]  # "network", "averaged" and perhaps "discriminator"
    optimizers: dict[str, torch.optim.Optimizer]  # "optimizer" and perhaps "discr_optimizer"
    companions: Mapping[str, torch.nn.Module] = field(default_factory=dict)


def save_checkpoint(folder: Path, state: TrainingState, position: dict[str, Any]) -> None:
    """Write a checkpoint whole or not at all: into a folder beside it, renamed when complete."""
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for name, network in state.networks.items():
        network.save_pretrained(part / name)
    for name, module in state.companions.items():
        save_file(
            {k: v.contiguous() for k, v in module.state_dict().items()},
            part / f"companion-{name}.safetensors",
        )
    for name, optimizer in state.optimizers.items():
        tensors = {
            f"{index}.{key}": value.contiguous()
            for index, entry in optimizer.state_dict()["state"].items()
            for key, value in entry.items()
        }
        save_file(tensors, part / f"{name}.safetensors")
    (part / "position.json").write_text(json.dumps(position, indent=1))
    shutil.rmtree(folder, ignore_errors=True)
    part.replace(folder)


def load_checkpoint(folder: Path, state: TrainingState) -> dict[str, Any]:
    """Put everything back as it was; returns the position."""
    try:
        for name, network in state.networks.items():
            network.load_state_dict(type(network).from_pretrained(folder / name).state_dict())
        for name, module in state.companions.items():
            module.load_state_dict(load_file(folder / f"companion-{name}.safetensors"))
        for name, optimizer in state.optimizers.items():
            _fill(optimizer, folder / f"{name}.safetensors")
        position: dict[str, Any] = json.loads((folder / "position.json").read_text())
    except (OSError, RuntimeError, ValueError) as error:
        raise ReliableSwapError(
            f"{folder} does not fit this run: {' '.join(str(error).split())[:200]}; resume with the settings "
            "it was started with"
        ) from error
    return position


def _fill(optimizer: torch.optim.Optimizer, file: Path) -> None:
    state = optimizer.state_dict()
    state["state"] = {}
    for key, value in load_file(file).items():
        index, name = key.split(".", 1)
        state["state"].setdefault(int(index), {})[name] = value
    optimizer.load_state_dict(state)


def checkpoints(output: Path) -> list[Path]:
    """The complete checkpoints of a run, oldest first."""
    found = [p for p in output.glob("checkpoint-*") if p.name.split("-")[1].isdigit()]
    return sorted(found, key=lambda p: int(p.name.split("-")[1]))


def find_checkpoint(output: Path, wanted: str) -> Path | None:
    """The folder to resume from; `latest` of a run that has none yet is None."""
    if wanted == "latest":
        found = checkpoints(output)
        return found[-1] if found else None
    if not (Path(wanted) / "position.json").is_file():
        raise ReliableSwapError(f"{wanted} is no checkpoint (no position.json); pass its folder or 'latest'")
    return Path(wanted)


def keep_newest(output: Path, limit: int) -> None:
    for old in checkpoints(output)[:-limit]:
        shutil.rmtree(old)
