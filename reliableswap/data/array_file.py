"""An .npy file written row by row."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import numpy as np

from reliableswap.errors import ReliableSwapError


class ArrayFile:
    """Appends rows of dtype `dtype` to a file, which is a valid array once it is closed. One row is in memory."""

    def __init__(self, file: Path, dtype: np.dtype) -> None:
        empty = np.zeros(0, dtype)
        self._dtype, self._shape = empty.dtype, empty.shape[1:]
        self._count = 0
        self._stream = file.open("wb")
        self._header()
        self._start = self._stream.tell()

    def __len__(self) -> int:
        return self._count

    def append(self, row: np.ndarray | np.void) -> None:
        """Add a row."""
        row = np.asarray(row)
        if row.dtype != self._dtype or row.shape != self._shape:
            raise ReliableSwapError(
                f"the row has shape {row.shape} and dtype {row.dtype}; make it {self._shape} and {self._dtype}"
            )
        self._stream.write(row.tobytes())
        self._count += 1

    def _header(self) -> None:
        about = {"descr": np.lib.format.dtype_to_descr(self._dtype), "fortran_order": False}
        # NumPy pads headers so that the first axis can grow.
        np.lib.format.write_array_header_1_0(self._stream, {**about, "shape": (self._count, *self._shape)})

    def __enter__(self) -> ArrayFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stream:
            if error is None:
                self._stream.seek(0)
                self._header()
                assert self._stream.tell() == self._start
