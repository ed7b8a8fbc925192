"""Measure how soon the Space answers after its start, how long a swap takes, and whether memory stays flat.

python benchmarks/space.py --swaps 50

It starts `app.py` in a process of its own, waits for the first answer, and swaps through the API. Memory is the
process's resident set, read from /proc, so this runs on Linux only.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
from gradio_client import Client, handle_file
from people import PEOPLE, photo_of
from PIL import Image

ROOT = Path(__file__).parent.parent
TARGET_SECONDS = 8.0
WARM_UP = 10  # swaps after which memory should not grow


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
    return port


def start(port: int) -> tuple[subprocess.Popen[bytes], float]:
    """Start app.py; return its process and the seconds until its first complete answer."""
    environment = os.environ | {"GRADIO_SERVER_PORT": str(port), "HF_HUB_OFFLINE": "1"}
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
    )
    while process.poll() is None:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/").status_code == 200:
                return process, time.perf_counter() - began
        except httpx.TransportError:
            time.sleep(0.05)
    raise SystemExit(f"app.py exited with status {process.returncode} before it answered")


def cpu_seconds(process: subprocess.Popen[bytes]) -> float:
    """Return the CPU time used so far, which does not depend on what else the machine does."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_megabytes(process: subprocess.Popen[bytes]) -> float:
    status = Path(f"/proc/{process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def portraits(side: int, folder: Path) -> list[Path]:
    """Write portraits of people who do not exist, side x side pixels; return their paths."""
    paths = []
    for person in PEOPLE:
        paths.append(folder / f"{person}.jpg")
        with Image.open(photo_of(person)) as image:
            image.convert("RGB").resize((side, side)).save(paths[-1], quality=92)
    return paths


def swap_many(process: subprocess.Popen[bytes], port: int, swaps: int, side: int) -> None:
    """Swap through the API, and print the median time and the memory on the way."""
    times, memory = [], []
    with tempfile.TemporaryDirectory() as folder:
        people = portraits(side, Path(folder))
        client = Client(f"http://127.0.0.1:{port}/", verbose=False, download_files=False)
        for done in range(swaps):
            source, target = people[done % 10], people[(done + 1 + done // 10) % 10]
            began = time.perf_counter()
            client.predict(
                source=handle_file(str(source)),
                target=handle_file(str(target)),
                agreed=True,
                api_name="/swap",
            )
            times.append(time.perf_counter() - began)
            memory.append(resident_megabytes(process))
            if done + 1 in (1, WARM_UP, swaps):
                print(f"memory after {done + 1:3d} swap{'s' if done else ' '}      {memory[-1]:10.0f} MB")
    print(f"{side}x{side} swap, median     {statistics.median(times):10.2f} s")
    if swaps > WARM_UP:
        print(f"growth since swap {WARM_UP}       {memory[-1] - memory[WARM_UP - 1]:10.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--swaps", type=int, default=50)
    parser.add_argument("--side", type=int, default=1024, help="side of the pictures in pixels")
    options = parser.parse_args()

    port = free_port()
    process, seconds = start(port)
    try:
        print(
            f"first answer after {seconds:.1f} s (target {TARGET_SECONDS:.0f} s), {os.cpu_count()} cores, "
            f"{cpu_seconds(process):.1f} s of CPU time"
        )
        print(f"memory after start           {resident_megabytes(process):7.0f} MB")
        swap_many(process, port, options.swaps, options.side)
    finally:
        process.terminate()
        process.wait(20)


if __name__ == "__main__":
    main()
