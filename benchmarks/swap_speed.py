"""Measure how long one swap takes: median milliseconds by picture size, engine and device.

    python benchmarks/swap_speed.py
    python benchmarks/swap_speed.py --against a9f1488 --devices cpu openvino
    python benchmarks/swap_speed.py --rounds 0 --cold-rounds 11 --exported exported

With `--against COMMIT` the package of that commit runs the same swaps in turn with this one, so that other work on the
machine slows both alike; compare their ratio. A cold swap is the command line from start to exit, on two portraits of
1024 px. `--exported FOLDER` also measures it with folders of `reliableswap export`, and the time to import either
pipeline.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
SIZES = {"1280x720": (1280, 720), "2048x2048": (2048, 2048)}


def worker() -> None:
    """Answer requests from stdin: each names a picture size, an engine and a device; the answer is milliseconds."""
    import numpy as np
    import openpeople
    from PIL import Image

    from reliableswap import ReliableSwapPipeline

    people = Path(openpeople.__file__).parent / "data" / "curated"

    def portrait(number: int, side: int) -> Image.Image:
        image = Image.open(people / f"P{number:03d}" / "assets" / "studio_portrait.jpg").convert("RGB")
        return image.resize((side, side), Image.Resampling.LANCZOS)

    source, pipes, targets = np.asarray(portrait(1, 1024)), {}, {}
    for line in sys.stdin:
        size, engine, device = line.split()
        if device not in pipes:
            pipes[device] = ReliableSwapPipeline.bundled()
            if device != "cpu":
                pipes[device].on(device)
        if size not in targets:
            width, height = SIZES[size]
            photo = Image.new("RGB", (width, height), (120, 120, 120))
            photo.paste(portrait(2, height), ((width - height) // 2, 0))
            targets[size] = np.asarray(photo)
        started = time.perf_counter()
        pipes[device](source, targets[size], engine=engine)
        print(1000 * (time.perf_counter() - started), flush=True)


class Package:
    """A worker process that runs one version of the package."""

    def __init__(self, root: Path, bytecode: Path) -> None:
        """bytecode: a folder for the modules' compiled code."""
        self.root, self.bytecode = root, bytecode
        environment = {**os.environ, "PYTHONPATH": str(root), "HF_HUB_OFFLINE": "1"}
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
            cwd=root,
        )

    def swap(self, case: tuple[str, str, str]) -> float:
        """Milliseconds of one swap."""
        requests, answers = self._pipes()
        requests.write(" ".join(case) + "\n")
        requests.flush()
        answer = answers.readline()
        if not answer:
            raise SystemExit(f"the worker for {self.root} stopped; see its error above")
        return float(answer)

    def cold(self, folder: Path, *options: str) -> tuple[float, float]:
        """Milliseconds of the command line: wall time and CPU time."""
        pictures = [str(folder / f"{number}.png") for number in (1, 2)]
        output = ["-o", str(folder / "out.png"), "--overwrite"]
        return self.whole("-m", "reliableswap", "swap", *pictures, *output, *options)

    def whole(self, *words: str) -> tuple[float, float]:
        """Milliseconds of a Python process from start to exit: wall time and CPU time."""
        environment = {**os.environ, "PYTHONPATH": str(self.root), "HF_HUB_OFFLINE": "1"}
        # As an installed package is compiled, let the first process compile the modules here.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        environment["PYTHONPYCACHEPREFIX"] = str(self.bytecode)
        started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, *words], check=True, env=environment, cwd=self.root, capture_output=True
        )
        taken, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        worked = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        return 1000 * taken, 1000 * worked

    def stop(self) -> None:
        self._pipes()[0].close()
        self.process.wait()

    def _pipes(self) -> tuple[IO[str], IO[str]]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        return self.process.stdin, self.process.stdout


def extract(commit: str, folder: Path) -> Path:
    """Unpack the package of a commit into a folder."""
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as unpacked:
        unpacked.extractall(folder, filter="data")
    return folder


def portraits(folder: Path) -> None:
    """Write two portraits of 1024 px as files."""
    import openpeople
    from PIL import Image

    people = Path(openpeople.__file__).parent / "data" / "curated"
    for number in (1, 2):
        image = Image.open(people / f"P{number:03d}" / "assets" / "studio_portrait.jpg").convert("RGB")
        image.resize((1024, 1024), Image.Resampling.LANCZOS).save(folder / f"{number}.png")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--against", metavar="COMMIT", help="also measure the package at this commit")
    parser.add_argument(
        "--devices", nargs="+", default=["cpu"], help="devices, as for --device of `reliableswap swap`"
    )
    parser.add_argument(
        "--rounds", type=int, default=11, help="swaps per case, of which the median is reported"
    )
    parser.add_argument("--cold-rounds", type=int, default=3)
    parser.add_argument(
        "--exported",
        type=Path,
        nargs="+",
        default=[],
        metavar="FOLDER",
        help="also swap with these exported pipelines",
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker()
        return
    cases = [(size, "neural", device) for size in SIZES for device in arguments.devices]
    cases += [(size, "blend", "cpu") for size in SIZES]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        portraits(folder)
        packages = {"now": Package(ROOT, folder / "bytecode")}
        if arguments.against:
            (folder / "before").mkdir()
            packages["before"] = Package(extract(arguments.against, folder / "before"), folder / "bytecode")
        rows = []
        for case in cases:
            spent: dict[str, list[float]] = {name: [] for name in packages}
            for number in range(arguments.rounds + 2 if arguments.rounds else 0):
                for name, package in packages.items():
                    taken = package.swap(case)
                    if number >= 2:  # the first two load networks and compile
                        spent[name].append(taken)
            if arguments.rounds:
                rows.append((f"{case[0]} {case[1]} on {case[2]}", spent))
        for package in packages.values():
            package.stop()
        rows += cold_rows(packages, arguments.exported, folder, arguments.cold_rounds)
    report(rows, as_json=arguments.json)


def cold_rows(
    packages: dict[str, Package], exported: list[Path], pictures: Path, rounds: int
) -> list[tuple[str, dict[str, list[float]]]]:
    """Measure cold swaps, also with `exported` folders, and imports of both pipelines, each in wall and CPU time."""
    spent: dict[str, dict[str, list[float]]] = {}

    def add(case: str, name: str, taken: tuple[float, float]) -> None:
        for what, value in zip((case, f"{case}, CPU"), taken, strict=True):
            spent.setdefault(what, {}).setdefault(name, []).append(value)

    for package in packages.values():
        package.cold(pictures)  # compiles the modules
    for _ in range(rounds):
        for name, package in packages.items():
            add("command line, cold", name, package.cold(pictures))
        now = packages["now"]
        for folder in exported:
            add(
                f"command line, cold, {folder}",
                "now",
                now.cold(pictures, "--pipeline", str(folder.resolve())),
            )
        for pipeline in ("ReliableSwapPipeline", "ExportedPipeline") if exported else ():
            add(f"import of {pipeline}", "now", now.whole("-c", f"from reliableswap import {pipeline}"))
    return list(spent.items())


def report(rows: list[tuple[str, dict[str, list[float]]]], as_json: bool) -> None:
    """Print medians, and the ratio to the earlier version."""
    medians = {case: {name: statistics.median(ms) for name, ms in spent.items()} for case, spent in rows}
    if as_json:
        print(json.dumps(medians, indent=1))
        return
    print("| swap | ms | before | ratio |\n|---|---|---|---|")
    for case, values in medians.items():
        before = values.get("before")
        ratio = f"{values['now'] / before:.2f}" if before else ""
        print(f"| {case} | {values['now']:.0f} | {f'{before:.0f}' if before else ''} | {ratio} |")


if __name__ == "__main__":
    main()
