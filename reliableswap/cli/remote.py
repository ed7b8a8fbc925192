"""URLs on the command line: inputs are downloaded before the command runs, and its results are uploaded afterwards.

Commands that read and write object storage themselves (NATIVE) get their URLs unchanged.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from reliableswap.errors import ReliableSwapError

NATIVE = ("triplets", "train", "describe-data")
WRITTEN = ("output", "keep", "list_pairs")  # options that name what a command writes
_URL = re.compile(r"(s3|s3a|gs|gcs|hf|memory):/.+", re.IGNORECASE)  # one slash: pathlib merges the two
_NAMED = re.compile(r"[\w.-]+=" + _URL.pattern, re.IGNORECASE)  # such as --map 1=URL
# These show that a folder is complete.
_UPLOADED_LAST = ("model_index.json", "config.json", "README.md")


def run_with_local_copies(run: Callable[[argparse.Namespace], int], arguments: argparse.Namespace) -> int:
    """Run a command with local copies in place of URLs, and upload its results if it succeeds."""
    if arguments.command in NATIVE:
        return run(arguments)
    for text in (text for value in vars(arguments).values() for text in _texts(value)):
        if _NAMED.match(text):
            raise ReliableSwapError(
                f"{text} holds a URL, which this option can't read; download the file, and give its local path"
            )
    if not any(_urls(value) for value in vars(arguments).values()):
        return run(arguments)
    if arguments.command == "batch":
        raise ReliableSwapError(
            f"batch works on local files only, not on {next(u for v in vars(arguments).values() for u in _urls(v))}; "
            "copy the list with its pictures here, and the results back"
        )
    if getattr(arguments, "executor", "processes") == "ray":
        raise ReliableSwapError(
            f"{arguments.command} on a Ray cluster works on shared folders, not on "
            f"{next(u for v in vars(arguments).values() for u in _urls(v))}; copy the files into one"
        )
    with _local(arguments) as (local, written):
        status = run(local)
        if status == 0:
            for here, place in written:
                _upload(here, place)
        return status


@contextlib.contextmanager
def _local(arguments: argparse.Namespace) -> Iterator[tuple[argparse.Namespace, list[tuple[Path, Any]]]]:
    """Yield the arguments with local paths, and (local path, remote place) of each that is written."""
    values, written = dict(vars(arguments)), []
    with tempfile.TemporaryDirectory() as scratch:
        for name, value in values.items():
            if not _urls(value):
                continue
            if name in WRITTEN:
                here, place = _local_output(value, Path(scratch), bool(values.get("overwrite")))
                values[name] = type(value)(here) if isinstance(value, str) else here
                written.append((here, place))
            elif isinstance(value, list):
                values[name] = [type(one)(_download(one)) if _urls(one) else one for one in value]
            else:
                values[name] = str(_download(value)) if isinstance(value, str) else _download(value)
        yield argparse.Namespace(**values), written


def _texts(value: Any) -> list[str]:
    """The texts and paths in an argument's value."""
    if isinstance(value, list):
        return [text for one in value for text in _texts(one)]
    return [str(value)] if isinstance(value, (str, Path)) else []


def _urls(value: Any) -> list[str]:
    """The URLs of object storage in an argument's value."""
    return [text for text in _texts(value) if _URL.fullmatch(text)]


def _local_output(url: str | Path, scratch: Path, overwrite: bool) -> tuple[Path, Any]:
    from reliableswap.data.storage import as_path

    place = as_path(url)
    if not overwrite and place.exists():
        raise ReliableSwapError(
            f"{place} exists; choose another name or add --overwrite if the command has it"
        )
    return Path(tempfile.mkdtemp(dir=scratch), place.name), place


def _download(url: str | Path) -> Path:
    """Download a remote file, or all files below a remote folder."""
    from reliableswap.data.storage import as_path, is_remote, local_copy, local_folder

    place = as_path(url)
    if not is_remote(place):  # a local file or folder has that name
        return place
    try:
        if place.is_file():
            return local_copy(place)
        if place.is_dir():
            return local_folder(place)
    except ReliableSwapError:
        raise
    except Exception as error:  # storage clients raise errors of their own
        text = " ".join(str(error).split())[:200]
        raise ReliableSwapError(
            f"{place} can't be read: {text}; check the network and your credentials"
        ) from error
    raise ReliableSwapError(f"there is nothing at {place}; check the name")


def _upload(here: Path, place: Any) -> None:
    from reliableswap.data.storage import upload

    from .common import say

    if here.is_file():
        upload(here, place)
    else:
        files = [path for path in here.rglob("*") if path.is_file()]
        for path in sorted(files, key=lambda path: (path.name in _UPLOADED_LAST, path)):
            upload(path, place / path.relative_to(here).as_posix())
    say(f"uploaded to {place}")
