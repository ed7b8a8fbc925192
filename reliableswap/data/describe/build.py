"""Make described faces from photos: find and measure them once, put them into words, write Parquet with a card."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from reliableswap import __version__
from reliableswap.data.cells import encode_picture
from reliableswap.data.photos import Photo, list_photos
from reliableswap.data.records import RecordCache, Records
from reliableswap.data.shards import picture_cell, shard_name
from reliableswap.data.splits import NAMES, Split, holds_out
from reliableswap.data.storage import as_path, remove, write_text
from reliableswap.errors import ReliableSwapError
from reliableswap.jobs.units import Crew, Rank

from .attributes import ATTRIBUTES, attributes_from_label, attributes_from_measures
from .card import card
from .language import wording
from .measures import MEASURES, DescribedKind
from .rows import write_rows

_FEWEST = 4  # attributes that a face must have to be described


@dataclass(frozen=True)
class DescribeSettings:
    """captions, rounds: number of captions of a face, and of questions about each of its attributes. per_person: most
    photos of a person. seed: of the wording."""

    captions: int = 6
    rounds: int = 3
    per_person: int = 3
    shard_rows: int = 1000
    seed: int = 0
    split: Split = field(default_factory=Split)
    format: str = "jpeg"

    def __post_init__(self) -> None:
        for name in ("captions", "rounds", "per_person", "shard_rows"):
            if getattr(self, name) < 1:
                raise ReliableSwapError(
                    f"--{name.replace('_', '-')} is {getattr(self, name)}; give 1 or more"
                )


@dataclass(frozen=True)
class DescribeReport:
    """rows: by split; dropped: number of unused photos by reason; values: how often each attribute has each value."""

    rows: Mapping[str, int]
    dropped: Mapping[str, int]
    values: Mapping[str, Mapping[str, int]]


class DescribedRecords(Records):
    """The records of a complete cache, with the measures of each photo."""

    def __init__(self, cache: RecordCache) -> None:
        self.measures: dict[int, dict[str, float | None]] = {}
        super().__init__(cache)

    def keep(self, i: int, columns: Mapping[str, Any]) -> None:
        self.measures[i] = {name: columns[name] for name in MEASURES}


def describe_photos(
    photos: Path,
    output: Path,
    settings: DescribeSettings,
    *,
    flat: Collection[str] = (),
    labels: Mapping[str, Mapping[str, Any]] | None = None,
    cache: Path | None = None,
    workers: int = 1,
    licence: str = "other",
    progress: bool = False,
) -> DescribeReport:
    """Measure and describe the largest face of every photo.

    labels: by folder, a mapping from photos' names without extension to labels of a face API, which take precedence
    over measures.
    """
    chosen = _chosen(list_photos(photos, flat), settings.per_person)
    output = as_path(output)
    rank = Rank.from_environment()
    store = RecordCache(as_path(cache) if cache else output / "cache", DescribedKind(), chosen)
    store.complete(Crew(rank, workers), progress=progress and rank.first)
    records = DescribedRecords(store)
    dropped = Counter(reason for reason in records.reasons if reason)
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in NAMES}
    values: dict[str, Counter[str]] = {name: Counter() for name in ATTRIBUTES}
    for i, photo in enumerate(chosen):
        if not records.found[i]:
            continue
        measures = records.measures[i]
        label = _label(photo, labels or {})
        attributes = {**attributes_from_measures(measures), **(attributes_from_label(label) if label else {})}
        if len(attributes) < _FEWEST:
            dropped["too little known"] += 1
            continue
        for name, value in attributes.items():
            values[name][value] += 1
        held = settings.split.of(photo.identity)
        if held == "train" and holds_out(photo.identity):
            held = "validation"
        row = _row(
            photo,
            records.entries[i],
            attributes,
            measures,
            sorted(attributes_from_label(label)) if label else [],
            settings,
        )
        rows[held].append(row)
    report = DescribeReport({name: len(own) for name, own in rows.items()}, dropped, values)
    if not report.rows["train"]:
        raise ReliableSwapError(
            f"no face in {photos} can be described ({dict(dropped) or 'no photos'}); give photos of more adults"
        )
    if rank.first:
        _write(output, rows, settings, report, licence)
    return report


def _chosen(photos: Sequence[Photo], per_person: int) -> list[Photo]:
    """Choose at most `per_person` photos of each person, the first by name."""
    seen: Counter[str] = Counter()
    chosen = []
    for photo in photos:
        seen[photo.identity] += 1
        if seen[photo.identity] <= per_person:
            chosen.append(photo)
    return chosen


def _label(photo: Photo, labels: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any] | None:
    parts = photo.name.split("/")
    table = labels.get(parts[-2] if len(parts) > 1 else "", {})
    found: Mapping[str, Any] | None = table.get(Path(photo.name).stem)
    return found


def _row(
    photo: Photo,
    entry: np.void,
    attributes: Mapping[str, str],
    measures: Mapping[str, float | None],
    labelled: Sequence[str],
    settings: DescribeSettings,
) -> dict[str, Any]:
    """Make the row of a face. Its wording depends only on its attributes and its seed."""
    seed = _seed(settings.seed, photo.name)
    captions, asked = wording(attributes, seed, settings.captions, settings.rounds)
    return {
        "id": photo.name,
        "person": photo.identity,
        "photo": photo.name,
        "picture": picture_cell(
            encode_picture(np.ascontiguousarray(entry["crop"]), settings.format),
            Path(photo.name).stem,
            settings.format,
        ),
        **{name: attributes.get(name) for name in ATTRIBUTES},
        "labelled": list(labelled),
        "captions": captions,
        "questions": [vars(one) for one in asked],
        "v_id": entry["v_id"].tolist(),
        "measures": json.dumps({k: None if v is None else round(v, 4) for k, v in measures.items()}),
        "seed": seed,
    }


def _seed(seed: int, name: str) -> int:
    """The seed of a face's wording, below 2^48."""
    return int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:6], "big")


def _write(
    output: Path,
    rows: Mapping[str, Sequence[Mapping[str, Any]]],
    settings: DescribeSettings,
    report: DescribeReport,
    licence: str,
) -> None:
    about = {
        "version": __version__,
        "settings": {
            "captions": settings.captions,
            "rounds": settings.rounds,
            "per_person": settings.per_person,
            "seed": settings.seed,
            "split": str(settings.split),
        },
    }
    for old in (output / "data").glob("*.parquet"):
        remove(old)
    for split, own in rows.items():
        count = -(-len(own) // settings.shard_rows)
        for number in range(count):
            part = own[number * settings.shard_rows : (number + 1) * settings.shard_rows]
            write_rows(output / "data" / shard_name(split, number, count), part, about)
    write_text(output / "README.md", card(report.rows, report.dropped, report.values, about, licence))
