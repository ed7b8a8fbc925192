"""Shards of described faces: Parquet files of crops, attributes, captions, questions and answers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from reliableswap.data.cells import decode_picture
from reliableswap.data.storage import as_path, local_copy, readable, write_atomic
from reliableswap.errors import ReliableSwapError

from .attributes import ATTRIBUTES

_ABOUT = b"reliableswap"
_QUESTION = {name: {"dtype": "string", "_type": "Value"} for name in ("attribute", "question", "answer")}
_TEXT = {"dtype": "string", "_type": "Value"}
FEATURES: dict[str, Any] = {
    "id": _TEXT,
    "person": _TEXT,
    "photo": _TEXT,
    "picture": {"_type": "Image"},
    **dict.fromkeys(ATTRIBUTES, _TEXT),
    "labelled": {"feature": _TEXT, "_type": "Sequence"},
    "captions": {"feature": _TEXT, "_type": "Sequence"},
    "questions": [_QUESTION],
    "v_id": {"feature": {"dtype": "float32", "_type": "Value"}, "_type": "Sequence"},
    "measures": {"dtype": "string", "_type": "Value"},
    "seed": {"dtype": "int64", "_type": "Value"},
}


def schema(about: Mapping[str, Any]) -> pa.Schema:
    """The columns of a shard, with metadata on how it was made."""
    asked = pa.list_(pa.struct({name: pa.string() for name in _QUESTION}))
    kinds: dict[str, pa.DataType] = dict.fromkeys(FEATURES, pa.string())
    kinds |= {"picture": pa.struct({"bytes": pa.binary(), "path": pa.string()}), "questions": asked}
    kinds |= {"labelled": pa.list_(pa.string()), "captions": pa.list_(pa.string())}
    kinds |= {"v_id": pa.list_(pa.float32()), "seed": pa.int64()}
    metadata = {
        b"huggingface": json.dumps({"info": {"features": FEATURES}}),
        _ABOUT: json.dumps(about, sort_keys=True),
    }
    return pa.schema(kinds, metadata=metadata)


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]], about: Mapping[str, Any]) -> None:
    """Write one shard atomically; the same rows give the same bytes."""
    table = pa.Table.from_pylist(list(rows), schema=schema(about))
    write_atomic(path, lambda draft: pq.write_table(table, draft, compression="zstd", row_group_size=256))


@dataclass(frozen=True, eq=False)
class DescribedFaces:
    """The rows of one split. Row i: crop(i) (128,128,3) uint8, v_id[i] (128,), attributes[i], captions[i] and
    questions[i], whose entries have the keys attribute, question and answer."""

    pictures: Sequence[bytes]
    people: Sequence[str]
    photos: Sequence[str]
    v_id: np.ndarray
    attributes: Sequence[Mapping[str, str]]
    captions: Sequence[Sequence[str]]
    questions: Sequence[Sequence[Mapping[str, str]]]

    def __len__(self) -> int:
        return len(self.pictures)

    def crop(self, i: int) -> np.ndarray:
        """(128,128,3) uint8 RGB."""
        return decode_picture(self.pictures[i])

    @cached_property
    def key(self) -> str:
        """A digest of the pictures and texts."""
        digest = hashlib.sha256()
        for picture, captions, asked in zip(self.pictures, self.captions, self.questions, strict=True):
            digest.update(
                picture[-64:]
                + repr((len(picture), list(captions), [list(q.values()) for q in asked])).encode()
            )
        return digest.hexdigest()[:16]


def read_rows(folder: Path, split: str) -> DescribedFaces:
    """Read the rows of a split (train, validation or test) of a folder that `describe-data` wrote."""
    place = as_path(folder)
    shards = [local_copy(shard) for shard in sorted((place / "data").glob(f"{split}-*.parquet"))]
    if not shards:
        raise ReliableSwapError(
            f"{folder} holds no described faces of split {split} (no data/{split}-*.parquet); make them with "
            "`reliableswap describe-data PHOTOS -o DIR`"
        )
    rows = [row for shard in shards for row in pq.read_table(readable(shard)).to_pylist()]
    return DescribedFaces(
        pictures=[row["picture"]["bytes"] for row in rows],
        people=[row["person"] for row in rows],
        photos=[row["photo"] for row in rows],
        v_id=np.array([row["v_id"] for row in rows], np.float32).reshape(len(rows), -1),
        attributes=[{name: row[name] for name in ATTRIBUTES if row[name] is not None} for row in rows],
        captions=[row["captions"] for row in rows],
        questions=[row["questions"] for row in rows],
    )
