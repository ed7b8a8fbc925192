"""The report of `reliableswap batch`: which rows were made, kept or failed, and why they failed."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from reliableswap.errors import ReliableSwapError
from reliableswap.media.atomic import atomic_file

REPORT = "report.csv"


@dataclass(frozen=True)
class Entry:
    """A line of the report.

    row: 1 for the list's first. status: made, kept (from an earlier run) or failed. advice: why another photo of the
    source would give a better result; of pictures, and of engines that use the source's texture.
    """

    row: int
    source: str
    target: str
    output: str
    status: str
    reason: str = ""
    seconds: float = 0.0
    key: str = ""
    advice: str = ""


class Finished(NamedTuple):
    """What the report of an earlier run says of a finished row."""

    key: str
    advice: str


def finished_rows(path: Path) -> dict[str, Finished]:
    """Read the rows that earlier runs finished, by output."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return {
                row["output"]: Finished(row["key"], row.get("advice", ""))  # older reports have no advice
                for row in csv.DictReader(stream)
                if row["status"] in ("made", "kept")
            }
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeError, csv.Error, KeyError) as error:
        raise ReliableSwapError(
            f"{path} is not a report written by this command ({error}); move it away"
        ) from error


def write_report(path: Path, entries: Mapping[int, Entry]) -> None:
    """Write the entries in the order of the list. entries: by the number of their row."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(Entry.__dataclass_fields__), lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(entries[number]) for number in sorted(entries))
    try:
        with atomic_file(path, overwrite=True) as stream:
            stream.write(text.getvalue().encode())
    except OSError as error:
        raise ReliableSwapError(
            f"{path} can't be written ({error.strerror or error}); free some space"
        ) from error
