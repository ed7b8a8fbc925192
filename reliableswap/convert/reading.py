"""Read untrusted checkpoints and find a network in them.

This is the only module that opens pickled files, and only with `weights_only=True`.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from reliableswap.errors import WeightsError
from reliableswap.models.messages import first_few

from .layout import Tensors

_MAGIC = (b"PK", b"\x80")  # of files by torch.save: a zip archive, or a pickle from old versions


def read_checkpoint(path: Path) -> Any:
    """Read a checkpoint: tensors by name, nested as in the file. No code in the file is ever run."""
    if not path.is_file():
        raise WeightsError(f"no checkpoint at {path}")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with path.open("rb") as stream:
            if not stream.read(2).startswith(_MAGIC):
                raise WeightsError(f"{path} is not a PyTorch checkpoint; download it again")
        return torch.load(path, map_location="cpu", weights_only=True)
    except WeightsError:  # is a ValueError, too
        raise
    except SafetensorError as error:
        raise WeightsError(
            f"{path} is not a complete safetensors file ({error}); download it again"
        ) from error
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} holds Python objects besides its tensors, which could run code, so it is not opened; "
            "if you trust it, load it yourself and save its state_dict alone"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError) as error:
        reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise WeightsError(f"{path} can't be read as a checkpoint ({reason}); download it again") from error


@dataclass(frozen=True)
class Found:
    """A network's tensors without their common prefix, and the names of everything else in the file."""

    tensors: Tensors
    beside: tuple[str, ...]


def find_network(kind: str, unique_key: str, content: Any, path: Path, prefix: str | None = None) -> Found:
    """Find the network in a checkpoint that has a tensor named `unique_key`; `prefix` selects one of several.

    kind and path are for error messages.
    """
    places: dict[tuple[str, str], Tensors] = {}
    tables = dict(_tables(content, ""))
    for place, table in tables.items():
        starts = {key.removesuffix(unique_key) for key in table if key.endswith(unique_key)}
        for start in starts:
            if (not start or start.endswith(".")) and (prefix is None or place + start == prefix):
                places[place, start] = table
    if not places:
        seen = next(iter(tables.values()), {})
        after = f" after the prefix {prefix!r}" if prefix is not None else ""
        raise WeightsError(
            f"{path} holds no {kind} network (no tensor named …{unique_key}{after}; it has "
            f"{first_few(tuple(seen))}); is the kind right?"
        )
    if len(places) > 1:
        names = tuple(sorted(repr(place + start) for place, start in places))
        raise WeightsError(
            f"{path} holds {len(places)} {kind} networks; choose one with --prefix: {first_few(names)}"
        )
    (place, start), table = next(iter(places.items()))
    tensors = {key.removeprefix(start): tensor for key, tensor in table.items() if key.startswith(start)}
    other = {key.split(".")[0] for key in table if not key.startswith(start)}
    other |= {name.rstrip(".") for name in tables if name and name != place}
    return Found(tensors, tuple(sorted(other)))


def _tables(content: Any, place: str) -> Iterator[tuple[str, Tensors]]:
    """Yield every dictionary of tensors in the checkpoint, with its path."""
    if not isinstance(content, dict):
        return
    tensors = {
        key: value for key, value in content.items() if isinstance(key, str) and isinstance(value, Tensor)
    }
    if tensors:
        yield place, tensors
    for key, value in content.items():
        yield from _tables(value, f"{place}{key}.")
