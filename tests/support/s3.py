"""An S3 server on this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reliableswap.data.storage import as_path


@contextmanager
def s3_bucket(cache: Path) -> Iterator[Path]:
    """An empty bucket, s3://bucket, for this process and those that it starts meanwhile."""
    for needed in ("moto", "s3fs"):
        pytest.importorskip(needed)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    before = dict(os.environ)
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "RELIABLESWAP_CACHE": str(cache),
    }
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while refuses(port):
            assert time.monotonic() < deadline
            assert server.poll() is None
            time.sleep(0.1)
        bucket = as_path("s3://bucket")
        type(bucket.fs).clear_instance_cache()  # type: ignore[attr-defined]  # an earlier server had another port
        bucket = as_path("s3://bucket")
        bucket.fs.mkdir("bucket")  # type: ignore[attr-defined]
        yield bucket
    finally:
        server.terminate()
        server.wait(timeout=30)
        os.environ.clear()
        os.environ.update(before)


def refuses(port: int) -> bool:
    """Whether nobody listens at that port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def upload(folder: Path, place: Path) -> None:
    """Copy all files of a folder to a remote place."""
    for path in folder.rglob("*"):
        if path.is_file():
            (place / path.relative_to(folder).as_posix()).write_bytes(path.read_bytes())


def remote_shards(output: Path) -> dict[str, bytes]:
    """The shards below a remote folder of triplets by name."""
    return {path.name: path.read_bytes() for path in sorted((output / "data").glob("*"), key=str)}
