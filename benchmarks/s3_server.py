"""An S3 server (moto) on this machine, for benchmarks and tests."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reliableswap.data.storage import as_path

_START_TIMEOUT = 60.0  # seconds


@contextmanager
def s3_bucket(cache: Path) -> Iterator[Path]:
    """An empty bucket, s3://bucket, for this process and those that it starts inside the block.

    cache: folder for local copies of what is in the bucket.
    """
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
        end = time.monotonic() + _START_TIMEOUT
        while not is_listening(port):
            if time.monotonic() > end or server.poll() is not None:
                raise SystemExit('the S3 server did not start; run: pip install -e ".[s3]" "moto[server]"')
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


def is_listening(port: int) -> bool:
    """Whether something listens on that port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
