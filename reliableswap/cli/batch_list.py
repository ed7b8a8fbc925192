"""The list of `reliableswap batch`: its columns, and the key that identifies a row's result."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from reliableswap.errors import ReliableSwapError

from .swap import STRENGTHS

REQUIRED_COLUMNS = ("source", "target", "output")
TEXT_COLUMNS = ("person", "engine", "faces", "people", "keep", "take", "encoder", "consent")
NUMBER_COLUMNS: Mapping[str, Callable[[str], Any]] = {
    **dict.fromkeys((*STRENGTHS, "age"), float), "quality": int, "start": float, "end": float
}  # fmt: skip


def read_list(path: Path) -> list[dict[str, str]]:
    """Read the rows of a list, and check them as far as possible without opening a picture or clip."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            columns = [name.strip().lower() for name in reader.fieldnames or ()]
            reader.fieldnames = columns
            rows = [{"source": "", **{name: (row[name] or "").strip() for name in columns}} for row in reader]
    except FileNotFoundError as error:
        raise ReliableSwapError(f"there is no file {path}; check the name") from error
    except (OSError, UnicodeError, csv.Error) as error:
        raise ReliableSwapError(
            f"{path} can't be read as a list ({error}); save it as CSV in UTF-8"
        ) from error
    missing = [
        name
        for name in REQUIRED_COLUMNS
        if name not in columns and not (name == "source" and "person" in columns)
    ]
    unknown = [name for name in columns if name not in (*REQUIRED_COLUMNS, *TEXT_COLUMNS, *NUMBER_COLUMNS)]
    if missing or unknown:
        wrong = (
            f"lacks columns ({', '.join(missing)})"
            if missing
            else f"has unknown columns ({', '.join(unknown)})"
        )
        raise ReliableSwapError(
            f"{path} {wrong}; the columns are {', '.join((*REQUIRED_COLUMNS, *TEXT_COLUMNS, *NUMBER_COLUMNS))}"
        )
    if not rows:
        raise ReliableSwapError(f"{path} has no rows; write one for each result")
    outputs = [row["output"] for row in rows]
    for number, row in enumerate(rows, 1):
        name = Path(row["output"])
        if not row["target"] or not row["output"]:
            raise ReliableSwapError(f"{path}, row {number}: give target and output")
        if bool(row["source"]) == bool(row.get("person")):
            raise ReliableSwapError(f"{path}, row {number}: give either a source or a person")
        if name.is_absolute() or ".." in name.parts:
            raise ReliableSwapError(
                f"{path}, row {number}: the output {name} is outside the output folder; give a plain name"
            )
        if outputs.count(row["output"]) > 1:
            raise ReliableSwapError(
                f"{path}, row {number}: {name} is the output of several rows; give each its own"
            )
    return rows


def files_of(row: Mapping[str, str], home: Path, trained: str | None = None) -> list[Path]:
    """Return the files that a row's result is made from. trained: folder of the training that holds the person."""
    files = [home / cell.strip() for cell in (*row["source"].split(";"), row["target"]) if cell]
    if row.get("person") and trained:
        files += sorted(Path(trained).glob("*.safetensors"))
    return files


def row_key(row: Mapping[str, str], home: Path, trained: str | None = None) -> str:
    """Hash what decides a row's result: its cells, and the sizes and modification times of its files."""
    facts = [sorted(row.items())]
    if row.get("person") and trained:
        facts.append([("trained", trained)])
    for file in files_of(row, home, trained):
        try:
            state = file.stat()
            facts.append([(str(state.st_size), str(state.st_mtime_ns))])
        except OSError:
            facts.append([("missing", file.name)])
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
