"""Shared code of benchmarks of trainings at equal budget: train rows, measure them on the same pairs, compare them."""

from __future__ import annotations

import argparse
import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Protocol

from reliableswap import ReliableSwapPipeline
from reliableswap.bundled import bundled
from reliableswap.errors import ReliableSwapError
from reliableswap.evaluation.metrics.intervals import Estimate, bootstrap
from reliableswap.models import FixerNet, IdentityEncoder, load_network

ROOT = Path(__file__).parent.parent
BLEND = "bundled/blend"  # the method that rows are compared with

Measured = dict[tuple[str, str], dict[str, str]]  # the report's values by method and pair


@dataclass(frozen=True)
class Column:
    """A metric of the report, its heading in the table, and how its values are shown."""

    key: str
    heading: str
    factor: int = 1
    decimals: int = 3

    def show(self, value: float, sign: str = "") -> str:
        return f"{self.factor * value:{sign}.{self.decimals}f}"


COLUMNS = [
    Column("top1", "source first, %", 100, 1),
    Column("cos_source", "cos to source"),
    Column("cos_target", "cos to target"),
    Column("copied", "copied, %", 100, 1),
    Column("lower_cos_source", "lower face to source"),
    Column("pose", "pose, °", 1, 2),
    Column("expression", "expression, %", 100, 2),
]


def training_command(options: Mapping[str, Any], processes: int = 1) -> list[str]:
    """The command that trains a generator, or resumes its training where it was. A flag's value is True or False."""
    command = [sys.executable]
    if processes > 1:
        command += ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    command += [str(ROOT / "train_accelerate.py"), "generator"]
    for name, value in (dict(options) | {"resume_from_checkpoint": "latest"}).items():
        command += (
            [f"--{name}" if value else f"--no-{name}"]
            if isinstance(value, bool)
            else [f"--{name}", str(value)]
        )
    return command


def is_done(folder: Path, steps: int) -> bool:
    """Whether a training has saved its last step."""
    return (folder / f"checkpoint-{steps:07d}").is_dir()


def run(command: Sequence[str]) -> None:
    """Run a command of this repository."""
    subprocess.run(command, check=True, env=_environment())


def add_running_options(parser: argparse.ArgumentParser) -> None:
    """Add options for how trainings are run, and for settings to change in all of them."""
    add = parser.add_argument
    add("--at-once", type=int, default=1, help="trainings at the same time (default: %(default)s)")
    add("--minutes", type=float, help="end the trainings after this time; run the same command to resume")
    add(
        "--set",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="settings of all trainings that replace those of the recipe",
    )
    add(
        "--trained-only",
        action="store_true",
        help="train nothing; measure the rows and seeds that are already trained",
    )
    add("--train-only", action="store_true", help="train, but measure nothing")


def parse_with_changes(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Parse the arguments; `changes` holds the settings that --set names."""
    arguments = parser.parse_args()
    if wrong := [one for one in arguments.set if "=" not in one]:
        parser.error(f"--set {wrong[0]} is not a setting; write NAME=VALUE")
    arguments.changes = dict(one.split("=", 1) for one in arguments.set)
    if arguments.at_once < 1:
        parser.error(f"--at-once is {arguments.at_once}; give at least 1")
    return arguments


class Training(Protocol):
    """A row's training with one seed."""

    @property
    def name(self) -> str: ...


def method_of(training: Training) -> str:
    """The name of a training's result in a report."""
    return f"{training.name}/neural"


def train_all(
    trainings: Iterable[Training],
    command: Callable[[Any], Sequence[str]],
    arguments: argparse.Namespace,
) -> None:
    """Run the trainings that are not done yet, as the options say. Raise if any is not done afterwards."""
    commands = {
        arguments.output / f"{one.name}.log": command(one)
        for one in trainings
        if not is_done(arguments.output / one.name, arguments.steps)
    }
    if arguments.at_once == 1 and arguments.minutes is None:
        for command in commands.values():
            run(command)
        return
    failed = run_at_once(commands, arguments.at_once, arguments.minutes)
    if failed:
        raise ReliableSwapError(
            f"{len(failed)} of {len(commands)} trainings are not done:\n"
            + "\n".join(f"  {log}: {what}" for log, what in failed.items())
            + "\nRun the same command to resume; --trained-only measures what is done"
        )


def run_at_once(
    commands: Mapping[Path, Sequence[str]], count: int, minutes: float | None = None
) -> dict[Path, str]:
    """Run commands in order, `count` at a time, each with its output in the log file that is its key.

    One that fails does not stop the others. After `minutes` the rest is ended. Return what became of the unsuccessful.
    """
    started, waiting = time.monotonic(), deque(commands)
    running: dict[Path, subprocess.Popen[bytes]] = {}
    failed: dict[Path, str] = {}
    try:
        while waiting or running:
            if minutes is not None and time.monotonic() - started > 60 * minutes:
                break
            while waiting and len(running) < count:
                log = waiting.popleft()
                running[log] = _start(commands[log], log)
            time.sleep(_POLL_SECONDS)
            for log, process in list(running.items()):
                if process.poll() is not None:
                    del running[log]
                    if process.returncode:
                        failed[log] = f"exit status {process.returncode}: {_last_line(log)}"
                    print(f"{log.stem}: {failed.get(log, 'done')}", flush=True)
    finally:
        _stop(running.values())
    return failed | dict.fromkeys(running, "ended by the time limit") | dict.fromkeys(waiting, "not started")


_POLL_SECONDS = 0.2
_GRACE_SECONDS = 10  # that a process has to end


def _start(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a command in a process group of its own, which its data loaders and launched processes belong to."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as stream:
        return subprocess.Popen(
            command, stdout=stream, stderr=subprocess.STDOUT, env=_environment(), start_new_session=True
        )


def _stop(processes: Collection[subprocess.Popen[bytes]]) -> None:
    """End process groups: politely, then by force."""
    for sig in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, sig)
        until = time.monotonic() + _GRACE_SECONDS
        for process in processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, until - time.monotonic()))


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "no output")


def _environment() -> dict[str, str]:
    """The environment, with this repository first on Python's path."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }


def save_pipeline(trained: Path, folder: Path, identity: Path, fixer: Path | None) -> None:
    """Save a generator with the encoders that it was trained on, and the bundled face networks."""
    ReliableSwapPipeline(
        load_network(bundled("detector")),
        load_network(bundled("landmarks")),
        IdentityEncoder.from_pretrained(identity),
        FixerNet.from_pretrained(fixer) if fixer is not None else None,
        load_network(trained),
        load_network(bundled("glasses")),
    ).save_pretrained(folder)


def evaluate(
    pipelines: Sequence[Path],
    faces: Path,
    report: Path,
    *,
    pairs: int,
    judge: str,
    features: str | None = None,
    lower_judge: Path | None = None,
) -> dict[str, Any]:
    """Measure pipelines and the blend engine on the same held-out pairs; return the report's methods by name."""
    compared: list[str] = []
    for pipeline in pipelines:
        compared += ["--pipeline", str(pipeline), "--engine", "neural"]
    command = [
        sys.executable, "-m", "reliableswap", "evaluate", *compared, "--pipeline", "bundled", "--engine", "blend",
        "--controls", "--protocol", "identity-folders", "--faces", str(faces),
        "--pairs", str(pairs), "--judge", judge,
        *(["--features", features] if features else []),
        *(["--lower-judge", str(lower_judge)] if lower_judge else []),
        "-o", str(report), "--overwrite",
    ]  # fmt: skip
    run(command)
    methods: dict[str, Any] = json.loads((report / "report.json").read_text())["methods"]
    return methods


def reported_columns(methods: Mapping[str, Any]) -> list[Column]:
    """The columns that the report has values for."""
    return [column for column in COLUMNS if column.key in methods[BLEND]["figures"]]


def cell(column: Column, seeds: Sequence[Mapping[str, float]]) -> str:
    """The mean over the seeds, and the lowest and highest end of the seeds' intervals."""
    mean = fmean(one["value"] for one in seeds)
    low, high = min(one["low"] for one in seeds), max(one["high"] for one in seeds)
    return f"{column.show(mean)} [{column.show(low)}, {column.show(high)}]"


def frechet_cell(distances: Sequence[float | None]) -> str:
    """The mean over the seeds, or a dash if there were too few pictures."""
    known = [one for one in distances if one is not None]
    return "–" if len(known) < len(distances) else f"{fmean(known):.1f}"


def seeds_in_words(seeds: Sequence[int]) -> str:
    """Name the seeds."""
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


def read_pairs(table: Path) -> Measured:
    """Read the values of pairs.csv."""
    with table.open(newline="") as stream:
        return {(line["method"], line["pair"]): line for line in csv.DictReader(stream)}


def difference(
    measured: Measured, ours: Sequence[str], theirs: Sequence[str], column: Column
) -> Estimate | None:
    """The mean difference of two rows over the same pairs, with its 95 % interval over people.

    ours, theirs: the rows' methods, one for each seed; a pair's value is the mean over the seeds.
    """
    names = sorted({pair for _, pair in measured})
    values, sources, targets = [], [], []
    for name in names:
        lines = [measured.get((method, name), {}) for method in (*ours, *theirs)]
        if not all(line.get(column.key) for line in lines):
            continue
        each = [float(line[column.key]) for line in lines]
        values.append(fmean(each[: len(ours)]) - fmean(each[len(ours) :]))
        sources.append(lines[0]["source_person"])
        targets.append(lines[0]["target_person"])
    return bootstrap(values, 0, crossed=[sources, targets])


def differences(
    measured: Measured, ours: Sequence[str], theirs: Sequence[str]
) -> Iterator[tuple[Column, str]]:
    """Yield each column with its difference in words."""
    for column in COLUMNS:
        found = difference(measured, ours, theirs, column)
        if found is not None:
            value, low, high = (column.show(one, "+") for one in (found.value, found.low, found.high))
            yield column, f"{value} [{low}, {high}]"
