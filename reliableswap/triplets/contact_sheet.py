"""The contact sheet: some rows of a finished run as one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq

from reliableswap.data.cells import decode_picture
from reliableswap.data.storage import readable

_SHOWN = ("c_a", "c_b", "c_ab", "c_ba")
_SOURCES = ("source_a", "source_b")
_SAMPLES = 32
_CELL = 128  # px


def contact_sheet(shards: Sequence[Path], samples: int = _SAMPLES, across: int = 4) -> np.ndarray:
    """(H,W,3) samples from all shards, `across` to a line: C_a, C_b, C_ab, C_ba and any source surrogates of each."""
    counts = [pq.read_metadata(readable(path)).num_rows for path in shards]
    shown = _shown(shards)
    wanted = np.unique(np.linspace(0, max(sum(counts) - 1, 0), samples).astype(int))
    strips: list[np.ndarray] = []
    start = 0
    for path, count in zip(shards, counts, strict=True):
        mine = [int(w) - start for w in wanted if start <= w < start + count]
        start += count
        if mine:
            rows = pq.read_table(readable(path), columns=list(shown)).take(mine).to_pylist()
            strips.extend(_strip([row[name] for name in shown]) for row in rows)
    if not strips:
        return np.full((_CELL, len(shown) * _CELL, 3), 255, np.uint8)
    empty = np.full_like(strips[0], 255)
    strips += [empty] * (-len(strips) % across)
    gap = 8
    lines = []
    for k in range(0, len(strips), across):
        pieces = [
            np.pad(strip, ((gap, 0), (gap, 0), (0, 0)), constant_values=255)
            for strip in strips[k : k + across]
        ]
        lines.append(np.concatenate(pieces, 1))
    return np.concatenate(lines)


def _shown(shards: Sequence[Path]) -> tuple[str, ...]:
    """The columns to show, including those of source surrogates if any row has some."""
    made = (
        pq.read_table(readable(path), columns=[f"settings_{name}" for name in _SOURCES]) for path in shards
    )
    some = any(column.null_count < len(column) for table in made for column in table.columns)
    return _SHOWN + _SOURCES if some else _SHOWN


def _strip(cells: Sequence[Mapping[str, Any] | None]) -> np.ndarray:
    pictures = [
        np.full((_CELL, _CELL, 3), 255, np.uint8) if cell is None else decode_picture(cell["bytes"])
        for cell in cells
    ]
    sized = [cv2.resize(p, (_CELL, _CELL), interpolation=cv2.INTER_AREA) for p in pictures]
    return np.concatenate(sized, 1)
