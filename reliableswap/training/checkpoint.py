"""Checkpoints without pickles: from_pretrained folders, the optimiser as safetensors, the position as JSON."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from ..errors import ReliableSwapError
from ..models.base import Network


def save_checkpoint(
    folder: Path,
    network: Network,
    averaged: Network,
    optimizer: torch.optim.Optimizer,
    position: dict[str, Any],
) -> None:
    """Write a checkpoint whole or not at all: into a folder beside it, renamed when complete."""
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    network.save_pretrained(part / "network")
    averaged.save_pretrained(part / "averaged")
    state = optimizer.state_dict()
    tensors = {
        f"{index}.{name}": value.contiguous()
        for index, entry in state["state"].items()
        for name, value in entry.items()
    }
    save_file(tensors, part / "optimizer.safetensors")
    (part / "position.json").write_text(json.dumps(position, indent=1))
    shutil.rmtree(folder, ignore_errors=True)
    part.replace(folder)


def load_checkpoint(
    folder: Path, network: Network, averaged: Network, optimizer: torch.optim.Optimizer
) -> dict[str, Any]:
    """Put everything back as it was; returns the position."""
    for part, into in (("network", network), ("averaged", averaged)):
        into.load_state_dict(type(into).from_pretrained(folder / part).state_dict())
    state = optimizer.state_dict()
    state["state"] = {}
    for key, value in load_file(folder / "optimizer.safetensors").items():
        index, name = key.split(".", 1)
        state["state"].setdefault(int(index), {})[name] = value
    optimizer.load_state_dict(state)
    position: dict[str, Any] = json.loads((folder / "position.json").read_text())
    return position


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
