"""Read a user's list of pairs from a TSV file, and write a protocol's pairs for other tools."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from reliableswap.errors import ReliableSwapError

from .shots import Pair, Shot, pair_name

_REQUIRED = ("source", "target")
_COLUMNS = ("name", *_REQUIRED, "source_person", "target_person", "reference", "truth")


def read_pairs(faces: Path) -> list[Pair]:
    """Read the pairs of a TSV file, or of pairs.tsv in a folder."""
    table = faces / "pairs.tsv" if faces.is_dir() else faces
    if not table.is_file():
        raise ReliableSwapError(
            f"there is no pair list {table}; give a TSV file with columns source and target"
        )
    with table.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream, delimiter="\t")
        _check_columns(table, list(reader.fieldnames or []))
        pairs = [_read_row(table, number, row) for number, row in enumerate(reader, 2)]
    if not pairs:
        raise ReliableSwapError(f"{table} lists no pairs; add lines below the header")
    return pairs


def _check_columns(table: Path, columns: list[str]) -> None:
    if set(_REQUIRED) <= set(columns) <= set(_COLUMNS):
        return
    optional = ", ".join(sorted(set(_COLUMNS) - set(_REQUIRED)))
    raise ReliableSwapError(
        f"{table} has the columns {', '.join(map(str, columns or ['none']))}; its header must name source and "
        f"target, and may name {optional}"
    )


def _read_row(table: Path, number: int, row: dict[str, str]) -> Pair:
    def file(column: str) -> Path | None:
        if not row.get(column):
            return None
        path = table.parent / row[column]
        if not path.is_file():
            raise ReliableSwapError(f"{table}, line {number}: there is no {column} {path}; correct the path")
        return path

    source, target = file("source"), file("target")
    if source is None or target is None:
        raise ReliableSwapError(f"{table}, line {number} has no source or no target; fill in both")
    reference = file("reference")
    person = row.get("source_person") or str(source)
    one = Shot(source, person)
    other = Shot(target, row.get("target_person") or str(target))
    name = row.get("name") or pair_name(one, other, table.parent)
    return Pair(name, one, other, Shot(reference, person) if reference else None, file("truth"))


def write_pairs(pairs: Sequence[Pair], path: Path) -> None:
    """Write the pairs as a TSV file; paths inside its folder are written relative to it."""
    if any(pair.clip for pair in pairs):
        raise ReliableSwapError(
            "the pairs of ffpp and video are video frames, which can't be listed as photos; name the results of ffpp "
            "TARGET_SOURCE.mp4, and those of video as your list does"
        )

    def shown(file: Path | None) -> str:
        if file is None:
            return ""
        whole, root = file.resolve(), path.parent.resolve()
        return str(whole.relative_to(root) if whole.is_relative_to(root) else whole)

    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
        writer.writerow(_COLUMNS)
        for pair in pairs:
            reference = pair.reference.path if pair.reference else None
            files = (pair.source.path, pair.target.path)
            # A person who is known only by a photo's path gets no name: the reader sets it to the path again.
            people = ("" if s.person == str(s.path) else s.person for s in (pair.source, pair.target))
            writer.writerow((pair.name, *map(shown, files), *people, shown(reference), shown(pair.truth)))
