"""Folders of triplets: Parquet shards that `datasets` reads and the Hub's viewer shows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from reliableswap.errors import ReliableSwapError

from .cells import EXTENSIONS, MESH_LENGTH
from .splits import Split
from .storage import as_path, is_remote, local_copy, readable, write_atomic

# A row group is in memory as a whole when it is written, and when any of its rows is read.
_ROWS_PER_GROUP = 64
_BYTES_PER_GROUP = 16 * 2**20  # of pictures; 64 rows of 128 px take less
_ABOUT = b"reliableswap"  # the metadata key of how a shard was made

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")

# The pictures of a row. a and b are real photos; ab has the attributes of a and the identity of b; source_a is made
# from a and shows the same person. Every picture has a mesh, named without c_, and may have the planes of
# stored_covers.py.
PICTURES = ("c_a", "c_b", "c_ab", "c_ba", "other_a", "other_b", "source_a", "source_b")


def shard_name(split: str, number: int, count: int) -> str:
    """A shard's file name, in the Hub's pattern."""
    return f"{split}-{number:05d}-of-{count:05d}.parquet"


def shards_of(folder: Path, split: str) -> list[Path]:
    """List the shards of one split in a folder of triplets, in order; split "*": all of them.

    folder: local, a URL (s3://, gs://, hf://datasets/owner/name), or a dataset's id on the Hub. Remote shards are
    copied to this machine, once.
    """
    place = as_path(folder)
    if not is_remote(place) and not place.exists() and _HUB_ID.fullmatch(str(folder)):
        place = as_path(f"hf://datasets/{folder}")
    try:
        return [local_copy(shard) for shard in sorted((place / "data").glob(f"{split}-*.parquet"))]
    except (OSError, ValueError) as error:
        if not is_remote(place):
            raise
        raise ReliableSwapError(
            f"no triplets could be read from {place}: {' '.join(str(error).split())[:200]}; check the name, the "
            "network and your credentials"
        ) from error


def read_about(shard: Path) -> dict[str, Any]:
    """Read how a shard was made: settings, versions, counts."""
    metadata = pq.read_schema(readable(shard)).metadata or {}
    if _ABOUT not in metadata:
        raise ReliableSwapError(
            f"{shard} is not a triplet shard; give the folder that `reliableswap triplets` wrote"
        )
    return dict(json.loads(metadata[_ABOUT]))


def split_of_folder(folder: Path) -> Split:
    """How the people of a folder of triplets were split."""
    for shard in shards_of(folder, "*"):
        return Split(*read_about(shard)["settings"]["split"])
    raise ReliableSwapError(
        f"{folder} holds no triplets (no data/*.parquet); make some with `reliableswap triplets`"
    )


def write_shard(path: Path, rows: Iterable[Mapping[str, Any]], about: Mapping[str, Any]) -> None:
    """Write one Parquet file, with one row group in memory at a time. The same rows give the same bytes.

    about: how the shard was made, which `read_about` returns.
    """
    columns = schema(about)

    def write(draft: Path) -> None:
        with pq.ParquetWriter(
            draft,
            columns,
            compression="zstd",
            use_dictionary=["version", "identity_a", "identity_b"],
            write_page_index=True,
        ) as out:
            for group in _groups(rows):
                out.write_table(
                    pa.Table.from_pylist([{**_NO_MESHES, **row} for row in group], schema=columns)
                )
                group.clear()  # before the next one is made

    write_atomic(path, write)


# Placeholders for the meshes of missing pictures. PyArrow before version 26 can't read a null list of fixed length.
_NO_MESHES: dict[str, Any] = {f"mesh_{name.removeprefix('c_')}": [0] * MESH_LENGTH for name in PICTURES}


def _groups(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """Cut rows into row groups that are small enough."""
    group: list[Mapping[str, Any]] = []
    size = 0
    for row in rows:
        cells = (row.get(name) for name in PICTURES)
        weight = sum(len(cell["bytes"]) for cell in cells if cell)
        if group and (len(group) == _ROWS_PER_GROUP or size + weight > _BYTES_PER_GROUP):
            yield group
            group, size = [], 0
        group.append(row)
        size += weight
    if group:
        yield group


def picture_cell(data: bytes, name: str, form: str) -> dict[str, Any]:
    """A picture's file as `datasets` stores images."""
    return {"bytes": data, "path": f"{name}{EXTENSIONS[form]}"}


def schema(about: Mapping[str, Any]) -> pa.Schema:
    """A shard's columns and metadata."""
    columns = features()
    metadata = {
        b"huggingface": json.dumps({"info": {"features": columns}}),
        _ABOUT: json.dumps(about, sort_keys=True),
    }
    return pa.schema({name: _arrow(feature) for name, feature in columns.items()}, metadata=metadata)


def features() -> dict[str, Any]:
    """The columns as `datasets` describes them in a file's metadata."""
    columns: dict[str, Any] = {"id": _value("string")}
    columns |= {name: {"_type": "Image"} for name in PICTURES}
    columns |= {
        f"mesh_{name.removeprefix('c_')}": {
            "feature": _value("int16"),
            "length": MESH_LENGTH,
            "_type": "Sequence",  # read by old and new versions of datasets alike
        }
        for name in PICTURES
    }
    columns |= {f"seen_{name.removeprefix('c_')}": {"_type": "Image"} for name in PICTURES}
    columns |= {f"identity_{side}": _value("string") for side in "ab"}
    columns |= {f"photo_{side}": _value("string") for side in ("a", "b", "other_a", "other_b")}
    columns |= {
        f"v_id_{name}": {"feature": _value("float32"), "_type": "Sequence"} for name in ("a", "b", "ab", "ba")
    }
    numbers = ["ab_to_b", "ab_to_a", "ba_to_a", "ba_to_b", "quality_a", "quality_b", "shown_ab", "shown_ba"]
    numbers += ["source_to_a", "source_to_b"]
    columns |= {name: _value("float32") for name in numbers}
    columns |= {
        f"{what}_{name}": _value("string") for what in ("surrogate", "settings") for name in ("ab", "ba")
    }
    columns |= {f"settings_source_{side}": _value("string") for side in "ab"}
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
