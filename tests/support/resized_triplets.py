"""Triplets of another size, resampled from the shared ones, which is quicker than making them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from reliableswap.data.cells import decode_mesh, decode_picture, encode_mesh, encode_picture


def resized(triplets: Path, output: Path, size: int) -> Path:
    """Copy the folder, with pictures and meshes resized to `size`."""
    run = json.loads((triplets / "run.json").read_text())
    before = run["settings"]["size"]
    run["settings"]["size"] = size
    (output / "data").mkdir(parents=True)
    (output / "run.json").write_text(json.dumps(run))
    for path in sorted((triplets / "data").glob("*.parquet")):
        table = pq.read_table(path)
        about = {
            key: value.replace(b'"size": %d' % before, b'"size": %d' % size)
            for key, value in (table.schema.metadata or {}).items()
        }
        for place, field in enumerate(table.schema):
            cells = table.column(place).to_pylist()
            if field.name.startswith("mesh"):
                cells = [None if one is None else _mesh(np.array(one), size / before) for one in cells]
            elif field.name.startswith("seen_"):
                continue  # independent of the size
            elif cells and isinstance(cells[0], dict) and "bytes" in cells[0]:
                cells = [one and {**one, "bytes": _picture(one["bytes"], size)} for one in cells]
            else:
                continue
            table = table.set_column(place, field, pa.array(cells, type=field.type))
        pq.write_table(table.replace_schema_metadata(about), output / "data" / path.name)
    return output


def _picture(data: bytes, size: int) -> bytes:
    return encode_picture(
        cv2.resize(decode_picture(data), (size, size), interpolation=cv2.INTER_AREA), "jpeg"
    )


def _mesh(values: np.ndarray, factor: float) -> np.ndarray:
    mesh = decode_mesh(values)
    mesh[:, :2] = (mesh[:, :2] + 0.5) * factor - 0.5
    mesh[:, 2] *= factor
    return encode_mesh(mesh)
