"""What each kind of supervision is worth at equal budget: the same network, steps, data and seeds, one row per kind.

    python benchmarks/ablation.py TRIPLETS FACES -o runs/ablation --steps 3000 --seeds 0 1 [--processes 2]

TRIPLETS is a folder made by `reliableswap triplets`; FACES is the folder of people that held-out pairs are drawn from.
Each row is trained by train_accelerate.py. An interrupted row resumes, and a finished one is not trained again. Rows
with guidance are trained with every seed, rows without it with the first seed only. Then one `reliableswap evaluate`
measures all of them on the same pairs, with judges that no loss used. OUT/report holds the report; OUT/table.md has the
means over the seeds, and the differences that FixerNet makes on the same pairs.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from reliableswap import ReliableSwapPipeline
from reliableswap.bundled import bundled
from reliableswap.evaluation.metrics.intervals import bootstrap
from reliableswap.models import FixerNet, IdentityEncoder, load_network

ROOT = Path(__file__).parent.parent
BLEND = "bundled/blend"  # the method that rows are compared with


@dataclass(frozen=True)
class Row:
    """A kind of supervision, with or without the warped texture as guidance and FixerNet."""

    supervision: str
    guidance: bool
    fixer: bool = False

    @property
    def name(self) -> str:
        fixer, guidance = ["fixer"] if self.fixer else [], [] if self.guidance else ["no-guidance"]
        return "+".join([self.supervision, *fixer, *guidance])

    @property
    def label(self) -> str:
        """The row's first cells in the table."""
        answers = {True: "yes", False: "no"}
        return f"{self.supervision.replace('_', ' ')} | {answers[self.fixer]} | {answers[self.guidance]}"


@dataclass(frozen=True)
class Column:
    """A metric of the report, how the table calls it, and how its values are shown."""

    key: str
    heading: str
    factor: int = 1
    decimals: int = 3

    def show(self, value: float, sign: str = "") -> str:
        return f"{self.factor * value:{sign}.{self.decimals}f}"


KINDS = ("vanilla", "naive", "cycle", "real_source")
ROWS = [
    *(Row(kind, guidance) for guidance in (True, False) for kind in KINDS),
    *(Row("real_source", guidance, fixer=True) for guidance in (True, False)),
]
COLUMNS = [
    Column("top1", "source first, %", 100, 1),
    Column("cos_source", "cos to source"),
    Column("cos_target", "cos to target"),
    Column("copied", "copied, %", 100, 1),
    Column("lower_cos_source", "lower face to source"),
    Column("pose", "pose, °", 1, 2),
    Column("expression", "expression, %", 100, 2),
]


def train(row: Row, seed: int, folder: Path, arguments: argparse.Namespace) -> None:
    """Train one row to its last step, unless that is done."""
    if (folder / f"checkpoint-{arguments.steps:07d}").is_dir():
        return
    launcher = [sys.executable]
    if arguments.processes > 1:
        launcher += [
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc_per_node",
            str(arguments.processes),
        ]
    options = {
        "triplets": arguments.triplets, "identity": arguments.identity, "supervision": row.supervision,
        "output_dir": folder, "max_train_steps": arguments.steps, "seed": seed,
        "train_batch_size": arguments.batch // arguments.processes, "checkpointing_steps": 250,
        "validation_steps": max(1, arguments.steps // 2), "resume_from_checkpoint": "latest",
        "lr_warmup_steps": min(200, arguments.steps // 8), "dataloader_num_workers": 1,
        "strangers": 0.0, "target_colours": 32, "glasses": 0.0,
        "lower_face_weight": arguments.lower_face_weight if row.fixer else 0.0,
    }  # fmt: skip
    if row.fixer:
        options["fixer"] = arguments.fixer
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    words.append("--guidance" if row.guidance else "--no-guidance")
    command = [*launcher, str(ROOT / "train_accelerate.py"), "generator", *words]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


def save_pipeline(row: Row, trained: Path, folder: Path, arguments: argparse.Namespace) -> None:
    """Save the row's generator with the encoders that it was trained on, and the bundled face networks."""
    ReliableSwapPipeline(
        load_network(bundled("detector")),
        load_network(bundled("landmarks")),
        IdentityEncoder.from_pretrained(arguments.identity),
        FixerNet.from_pretrained(arguments.fixer) if row.fixer else None,
        load_network(trained),
        load_network(bundled("glasses")),
    ).save_pretrained(folder)


def evaluate(names: list[str], arguments: argparse.Namespace) -> Path:
    """Measure the trained pipelines and the blend engine on the same held-out pairs; return the report's folder."""
    report: Path = arguments.output / "report"
    compared: list[str] = []
    for name in names:
        compared += ["--pipeline", str(arguments.output / "pipelines" / name), "--engine", "neural"]
    command = [
        sys.executable, "-m", "reliableswap", "evaluate", *compared, "--pipeline", "bundled", "--engine", "blend",
        "--controls", "--protocol", "identity-folders", "--faces", str(arguments.faces),
        "--pairs", str(arguments.pairs), "--judge", arguments.judge, "--features", arguments.features,
        *(["--lower-judge", str(arguments.lower_judge)] if arguments.lower_judge else []),
        "-o", str(report), "--overwrite",
    ]  # fmt: skip
    subprocess.run(command, check=True)
    return report


def table(methods: dict[Row, list[str]], measured: dict[str, dict]) -> str:
    """One line per row: the mean over the seeds, and the lowest and highest end of the seeds' intervals."""
    columns = [column for column in COLUMNS if column.key in measured[BLEND]["figures"]]
    headings = [*(column.heading for column in columns), "Fréchet to the targets"]
    lines = [
        "| supervision | FixerNet | guidance | seeds | " + " | ".join(headings) + " |",
        "|---|---|---|---:|" + "---:|" * len(headings),
    ]
    rows = [(row.label, names) for row, names in methods.items()]
    for label, names in [*rows, ("the blend engine | – | –", [BLEND])]:
        cells = [
            _cell(column, [measured[name]["figures"][column.key] for name in names]) for column in columns
        ]
        distances = [measured[name]["frechet"] for name in names]
        cells.append("–" if None in distances else f"{fmean(distances):.1f}")  # None: too few pictures
        lines.append(f"| {label} | {len(names)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(column: Column, seeds: list[dict[str, float]]) -> str:
    mean = fmean(one["value"] for one in seeds)
    low, high = min(one["low"] for one in seeds), max(one["high"] for one in seeds)
    return f"{column.show(mean)} [{column.show(low)}, {column.show(high)}]"


def fixer_differences(methods: dict[Row, list[str]], table_of_pairs: Path) -> Iterator[str]:
    """Yield what FixerNet changes on the same pairs: the mean difference with its 95 % interval, for each seed."""
    values: dict[tuple[str, str], dict[str, str]] = {}
    with table_of_pairs.open(newline="") as stream:
        for line in csv.DictReader(stream):
            values[line["method"], line["pair"]] = line
    for row, names in methods.items():
        plain = Row(row.supervision, row.guidance)
        if not row.fixer or plain not in methods:
            continue
        for with_fixer, without in zip(names, methods[plain], strict=True):
            for column in COLUMNS:
                both = [
                    (line, values[without, pair])
                    for (method, pair), line in values.items()
                    if method == with_fixer and line.get(column.key) and values[without, pair].get(column.key)
                ]
                differences = [float(one[column.key]) - float(other[column.key]) for one, other in both]
                people = [[line[f"{side}_person"] for line, _ in both] for side in ("source", "target")]
                found = bootstrap(differences, 0, crossed=people)
                if found is None:
                    continue
                value, low, high = (column.show(v, "+") for v in (found.value, found.low, found.high))
                yield f"- {with_fixer} minus {without}: {column.heading} {value} [{low}, {high}]"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("triplets", type=Path, help="folder of triplets")
    parser.add_argument("faces", type=Path, help="folder with one sub-folder per person")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for runs, report and table")
    parser.add_argument("--identity", type=Path, help="default: the bundled encoder")
    parser.add_argument("--fixer", type=Path, help="default: the bundled FixerNet")
    parser.add_argument("--rows", nargs="+", choices=[row.name for row in ROWS], help="default: all")
    parser.add_argument("--steps", type=int, default=3000, help="default: %(default)s")
    parser.add_argument(
        "--batch",
        type=int,
        default=16,
        help="samples per step of all processes together (default: %(default)s)",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="default: 0 1")
    parser.add_argument("--processes", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--pairs", type=int, default=400, help="default: %(default)s")
    parser.add_argument("--judge", default="dlib", help="as for reliableswap evaluate (default: %(default)s)")
    parser.add_argument(
        "--features",
        default="efficientnet-lite0",
        help="features of the Fréchet distance (default: %(default)s)",
    )
    parser.add_argument(
        "--lower-face-weight",
        type=float,
        default=1.0,
        help="weight of FixerNet's loss, in rows with FixerNet (default: %(default)s)",
    )
    parser.add_argument("--lower-judge", type=Path, help="a FixerNet that no row is trained with")
    arguments = parser.parse_args()
    arguments.identity = arguments.identity or bundled("identity")
    arguments.fixer = arguments.fixer or bundled("fixer")
    return arguments


def main() -> None:
    arguments = parse()
    methods: dict[Row, list[str]] = {}
    trained: list[str] = []
    # The outer loop is over seeds, so that an interrupted run has every row once before any row twice.
    for seed in arguments.seeds:
        for row in ROWS:
            if arguments.rows and row.name not in arguments.rows:
                continue
            if not row.guidance and seed != arguments.seeds[0]:
                continue
            name = f"{row.name}-{seed}"
            train(row, seed, arguments.output / name, arguments)
            save_pipeline(row, arguments.output / name, arguments.output / "pipelines" / name, arguments)
            trained.append(name)
            methods.setdefault(row, []).append(f"{name}/neural")
    report = evaluate(trained, arguments)
    measured = json.loads((report / "report.json").read_text())["methods"]
    text = table(methods, measured)
    differences = list(fixer_differences(methods, report / "pairs.csv"))
    if differences:
        text += "\nWith FixerNet minus without, on the same pairs:\n\n" + "\n".join(differences) + "\n"
    (arguments.output / "table.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
