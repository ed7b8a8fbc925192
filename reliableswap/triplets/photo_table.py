"""photos.csv: what became of every photo."""

from __future__ import annotations

import csv
from dataclasses import asdict
from pathlib import Path

from reliableswap.data.storage import write_whole

from .choice import Choice
from .records import FaceRecords
from .settings import TripletSettings

_COLUMNS = ["path", "identity", "split", "dropped", "message", "quality"]
_MEASURES = ["enlargement", "sharpness", "score", "yaw", "pitch", "clipped", "covered"]


def write_photo_table(path: Path, records: FaceRecords, choice: Choice, settings: TripletSettings) -> None:
    """A row per photo: its split, why it is not used, the error if it can't be read, and its measures."""

    def write(draft: Path) -> None:
        with draft.open("w", newline="", encoding="utf-8") as stream:
            out = csv.writer(stream, lineterminator="\n")
            out.writerow([*_COLUMNS, *_MEASURES])
            for i, photo in enumerate(records.photos):
                split = settings.split.of(photo.identity)
                about = [photo.name, photo.identity, split, choice.dropped.get(i, ""), records.messages[i]]
                measures = records.measures[i]
                values = asdict(measures) if measures else {}
                figures = [choice.quality[i] if measures else None, *(values.get(name) for name in _MEASURES)]
                out.writerow([*about, *("" if v is None else f"{v:.4g}" for v in figures)])

    write_whole(path, write)
