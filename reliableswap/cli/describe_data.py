"""`reliableswap describe-data`: make captions, questions and answers about photos of faces, for `train unified`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reliableswap.data.splits import Split
from reliableswap.errors import ReliableSwapError

from .common import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "photos",
        type=Path,
        metavar="PHOTOS",
        help="a folder or URL with one sub-folder per person, or a .csv or .parquet table of path and identity",
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="folder for the shards"
    )
    parser.add_argument(
        "--flat", default="", metavar="NAMES",
        help="comma-separated names of sub-folders in which every photo shows a different person",
    )  # fmt: skip
    parser.add_argument(
        "--labels", action="append", default=[], metavar="FOLDER=FILE",
        help="JSON of a face API's labels (such as FFHQ's) for the photos of a sub-folder, by name without extension; "
        "they take precedence over measured attributes; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--captions",
        type=int,
        default=6,
        metavar="N",
        help="captions per face, half of them full (default: 6)",
    )
    parser.add_argument(
        "--rounds", type=int, default=3, metavar="N", help="questions about each known attribute (default: 3)"
    )
    parser.add_argument(
        "--per-person",
        type=int,
        default=3,
        metavar="N",
        help="at most this many photos per person (default: 3)",
    )
    parser.add_argument("--seed", type=int, default=0, help="random seed of the wording (default: 0)")
    parser.add_argument(
        "--split", default="90/5/5", help="shares of people in train/validation/test (default: 90/5/5)"
    )
    parser.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        help="folder in which measured faces are cached (default: cache in the output folder)",
    )
    parser.add_argument(
        "--workers", type=int, default=1, metavar="N", help="number of processes (default: 1)"
    )
    parser.add_argument(
        "--license", default="other", metavar="ID", help="licence in the dataset card (default: other)"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(arguments: argparse.Namespace) -> int:
    """Describe the photos, and report what became of them on stderr."""
    try:
        from reliableswap.data.describe.build import DescribeSettings, describe_photos
    except ImportError as error:
        if error.name not in {"pyarrow", "tqdm"}:
            raise
        raise ReliableSwapError(
            f"describing photos needs {error.name}; run: pip install -e '.[train]' in the repository"
        ) from error
    settings = DescribeSettings(
        captions=arguments.captions,
        rounds=arguments.rounds,
        per_person=arguments.per_person,
        seed=arguments.seed,
        split=Split.parse(arguments.split),
    )
    report = describe_photos(
        arguments.photos,
        arguments.output,
        settings,
        flat=[name for name in arguments.flat.split(",") if name],
        labels=dict(_labels(text) for text in arguments.labels),
        cache=arguments.cache,
        workers=arguments.workers,
        licence=arguments.license,
        progress=not arguments.quiet,
    )
    rows = ", ".join(f"{name} {count}" for name, count in report.rows.items())
    dropped = ", ".join(f"{reason} {count}" for reason, count in report.dropped.items()) or "none"
    say(f"described faces: {rows}; photos not used: {dropped}; see {arguments.output / 'README.md'}")
    return 0


def _labels(text: str) -> tuple[str, Mapping[str, Any]]:
    folder, equals, file = text.partition("=")
    if not equals or not folder or not file:
        raise ReliableSwapError(
            f"--labels {text} is not FOLDER=FILE; write for example ffhq128=attributes.json"
        )
    try:
        table = json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReliableSwapError(
            f"--labels {file} can't be read as JSON: {' '.join(str(error).split())}"
        ) from error
    if not isinstance(table, dict):
        raise ReliableSwapError(
            f"--labels {file} holds a {type(table).__name__}; it must map names to labels"
        )
    return folder, table
