"""What a resumed run must share with the run that it continues: the settings that matter, and the data."""

from __future__ import annotations

import dataclasses
import hashlib
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reliableswap.errors import ReliableSwapError

from .settings import RunSettings
from .task import Task

_TAIL = 2**16


@dataclass(frozen=True)
class Fingerprint:
    settings: dict[str, Any]
    data: dict[str, str]

    @classmethod
    def of(cls, settings: RunSettings, task: Task, ranks: int) -> Fingerprint:
        """Return the fingerprint of a run. Paths are left out: the task's digests cover the data there."""
        hints = typing.get_type_hints(type(settings))
        kept = {
            one.name: getattr(settings, one.name)
            for one in dataclasses.fields(settings)
            if one.metadata["on_resume"] == "same"
            and Path not in (hints[one.name], *typing.get_args(hints[one.name]))
        }
        return cls({"processes": ranks, **kept}, task.fingerprint())

    def require_same(self, other: Fingerprint, message: str) -> None:
        """Raise an error if fields differ; it begins with the message and names them all."""
        differences = [
            f"{name} {ours.get(name, 'absent')} -> {theirs.get(name, 'absent')}"
            for ours, theirs in ((self.settings, other.settings), (self.data, other.data))
            for name in sorted(ours.keys() | theirs.keys())
            if ours.get(name) != theirs.get(name)
        ]
        if differences:
            raise ReliableSwapError(f"{message}: {', '.join(differences)}")


def digest_of_files(paths: Iterable[Path]) -> str:
    """Sixteen-digit digest of the names, sizes and ends of files; Parquet keeps its statistics at the end."""
    digest = hashlib.sha256()
    for path in paths:
        size = path.stat().st_size
        with path.open("rb") as stream:
            stream.seek(max(0, size - _TAIL))
            digest.update(repr((path.name, size)).encode() + stream.read())
    return digest.hexdigest()[:16]


def digest_of_names(folder: Path, paths: Iterable[Path]) -> str:
    """Sixteen-digit digest of the names, relative to the folder, and the sizes of files."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(repr((path.relative_to(folder).as_posix(), path.stat().st_size)).encode())
    return digest.hexdigest()[:16]
