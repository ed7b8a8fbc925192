"""`reliableswap batch`: swap the pictures and clips of a list. A second run skips finished rows and tries the rest."""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reliableswap.errors import ReliableSwapError
from reliableswap.jobs.shared import existing, require_shared, wait_for
from reliableswap.media.video.outputs import is_clip_name
from reliableswap.provenance.credentials import Credentials, credentials
from reliableswap.swap.settings import SwapSettings

from .batch_list import NUMBER_COLUMNS, files_of, read_list, row_key
from .batch_report import REPORT, Entry, finished_rows, write_report
from .common import (
    add_executor_arguments,
    add_photo_arguments,
    add_signer_arguments,
    add_trained_argument,
    executor_of,
    load_pipeline,
    say,
)
from .swap import STRENGTHS, parse_attributes, parse_numbers

if TYPE_CHECKING:
    from reliableswap.jobs.units import Executor
    from reliableswap.pipelines.calls import SwapCalls
    from reliableswap.swap.person import Person

logger = logging.getLogger(__name__)

_CLIP_ONLY = ("people", "encoder", "start", "end")


@dataclass(frozen=True)
class Row:
    """One row as a unit of work. replace: an earlier run, or an earlier try of this one, wrote its output.

    shared: the paths that the node making it must see.
    """

    number: int
    cells: Mapping[str, str]
    key: str
    replace: bool
    shared: tuple[Path, ...] = ()

    def entry(self, status: str, seconds: float = 0.0, reason: str = "", advice: str = "") -> Entry:
        """Return the row's line of the report. A failed row gets no key, so that the next run tries it again."""
        return Entry(
            self.number,
            self.cells["source"],
            self.cells["target"],
            self.cells["output"],
            status,
            reason,
            round(seconds, 2),
            "" if status == "failed" else self.key,
            advice,
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Swap the pictures and clips of a list. Running it again keeps the results whose row and files have not "
        "changed, even if --pipeline, --analyser or --device have: give another DIR to compare them."
    )
    parser.add_argument(
        "list",
        metavar="LIST.csv",
        help="columns source, target and output; optional: person (in place of source), engine, faces (pictures), "
        "people, encoder, start, end (clips), quality, consent, age, keep, take, "
        f"{', '.join(STRENGTHS)}; several photos of one source or several parts are separated by ;",
    )
    parser.add_argument(
        "-o", "--output", required=True, metavar="DIR", help=f"folder for the results and {REPORT}"
    )
    parser.add_argument("--consent", metavar="TEXT", help="for rows without a statement of their own")
    add_trained_argument(parser)
    add_signer_arguments(parser)
    parser.add_argument(
        "--fresh", action="store_true", help="discard what interrupted clips left in OUT.parts"
    )
    add_executor_arguments(parser, "row")
    add_photo_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    home, rows = Path(arguments.list).parent, read_list(Path(arguments.list))
    folder = Path(arguments.output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ReliableSwapError(
            f"{folder} can't be created ({error.strerror}); give another folder"
        ) from error
    credentials(arguments.cert, arguments.key)  # fails early if they can't sign
    known = finished_rows(folder / REPORT)
    entries: dict[int, Entry] = {}
    executor = executor_of(arguments)

    def to_do() -> Iterator[Row]:
        """Yield the rows that no earlier run finished, and enter the others as kept."""
        for number, row in enumerate(rows, 1):
            if arguments.consent and not row.get("consent"):
                row["consent"] = arguments.consent
            output = folder / row["output"]
            earlier = known.get(row["output"])
            one = Row(number, row, row_key(row, home, arguments.trained), earlier is not None)
            if earlier is not None and earlier.key == one.key and output.is_file():
                entries[number] = one.entry("kept", advice=earlier.advice)
            elif executor is None:
                yield one
            else:
                # A node may die after writing an output and before reporting it; the row is then made again.
                shared = existing((folder, *files_of(row, home, arguments.trained)))
                yield replace(one, replace=one.replace or not output.exists(), shared=shared)

    maker = RowMaker(home, folder, arguments)
    with closing(_made(executor, maker, to_do())) as made:
        for entry in made:
            entries[entry.row] = entry
            failed = f" failed: {entry.reason}" if entry.status == "failed" else ""
            say(f"{entry.row} of {len(rows)}: {entry.output}{failed}")
            write_report(folder / REPORT, entries)
    write_report(folder / REPORT, entries)
    counts = {
        status: sum(one.status == status for one in entries.values()) for status in ("made", "kept", "failed")
    }
    say(f"made {counts['made']}, kept {counts['kept']}, failed {counts['failed']}; see {folder / REPORT}")
    if arguments.json:
        print(json.dumps([asdict(entries[number]) for number in sorted(entries)], indent=1))
    return 1 if counts["failed"] else 0


def _made(executor: Executor | None, maker: RowMaker, rows: Iterator[Row]) -> Generator[Entry, None, None]:
    """Make the rows one by one in this process, or in any order with the executor."""
    if executor is None:
        yield from map(maker, rows)
        return
    with closing(executor(maker, list(rows))) as made:
        for entry in made:
            if entry.status == "made":
                wait_for(maker.folder / entry.output)
            yield entry


@dataclass(eq=False)
class RowMaker:
    """Makes rows with one pipeline, loaded for the first row. Each source is prepared once.

    home: the folder of the list. folder: the folder of the results.
    """

    home: Path
    folder: Path
    arguments: argparse.Namespace
    _people: dict[str, Person] = field(default_factory=dict, init=False, repr=False)

    def __call__(self, row: Row) -> Entry:
        """Make one result, and return its line of the report. A failed swap is reported there and not raised."""
        began = time.perf_counter()
        require_shared(row.shared)
        pipe = self._pipe
        try:
            advice = self._make(pipe, row)
        except Exception as error:  # the other rows are still made
            reason = str(error)
            if not isinstance(error, ReliableSwapError):
                logger.exception("row %d", row.number)
                reason = f"{type(error).__name__}: {error}"
            return row.entry("failed", time.perf_counter() - began, reason)
        return row.entry("made", time.perf_counter() - began, advice=" ".join(advice))

    @cached_property
    def _pipe(self) -> SwapCalls:
        return load_pipeline(self.arguments)

    @cached_property
    def _signer(self) -> Credentials:
        return credentials(self.arguments.cert, self.arguments.key)

    def _make(self, pipe: SwapCalls, wanted: Row) -> list[str]:
        """Make one result, and return advice on its source: each sentence once, although it may hold for many faces."""
        row = wanted.cells
        values = {name: _number(name, row[name]) for name in NUMBER_COLUMNS if row.get(name)}
        settings = SwapSettings(**{name: values[name] for name in (*STRENGTHS, "age") if name in values})
        kept, taken = (row.get(name, "").replace(";", ",") for name in ("keep", "take"))
        if kept or taken:
            settings = settings.with_attributes(parse_attributes(kept, taken))
        clip = is_clip_name(row["target"])
        misplaced = [name for name in _CLIP_ONLY if row.get(name) and not clip]
        misplaced += ["faces"] if clip and row.get("faces") else []
        if misplaced:
            kind, other = ("clip", "picture") if clip else ("picture", "clip")
            raise ReliableSwapError(
                f"{row['target']} is a {kind}, to which these columns of a {other} do not apply: "
                f"{', '.join(misplaced)}; leave them empty"
            )
        target, output = self.home / row["target"], self.folder / row["output"]
        output.parent.mkdir(parents=True, exist_ok=True)
        common: dict[str, Any] = {
            "engine": row.get("engine") or "auto",
            "consent": row.get("consent") or None,
        }
        overwrite = self.arguments.overwrite or wanted.replace
        source = self._source(row)
        if clip:
            self._clip(row, values, source, target, output, settings, overwrite, common)
            return []
        faces = row.get("faces") or "largest"
        chosen: Any = faces if faces in ("largest", "all") else parse_numbers(faces)
        result = pipe(source, target, faces=chosen, settings=settings, **common)
        result.save(output, overwrite=overwrite, quality=values.get("quality", 95), signer=self._signer)
        return list(dict.fromkeys(sentence for face in result.report.faces for sentence in face.advice))

    def _clip(
        self,
        row: Mapping[str, str],
        values: dict[str, Any],
        source: Person,
        target: Path,
        output: Path,
        settings: SwapSettings,
        overwrite: bool,
        common: dict[str, Any],
    ) -> None:
        from reliableswap.pipelines.video import VideoSettings

        people = row.get("people") or "first"
        video = VideoSettings(
            start=values.get("start"),
            end=values.get("end"),
            quality=values.get("quality", 85),
            encoder=row.get("encoder") or "auto",
            fresh=self.arguments.fresh,
        )
        chosen: Any = people if people in ("first", "all") else parse_numbers(people, "people")
        for _ in self._pipe.video(
            source,
            target,
            output,
            people=chosen,
            settings=settings,
            video=video,
            overwrite=overwrite,
            signer=self._signer,
            **common,
        ):
            pass

    def _source(self, row: Mapping[str, str]) -> Person:
        if row.get("person"):
            return self._pipe.trained(row["person"])
        cell = row["source"]
        if cell not in self._people:
            self._people[cell] = self._pipe.prepare([self.home / one.strip() for one in cell.split(";")])
        return self._people[cell]


def _number(name: str, text: str) -> Any:
    try:
        return NUMBER_COLUMNS[name](text)
    except ValueError as error:
        raise ReliableSwapError(f"{name} is {text!r}, not a number") from error
