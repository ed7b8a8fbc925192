"""How soon the page answers, and whether memory stays flat over many swaps.

python benchmarks/space.py --swaps 50

Starts `app.py` as a person would, in a process of its own, waits for its first answer, and then swaps through its API.
Memory is that process's resident set, read from /proc, so this runs on Linux.
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

ROOT = Path(__file__).parent.parent
TARGET_SECONDS, WARM_UP = 8.0, 10


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
    return port


def start(port: int) -> tuple[subprocess.Popen[bytes], float]:
    """The running page and the seconds from its start to its first whole answer."""
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
    raise SystemExit(f"app.py ended with {process.returncode} before it answered")


def processor_seconds(process: subprocess.Popen[bytes]) -> float:
    """What the start cost by itself: on a busy machine the clock also counts the others' work."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(process: subprocess.Popen[bytes]) -> float:
    """Megabytes."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def pictures(side: int, folder: Path) -> list[Path]:
    """Portraits of ten people who do not exist."""
    import openpeople
    from PIL import Image

    people = Path(openpeople.__file__).parent / "data" / "curated"
    paths = []
    for number in range(1, 11):
        with Image.open(people / f"P{number:03d}" / "assets" / "studio_portrait.jpg") as image:
            path = folder / f"{number}.jpg"
            image.convert("RGB").resize((side, side)).save(path, quality=92)
        paths.append(path)
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--swaps", type=int, default=50)
    parser.add_argument("--side", type=int, default=1024, help="pixels of the pictures")
    options = parser.parse_args()

    port = free_port()
    process, seconds = start(port)
    print(
        f"first answer after {seconds:.1f} s (target {TARGET_SECONDS:.0f} s), {os.cpu_count()} cores, ",
        end="",
    )
    print(f"{processor_seconds(process):.1f} s of processor time")
    print(f"memory then                  {resident(process):7.0f} MB")
    try:
        with tempfile.TemporaryDirectory() as folder:
            people = pictures(options.side, Path(folder))
            client = Client(f"http://127.0.0.1:{port}/", verbose=False, download_files=False)
            times, memory = [], []
            for turn in range(options.swaps):
                source, target = people[turn % 10], people[(turn + 1 + turn // 10) % 10]
                began = time.perf_counter()
                client.predict(
                    source=handle_file(str(source)),
                    target=handle_file(str(target)),
                    agreed=True,
                    api_name="/swap",
                )
                times.append(time.perf_counter() - began)
                memory.append(resident(process))
                if turn + 1 in (1, WARM_UP, options.swaps):
                    print(f"memory after {turn + 1:3d} swap{'s' if turn else ' '}      {memory[-1]:10.0f} MB")
            print(f"a swap of {options.side}x{options.side}, median {statistics.median(times):10.2f} s")
            if options.swaps > WARM_UP:
                print(f"growth since swap {WARM_UP}       {memory[-1] - memory[WARM_UP - 1]:10.0f} MB")
    finally:
        process.terminate()
        process.wait(20)


if __name__ == "__main__":
    main()
