"""An S3 server on this machine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import s3_server


@contextmanager
def s3_bucket(cache: Path) -> Iterator[Path]:
    """Serve the bucket of `s3_server`; skip the test if a package that the server needs is missing."""
    for needed in ("moto", "s3fs"):
        pytest.importorskip(needed)
    with s3_server.s3_bucket(cache) as bucket:
        yield bucket


def refuses(port: int) -> bool:
    """Whether no server listens on this port of this machine."""
    return not s3_server.is_listening(port)


def upload(folder: Path, place: Path) -> None:
    """Copy all files of a folder to a remote place."""
    for path in folder.rglob("*"):
        if path.is_file():
            (place / path.relative_to(folder).as_posix()).write_bytes(path.read_bytes())


def remote_shards(output: Path) -> dict[str, bytes]:
    """The shards in a remote folder of triplets, by name."""
    return {path.name: path.read_bytes() for path in sorted((output / "data").glob("*"), key=str)}
