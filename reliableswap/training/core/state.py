"""Checkpoints, written atomically: networks as from_pretrained folders, optimizers as safetensors, position as JSON."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from reliableswap.errors import ReliableSwapError
from reliableswap.models.base import Network

POSITION_FILE = "position.json"
_NAME = re.compile(r"checkpoint-(\d+)(\.new)?")


@dataclass
class TrainingState:
    """The tensors of a run."""

    networks: dict[str, Network]  # "network", with use_ema "averaged", and perhaps "discriminator"
    optimizers: dict[str, torch.optim.Optimizer]  # "optimizer" and perhaps "discr_optimizer"
    companions: Mapping[str, torch.nn.Module] = field(default_factory=dict)


def save_checkpoint(output: Path, step: int, state: TrainingState, position: Mapping[str, Any]) -> Path:
    """Write checkpoint-STEP into the output folder and return its path.

    It is written under a temporary name, flushed to disk and renamed. A checkpoint of the same step is removed only
    when the new one is complete, so that one of them survives if the process is killed.
    """
    folder = output / f"checkpoint-{step:07d}"
    part = folder.with_name(folder.name + ".part")
    clean_up(output)
    part.mkdir(parents=True)
    _write(part, state, position)
    _flush(part)
    part.rename(_new(folder) if folder.exists() else folder)
    _flush_folder(output)
    clean_up(output)
    return folder


def _write(folder: Path, state: TrainingState, position: Mapping[str, Any]) -> None:
    for name, network in state.networks.items():
        network.save_pretrained(folder / name)
    for name, module in state.companions.items():
        tensors = {key: value.contiguous() for key, value in module.state_dict().items()}
        save_file(tensors, folder / f"companion-{name}.safetensors")
    for name, optimizer in state.optimizers.items():
        tensors = {
            f"{index}.{key}": value.contiguous()
            for index, entry in optimizer.state_dict()["state"].items()
            for key, value in entry.items()
        }
        save_file(tensors, folder / f"{name}.safetensors")
    (folder / POSITION_FILE).write_text(json.dumps(position, indent=1), encoding="utf-8")


def load_checkpoint(folder: Path, state: TrainingState) -> None:
    """Restore every tensor from a checkpoint."""
    try:
        for name, network in state.networks.items():
            network.load_state_dict(type(network).from_pretrained(folder / name).state_dict())
        for name, module in state.companions.items():
            module.load_state_dict(load_file(folder / f"companion-{name}.safetensors"))
        for name, optimizer in state.optimizers.items():
            _fill(optimizer, folder / f"{name}.safetensors")
    except (OSError, RuntimeError, ValueError) as error:
        raise ReliableSwapError(
            f"{folder} does not fit this run: {' '.join(str(error).split())[:200]}; resume with the settings "
            "it was started with"
        ) from error


def _fill(optimizer: torch.optim.Optimizer, file: Path) -> None:
    state = optimizer.state_dict()
    state["state"] = {}
    for key, value in load_file(file).items():
        index, name = key.split(".", 1)
        state["state"].setdefault(int(index), {})[name] = value
    optimizer.load_state_dict(state)


def read_position(folder: Path) -> dict[str, Any]:
    """Return the `position` that save_checkpoint was given."""
    try:
        position: dict[str, Any] = json.loads((folder / POSITION_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReliableSwapError(
            f"{folder} is not a checkpoint (no {POSITION_FILE}); pass the folder of one, or `latest`"
        ) from error
    missing = {"id", "step", "settings", "data"} - position.keys()
    if missing:
        raise ReliableSwapError(
            f"{folder} was written by another version (no {', '.join(sorted(missing))} in {POSITION_FILE}); start a "
            "new run, with the network in that folder as --initial"
        )
    return position


def checkpoints(output: Path) -> list[Path]:
    """Return the complete checkpoints of a run, oldest first. If a step has two, only the newer counts."""
    found = {int(match[1]): path for path, match in _named(output) if not match[2]}
    found |= {int(match[1]): path for path, match in _named(output) if match[2]}
    return [found[step] for step in sorted(found)]


def keep_newest(output: Path, limit: int) -> None:
    """Remove all checkpoints but the newest `limit`."""
    for old in checkpoints(output)[:-limit]:
        _remove(old)


def clean_up(output: Path) -> None:
    """Finish or remove what a killed process left. A complete .new checkpoint replaces the older one."""
    for path, match in _named(output):
        if match[2]:
            folder = path.with_suffix("")
            if folder.exists():
                _remove(folder)
            path.rename(folder)
            _flush_folder(output)
    for left in (*output.glob("checkpoint-*.gone"), *output.glob("checkpoint-*.part")):
        shutil.rmtree(left)


def _named(output: Path) -> list[tuple[Path, re.Match[str]]]:
    matches = [(path, _NAME.fullmatch(path.name)) for path in output.glob("checkpoint-*")]
    return [(path, match) for path, match in matches if match and (path / POSITION_FILE).is_file()]


def _new(folder: Path) -> Path:
    return folder.with_name(folder.name + ".new")


def _remove(folder: Path) -> None:
    """Rename, then delete: a half-deleted folder must not be taken for a checkpoint."""
    gone = folder.with_name(folder.name + ".gone")
    shutil.rmtree(gone, ignore_errors=True)
    folder.rename(gone)
    shutil.rmtree(gone)


def _flush(folder: Path) -> None:
    """Flush a folder, with all files and folders below it, to disk."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
        else:
            _flush_folder(path)
    _flush_folder(folder)


def _flush_folder(folder: Path) -> None:
    with contextlib.suppress(PermissionError):  # Windows can't open folders
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
