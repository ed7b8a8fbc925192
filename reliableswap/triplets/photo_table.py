"""photos.csv: what became of every photo."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from reliableswap.data.photo_list import PhotoList
from reliableswap.data.storage import write_atomic

_COLUMNS = ["path", "identity", "split", "dropped", "message", "quality"]
_MEASURES = ["enlargement", "sharpness", "score", "yaw", "pitch", "clipped", "covered"]


def write_photo_table(
    path: Path,
    photos: PhotoList,
    faces: np.ndarray,
    reasons: Sequence[str],
    messages: Sequence[str],
    splits: Sequence[str],
) -> None:
    """Write a row for each photo: its split, why it is not used, the error if it can't be read, and its measures.

    splits: by person.
    """

    def write(draft: Path) -> None:
        with draft.open("w", newline="", encoding="utf-8") as stream:
            out = csv.writer(stream, lineterminator="\n")
            out.writerow([*_COLUMNS, *_MEASURES])
            people = photos.people
            for i, (name, person) in enumerate(zip(photos.names(), photos.person.tolist(), strict=True)):
                face = faces[i]
                about = [name, people[person].as_py(), splits[person], reasons[face["why"]], messages[i]]
                seen = face["place"][0] >= 0
                values = [f"{face[name]:.4g}" if seen else "" for name in ("quality", *_MEASURES)]
                out.writerow([*about, *values])

    write_atomic(path, write)
