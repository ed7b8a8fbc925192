"""`reliableswap batch`: pictures and clips of a list. Running it again skips what is done and tries the rest."""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reliableswap.errors import ReliableSwapError
from reliableswap.media.atomic import atomic_file
from reliableswap.media.video.outputs import is_clip_name
from reliableswap.provenance.credentials import Credentials, credentials
from reliableswap.swap.settings import SwapSettings

from .common import add_photo_arguments, add_signer_arguments, add_trained_argument, load_pipeline, say
from .swap import STRENGTHS, parse_numbers, parts

if TYPE_CHECKING:
    from reliableswap.pipelines.image import ReliableSwapPipeline
    from reliableswap.swap.person import Person

logger = logging.getLogger(__name__)

REPORT = "report.csv"
_NEEDED = ("source", "target", "output")
_PLAIN = ("person", "engine", "faces", "people", "keep", "take", "encoder", "consent")
_NUMBERS: Mapping[str, Callable[[str], Any]] = {
    **dict.fromkeys((*STRENGTHS, "age"), float), "quality": int, "start": float, "end": float
}  # fmt: skip
_CLIP_ONLY = ("people", "encoder", "start", "end")


@dataclass(frozen=True)
class Entry:
    """A line of the report. status: made, kept (from an earlier run) or failed. row: 1 for the list's first."""

    row: int
    source: str
    target: str
    output: str
    status: str
    reason: str = ""
    seconds: float = 0.0
    key: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "list",
        metavar="LIST.csv",
        help="columns source, target and output; optional: person (in place of source), engine, faces (pictures), "
        "people, encoder, start, end (clips), quality, consent, age, keep, take, "
        f"{', '.join(STRENGTHS)}; several photos of one source or several parts are separated by ;",
    )
    parser.add_argument(
        "-o", "--output", required=True, metavar="DIR", help=f"the results' folder, with {REPORT} in it"
    )
    parser.add_argument("--consent", metavar="TEXT", help="for rows without an own statement")
    add_trained_argument(parser)
    add_signer_arguments(parser)
    parser.add_argument(
        "--fresh", action="store_true", help="throw away what interrupted clips left in OUT.parts"
    )
    add_photo_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    home, rows = Path(arguments.list).parent, read_list(Path(arguments.list))
    folder = Path(arguments.output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ReliableSwapError(f"{folder} can't be made ({error.strerror}); give another folder") from error
    signer = credentials(arguments.cert, arguments.key)
    known = _earlier(folder / REPORT)
    entries: list[Entry] = []
    batch: _Batch | None = None
    for number, row in enumerate(rows, 1):
        if arguments.consent and not row.get("consent"):
            row["consent"] = arguments.consent
        facts = (number, row["source"], row["target"], row["output"])
        key = _key(row, home, arguments.trained)
        began = time.perf_counter()
        if known.get(row["output"]) == key and (folder / row["output"]).is_file():
            entries.append(Entry(*facts, "kept", key=key))
            continue
        batch = batch or _Batch(load_pipeline(arguments), home, folder, signer, arguments)
        try:
            batch.make(row, replace=row["output"] in known)
            entries.append(Entry(*facts, "made", "", round(time.perf_counter() - began, 2), key))
            say(f"{number} of {len(rows)}: {row['output']}")
        except Exception as error:  # the other rows are still made
            known_kind = isinstance(error, ReliableSwapError)
            if not known_kind:
                logger.exception("row %d", number)
            reason = str(error) if known_kind else f"{type(error).__name__}: {error}"
            entries.append(Entry(*facts, "failed", reason, round(time.perf_counter() - began, 2)))
            say(f"{number} of {len(rows)}: {row['output']} failed: {reason}")
        _write(folder / REPORT, entries)
    _write(folder / REPORT, entries)
    counts = {status: sum(one.status == status for one in entries) for status in ("made", "kept", "failed")}
    say(f"made {counts['made']}, kept {counts['kept']}, failed {counts['failed']}; see {folder / REPORT}")
    if arguments.json:
        print(json.dumps([asdict(one) for one in entries], indent=1))
    return 1 if counts["failed"] else 0


def read_list(path: Path) -> list[dict[str, str]]:
    """The rows of a list, checked as far as that goes without opening a file."""
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
        name for name in _NEEDED if name not in columns and not (name == "source" and "person" in columns)
    ]
    unknown = [name for name in columns if name not in (*_NEEDED, *_PLAIN, *_NUMBERS)]
    if missing or unknown:
        wrong = f"lacks {', '.join(missing)}" if missing else f"has the unknown {', '.join(unknown)}"
        raise ReliableSwapError(
            f"{path} {wrong}; its columns are {', '.join((*_NEEDED, *_PLAIN, *_NUMBERS))}"
        )
    if not rows:
        raise ReliableSwapError(f"{path} holds no rows; write one for each result")
    outputs = [row["output"] for row in rows]
    for number, row in enumerate(rows, 1):
        name = Path(row["output"])
        if not row["target"] or not row["output"]:
            raise ReliableSwapError(f"{path}, row {number}: give target and output")
        if bool(row["source"]) == bool(row.get("person")):
            raise ReliableSwapError(f"{path}, row {number}: give either a source or a person")
        if name.is_absolute() or ".." in name.parts:
            raise ReliableSwapError(
                f"{path}, row {number}: the output {name} leaves the folder; give a plain name"
            )
        if outputs.count(row["output"]) > 1:
            raise ReliableSwapError(f"{path}, row {number}: {name} is the output of several rows")
    return rows


class _Batch:
    """Makes rows with one pipeline; a source is prepared once."""

    def __init__(
        self,
        pipe: ReliableSwapPipeline,
        home: Path,
        folder: Path,
        signer: Credentials | None,
        arguments: argparse.Namespace,
    ) -> None:
        self._overwrite, self._fresh = arguments.overwrite, arguments.fresh
        self._pipe, self._home, self._folder = pipe, home, folder
        self._signer, self._people = signer, dict[str, "Person"]()

    def make(self, row: dict[str, str], *, replace: bool) -> None:
        """Make one result. replace: an earlier run wrote it by other settings."""
        values = {name: _number(name, row[name]) for name in _NUMBERS if row.get(name)}
        settings = SwapSettings(**{name: values[name] for name in (*STRENGTHS, "age") if name in values})
        kept, taken = (row.get(name, "").replace(";", ",") for name in ("keep", "take"))
        if kept or taken:
            settings = settings.with_attributes(parts(kept, taken))
        clip = is_clip_name(row["target"])
        misplaced = [name for name in _CLIP_ONLY if row.get(name) and not clip]
        misplaced += ["faces"] if clip and row.get("faces") else []
        if misplaced:
            kind = "clip" if clip else "picture"
            raise ReliableSwapError(
                f"{row['target']} is a {kind}, and {', '.join(misplaced)} is for the other kind"
            )
        target, output = self._home / row["target"], self._folder / row["output"]
        output.parent.mkdir(parents=True, exist_ok=True)
        common: dict[str, Any] = {
            "engine": row.get("engine") or "auto",
            "consent": row.get("consent") or None,
        }
        overwrite = self._overwrite or replace
        source = self._source(row)
        if clip:
            self._clip(row, values, source, target, output, settings, overwrite, common)
            return
        faces = row.get("faces") or "largest"
        chosen: Any = faces if faces in ("largest", "all") else parse_numbers(faces)
        result = self._pipe(source, target, faces=chosen, settings=settings, **common)
        result.save(output, overwrite=overwrite, quality=values.get("quality", 95), signer=self._signer)

    def _clip(
        self,
        row: dict[str, str],
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
            fresh=self._fresh,
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
            self._people[cell] = self._pipe.prepare([self._home / one.strip() for one in cell.split(";")])
        return self._people[cell]


def _number(name: str, text: str) -> Any:
    try:
        return _NUMBERS[name](text)
    except ValueError as error:
        raise ReliableSwapError(f"{name} is {text!r}, which is no number") from error


def _key(row: Mapping[str, str], home: Path, trained: str | None = None) -> str:
    """What decides a row's result: its cells, and the sizes and times of its files. trained: folder of the person."""
    facts = [sorted(row.items())]
    files = [home / cell.strip() for cell in (*row["source"].split(";"), row["target"]) if cell]
    if row.get("person") and trained:
        facts.append([("trained", trained)])
        files += sorted(Path(trained).glob("*.safetensors"))
    for file in files:
        try:
            state = file.stat()
            facts.append([(str(state.st_size), str(state.st_mtime_ns))])
        except OSError:
            facts.append([("missing", file.name)])
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _earlier(path: Path) -> dict[str, str]:
    """Output -> key of the rows that an earlier run finished."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return {
                row["output"]: row["key"]
                for row in csv.DictReader(stream)
                if row["status"] in ("made", "kept")
            }
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeError, csv.Error, KeyError) as error:
        raise ReliableSwapError(f"{path} is no report of this command ({error}); move it away") from error


def _write(path: Path, entries: list[Entry]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(Entry.__dataclass_fields__), lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(one) for one in entries)
    try:
        with atomic_file(path, overwrite=True) as stream:
            stream.write(text.getvalue().encode())
    except OSError as error:
        raise ReliableSwapError(
            f"{path} can't be written ({error.strerror or error}); free some space"
        ) from error
