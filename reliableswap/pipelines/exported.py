"""ExportedPipeline: the pipeline of an exported folder. It swaps without torch."""

from __future__ import annotations

import os
from typing import Self

from reliableswap.errors import ReliableSwapError, WeightsError
from reliableswap.runtime.exported import ExportedFolder
from reliableswap.runtime.exported_networks import FileGenerator, FileNetwork
from reliableswap.safety.gates import Gates
from reliableswap.swap.networks import Networks
from reliableswap.swap.person import Person

from .calls import SwapCalls
from .options import ChosenEngine, Engine

_FILE_NETWORKS = ("detector", "landmarks", "glasses", "visibility", "identity", "fixer")


class ExportedPipeline(SwapCalls):
    """Swaps faces with ONNX Runtime or OpenVINO, as `ReliableSwapPipeline` does with torch:

    pipe = ExportedPipeline.from_pretrained("exported")
    pipe("alice.jpg", "photo.jpg").save("swapped.png")

    `reliableswap export` writes the folder. Its networks are fixed: none can be replaced, moved or saved. People with
    decoders of their own need torch.
    """

    def __init__(self, folder: ExportedFolder) -> None:
        known = folder.pipeline
        if not known:
            raise WeightsError(
                f"{folder.folder} does not hold a complete pipeline; export one with `reliableswap export DIR -o OUT`"
            )
        if known["left_out"]:
            raise WeightsError(
                f"{folder.folder} lacks {', '.join(known['left_out'])}, which can't be exported; use the pipeline that "
                "it was exported from, which needs torch"
            )
        self._folder, self._safety = folder, Gates()
        networks = {name: FileNetwork(folder, name) for name in _FILE_NETWORKS if name in folder}
        generator = FileGenerator(folder) if self.holds("generator") else None
        identity, fixer = (FileNetwork(folder, name) for name in known["probe"])
        self._networks = Networks(**networks, generator=generator, probe=(identity, fixer))

    @classmethod
    def from_pretrained(cls, folder: str | os.PathLike[str], *, threads: int | None = None) -> Self:
        """Open an exported folder. threads: of each network; None for as many as this process has cores."""
        return cls(ExportedFolder(os.fspath(folder), _cores() if threads is None else threads))

    @property
    def form(self) -> str:
        """The format of the files: onnx or openvino."""
        return self._folder.form

    @property
    def place(self) -> str:
        """The format of the files, as reports name it."""
        return f"{self.form} (exported)"

    def networks(self) -> Networks:
        """The networks of the folder."""
        return self._networks

    def holds(self, name: str) -> bool:
        """Whether the folder has a network of that name."""
        return name in self._folder.pipeline["networks"]

    def choose_engine(self, engine: Engine) -> ChosenEngine:
        """Return the engine for photos as sources: blend or neural."""
        if engine == "person":
            raise _no_decoders("engine='person'")
        return super().choose_engine(engine)

    def trained(self, name: str) -> Person:
        """Raise, and say what to use instead: an exported folder holds no decoders."""
        raise _no_decoders(f"person={name!r}")

    def checksums(self) -> dict[str, tuple[str, str]]:
        """Return class and weights' checksum of every network by its name; of 8-bit ones, the file's checksum."""
        return {
            name: (kind, checksum) for name, (kind, checksum) in self._folder.pipeline["networks"].items()
        }


def _no_decoders(asked: str) -> ReliableSwapError:
    return ReliableSwapError(
        f"{asked} needs a trained person's decoder, which runs only in torch; use the pipeline that was exported"
    )


def _cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
