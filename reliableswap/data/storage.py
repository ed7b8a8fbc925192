"""Triplets as Parquet shards that `datasets` reads and the Hub's viewer shows, written whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from reliableswap.errors import ReliableSwapError

MESH_UNIT = 32  # stored mesh coordinates are whole 1/32 pixels: finer than any mesh network is right
_MESH = 468 * 3
_ROWS = 64  # rows a group: what a reader has to load to see one row
ABOUT = b"reliableswap"

# The pictures and meshes of a row. a and b are real photos; ab has the attributes of a and the identity of b.
PICTURES = ("c_a", "c_b", "c_ab", "c_ba", "other_a", "other_b")


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a draft, then give it the name in one step: the file is complete or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        write(draft)
        with draft.open("rb") as stream:
            os.fsync(stream.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def sweep(folder: Path, before: float) -> None:
    """Remove drafts that a killed run left: those last written before that time, in seconds since 1970."""
    for draft in folder.glob(".*.tmp"):
        with contextlib.suppress(FileNotFoundError):
            if draft.stat().st_mtime < before:
                draft.unlink()


def encode_picture(picture: np.ndarray, form: str) -> bytes:
    """The file of a picture (S,S,3): JPEG at quality 95 without colour subsampling, or PNG."""
    options = {
        "jpeg": (
            ".jpg",
            [
                cv2.IMWRITE_JPEG_QUALITY,
                95,
                cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
                cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
            ],
        ),
        "png": (".png", [cv2.IMWRITE_PNG_COMPRESSION, 4]),
    }
    extension, flags = options[form]
    done, data = cv2.imencode(extension, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), flags)
    if not done:
        raise ReliableSwapError(f"OpenCV can't write {extension} files here; choose the other format")
    return data.tobytes()


def decode_picture(data: Any) -> np.ndarray:
    """(S,S,3) uint8 RGB of a stored picture's bytes, in any buffer."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ReliableSwapError(
            f"a stored picture of {len(data)} bytes can't be decoded; make its shard again"
        )
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def encode_mesh(mesh: np.ndarray) -> np.ndarray:
    """(1404,) int16: 468 points x, y, z of crop pixels as whole 1/32 pixels."""
    return np.clip(np.rint(mesh.reshape(-1) * MESH_UNIT), -32768, 32767).astype(np.int16)


def decode_mesh(values: Any) -> np.ndarray:
    """(468,3) float32 crop pixels."""
    return np.asarray(values, np.float32).reshape(468, 3) / MESH_UNIT


def features() -> dict[str, Any]:
    """The columns in the words of `datasets`, which finds them in the file's metadata."""
    columns: dict[str, Any] = {"id": _value("string")}
    columns |= {name: {"_type": "Image"} for name in PICTURES}
    columns |= {
        f"mesh_{name.removeprefix('c_')}": {
            "feature": _value("int16"),
            "length": _MESH,
            "_type": "Sequence",  # read by old and new versions of datasets alike
        }
        for name in PICTURES
    }
    columns |= {f"identity_{side}": _value("string") for side in "ab"}
    columns |= {f"photo_{side}": _value("string") for side in ("a", "b", "other_a", "other_b")}
    columns |= {
        f"v_id_{name}": {"feature": _value("float32"), "_type": "Sequence"} for name in ("a", "b", "ab", "ba")
    }
    numbers = ("ab_to_b", "ab_to_a", "ba_to_a", "ba_to_b", "quality_a", "quality_b", "shown_ab", "shown_ba")
    columns |= {name: _value("float32") for name in numbers}
    columns |= {f"settings_{name}": _value("string") for name in ("ab", "ba")}
    columns |= {"attempt": _value("int16"), "version": _value("string")}
    return columns


def _value(kind: str) -> dict[str, str]:
    return {"dtype": kind, "_type": "Value"}


def _arrow(feature: Mapping[str, Any]) -> pa.DataType:
    if feature["_type"] == "Image":
        return pa.struct({"bytes": pa.binary(), "path": pa.string()})
    if feature["_type"] == "Sequence":
        return pa.list_(_arrow(feature["feature"]), feature.get("length", -1))
    return {"string": pa.string(), "int16": pa.int16(), "float32": pa.float32()}[feature["dtype"]]


def schema(about: Mapping[str, Any]) -> pa.Schema:
    """The shard's columns; `about` is what the shard says of its making."""
    columns = features()
    metadata = {
        b"huggingface": json.dumps({"info": {"features": columns}}),
        ABOUT: json.dumps(about, sort_keys=True),
    }
    return pa.schema({name: _arrow(feature) for name, feature in columns.items()}, metadata=metadata)


def write_shard(path: Path, rows: Sequence[Mapping[str, Any]], about: Mapping[str, Any]) -> None:
    """One Parquet file. The same rows give the same bytes."""
    table = pa.Table.from_pylist(list(rows), schema=schema(about))
    write_whole(
        path,
        lambda draft: pq.write_table(
            table,
            draft,
            compression="zstd",
            row_group_size=_ROWS,
            use_dictionary=["version", "identity_a", "identity_b"],
            write_page_index=True,
        ),
    )


def picture_cell(data: bytes, name: str, form: str) -> dict[str, Any]:
    return {"bytes": data, "path": f"{name}.{'jpg' if form == 'jpeg' else form}"}


def shard_name(split: str, number: int, count: int) -> str:
    """As the Hub expects it."""
    return f"{split}-{number:05d}-of-{count:05d}.parquet"


def read_about(path: Path) -> dict[str, Any]:
    """What a shard says of its making."""
    metadata = pq.read_schema(path).metadata or {}
    if ABOUT not in metadata:
        raise ReliableSwapError(f"{path} is no shard of triplets; point to the folder that `triplets` wrote")
    return dict(json.loads(metadata[ABOUT]))
