"""The networks of an exported pipeline, called with arrays as a swap calls them. Does not need torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .exported import ExportedFile, ExportedFolder

MAPS = "generator_maps"  # the network of a layered generator, without the code that applies its maps


class FileNetwork:
    """A network whose file is opened at the first call. A file takes one sample, so samples run one by one."""

    def __init__(self, folder: ExportedFolder, name: str) -> None:
        self.folder, self.name = folder, name
        self.config: Mapping[str, Any] = folder.about[name]["config"]
        self.executor = self

    def __call__(self, *inputs: np.ndarray | str | None) -> tuple[np.ndarray, ...]:
        return _each(self.folder[self.name], *inputs)

    def above(self, image: np.ndarray, logit: float) -> np.ndarray:
        """(1,3,H,W) -> (M,15): a detector's rows with a logit above `logit`."""
        (answers,) = self.folder[self.name](image)
        return np.asarray(answers[0][answers[0, :, 0] > logit])

    def checksum(self) -> str:
        """Return the checksum of the weights that an encoder was exported from; empty if they were rounded."""
        return str(self.folder.about[self.name].get("encoder") or "")


class FileGenerator:
    """A generator from its files: one that predicts maps at 128 px, or one for each size."""

    adapter = None  # generators with an adapter are not exported

    def __init__(self, folder: ExportedFolder) -> None:
        self.folder = folder
        self._names = {
            about["inputs"]["target"][-1]: name
            for name, about in folder.about.items()
            if name == "generator" or (name.startswith("generator_") and name != MAPS)
        }
        self._any = folder.about[next(iter(self._names.values()))]
        self.config: Mapping[str, Any] = self._any["config"]
        self.executor = self

    @property
    def sizes(self) -> Sequence[int]:
        """The sides of the crops, smallest first."""
        return sorted(self._names)

    @property
    def guidance_channels(self) -> int:
        guidance = self._any["inputs"].get("guidance")
        return int(guidance[1]) if guidance else 0

    def __call__(self, *inputs: np.ndarray | str | None) -> tuple[np.ndarray, ...]:
        target = inputs[0]
        assert isinstance(target, np.ndarray)
        return _each(self.folder[self._names[target.shape[-1]]], *inputs)

    def maps(self, *inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Run a layered generator on inputs of 128 px: return the drawn picture, the maps, and the mask's logits."""
        drawn, maps, logits = _each(self.folder[MAPS], *inputs)
        return drawn, maps, logits


def _each(file: ExportedFile, *inputs: np.ndarray | str | None) -> tuple[np.ndarray, ...]:
    """Run a file on one sample at a time."""
    arrays = [one for one in inputs if isinstance(one, np.ndarray)]
    found = [file(*(one[None] for one in sample)) for sample in zip(*arrays, strict=True)]
    return tuple(found[0] if len(found) == 1 else (np.concatenate(part) for part in zip(*found, strict=True)))
