"""Hold the rows of a shard until all of them are made: beyond 32 MiB on disk, not in memory."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any

_IN_MEMORY = 32 * 2**20  # bytes


class RowStore:
    """Rows by slot."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115
        self._start: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._start)

    def __contains__(self, slot: int) -> bool:
        return slot in self._start

    def add(self, slot: int, row: Mapping[str, Any]) -> None:
        """Keep a row."""
        self._start[slot] = self._file.seek(0, 2)
        pickle.dump(dict(row), self._file, protocol=5)

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows in the order of their slots, one at a time."""
        for slot in sorted(self._start):
            self._file.seek(self._start[slot])
            yield pickle.load(self._file)

    def __enter__(self) -> RowStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
