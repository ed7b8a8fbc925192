"""One long array whose rows lie in many memory-mapped files."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .storage import local_copy

_OPEN = 256  # files mapped at a time; each takes one of the process's file descriptors


class MappedRows:
    """Row i is row locations[i,1] of file locations[i,0], an .npy file.

    Processes that read the same rows share the files' pages, so many crops cost their memory once.
    """

    def __init__(self, files: Sequence[Path], locations: np.ndarray) -> None:
        self.files, self.locations = list(files), locations
        self._maps: OrderedDict[int, np.ndarray] = OrderedDict()

    def __len__(self) -> int:
        return len(self.locations)

    def __getitem__(self, rows: Any) -> Any:
        """Return one row for an index, the stacked rows for an array of indices."""
        if np.ndim(rows):
            return np.stack([self[int(row)] for row in rows])
        file, row = (int(number) for number in self.locations[rows])
        if file not in self._maps:
            if len(self._maps) >= _OPEN:
                self._maps.popitem(last=False)
            self._maps[file] = np.load(local_copy(self.files[file]), mmap_mode="r")
        self._maps.move_to_end(file)
        return self._maps[file][row]

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the maps, which would be pickled as copies: another process maps the files itself."""
        return {**self.__dict__, "_maps": OrderedDict()}
