"""What reliable supervision is worth at equal budget: the same network, steps, data and seeds, one row a supervision.

    python benchmarks/ablation.py TRIPLETS FACES -o runs/ablation --steps 3000 --seeds 0 1 [--processes 2]

TRIPLETS is what `reliableswap triplets` made, FACES the folder of people that evaluations draw held-out pairs from.
Every row is trained by train_accelerate.py and resumes where it was stopped; a finished row is not trained again. Rows
with guidance are trained with every seed, those without it with the first one only. Then one `reliableswap evaluate`
measures all of them on the same pairs, with judges that no loss saw, into OUT/report, and OUT/table.md has the means
over the seeds, and what FixerNet changes pair by pair.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from reliableswap import ReliableSwapPipeline
from reliableswap.bundled import bundled
from reliableswap.evaluation.metrics.statistics import bootstrap
from reliableswap.models import FixerNet, IdentityEncoder, load_network

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Row:
    supervision: str
    guidance: bool
    fixer: bool = False

    @property
    def name(self) -> str:
        parts = [
            self.supervision,
            *(["fixer"] if self.fixer else []),
            *([] if self.guidance else ["no-guidance"]),
        ]
        return "+".join(parts)


ROWS = [
    *(
        Row(kind, guidance)
        for guidance in (True, False)
        for kind in ("vanilla", "naive", "cycle", "real_source")
    ),
    *(Row("real_source", guidance, fixer=True) for guidance in (True, False)),
]


def train(row: Row, seed: int, folder: Path, arguments: argparse.Namespace) -> None:
    """Train one row to its last step, unless that has been done."""
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
    subprocess.run(
        [*launcher, str(ROOT / "train_accelerate.py"), "generator", *words],
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def pipeline(row: Row, trained: Path, folder: Path, arguments: argparse.Namespace) -> None:
    """The row's generator with the encoders it was trained on."""
    ReliableSwapPipeline(
        load_network(bundled("detector")),
        load_network(bundled("landmarks")),
        IdentityEncoder.from_pretrained(arguments.identity),
        FixerNet.from_pretrained(arguments.fixer) if row.fixer else None,
        load_network(trained),
    ).save_pretrained(folder)


COLUMNS = [  # name in the report, heading, factor, decimals
    ("top1", "source first, %", 100, 1),
    ("cos_source", "cos to source", 1, 3),
    ("cos_target", "cos to target", 1, 3),
    ("copied", "copied, %", 100, 1),
    ("lower_cos_source", "lower face to source", 1, 3),
    ("pose", "pose, °", 1, 2),
    ("expression", "expression, %", 100, 2),
]


def table(methods: dict[Row, list[str]], measured: dict[str, dict]) -> str:
    """One line a row: each figure's mean over the seeds, and in brackets the lowest and highest end of the seeds'
    intervals."""
    columns = [column for column in COLUMNS if column[0] in measured["bundled/blend"]["figures"]]
    lines = [
        "| supervision | FixerNet | guidance | seeds | "
        + " | ".join([*(c[1] for c in columns), "Fréchet to the targets"])
        + " |",
        "|---|---|---|---:|" + "---:|" * (len(columns) + 1),
    ]
    named = [
        (
            f"{row.supervision.replace('_', ' ')} | {'yes' if row.fixer else 'no'} | {'yes' if row.guidance else 'no'}",
            names,
        )
        for row, names in methods.items()
    ]
    for label, names in [*named, ("the blend engine | – | –", ["bundled/blend"])]:
        cells = []
        for key, _, factor, decimals in columns:
            found = [measured[name]["figures"][key] for name in names]
            mean, low, high = (
                factor * pick(one[end] for one in found)
                for end, pick in (("value", lambda v: fmean(v)), ("low", min), ("high", max))
            )
            cells.append(f"{mean:.{decimals}f} [{low:.{decimals}f}, {high:.{decimals}f}]")
        distances = [measured[name]["frechet"] for name in names]
        cells.append("–" if None in distances else f"{fmean(distances):.1f}")  # too few pictures for one
        lines.append(f"| {label} | {len(names)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def pair_by_pair(methods: dict[Row, list[str]], pairs: Path) -> str:
    """What FixerNet changes: the mean difference over the same pairs, with its 95 % interval, for each seed."""
    values: dict[tuple[str, str], dict[str, str]] = {}
    with pairs.open(newline="") as stream:
        for line in csv.DictReader(stream):
            values[line["method"], line["pair"]] = line
    lines = []
    for row in methods:
        plain = Row(row.supervision, row.guidance)
        if not row.fixer or plain not in methods:
            continue
        for with_it, without in zip(methods[row], methods[plain], strict=True):
            for key, heading, factor, decimals in COLUMNS:
                both = [
                    (line, values[without, pair])
                    for (method, pair), line in values.items()
                    if method == with_it and line.get(key) and values[without, pair].get(key)
                ]
                if not both:
                    continue
                found = [float(one[key]) - float(other[key]) for one, other in both]
                people = [[line[f"{side}_person"] for line, _ in both] for side in ("source", "target")]
                one = bootstrap(found, 0, crossed=people)
                assert one is not None
                value, low, high = (f"{factor * v:+.{decimals}f}" for v in (one.value, one.low, one.high))
                lines.append(f"- {with_it} less {without}: {heading} {value} [{low}, {high}]")
    return "\n".join(lines) + "\n" if lines else ""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("triplets", type=Path)
    parser.add_argument("faces", type=Path, help="one sub-folder a person")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--identity", type=Path, help="default: the bundled encoder")
    parser.add_argument("--fixer", type=Path, help="default: the bundled FixerNet")
    parser.add_argument("--rows", nargs="+", choices=[row.name for row in ROWS], help="default: all")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=16, help="samples a step, all processes together")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=400)
    parser.add_argument("--judge", default="dlib")
    parser.add_argument("--features", default="efficientnet-lite0", help="of the Fréchet distance")
    parser.add_argument(
        "--lower-face-weight", type=float, default=1.0, help="of FixerNet's loss, in rows with one"
    )
    parser.add_argument("--lower-judge", type=Path, help="a FixerNet that no row is trained with")
    arguments = parser.parse_args()
    arguments.identity = arguments.identity or bundled("identity")
    arguments.fixer = arguments.fixer or bundled("fixer")
    compared: list[str] = []
    methods: dict[Row, list[str]] = {}
    # All rows once before any twice: what is there when time ends can be compared.
    for seed in arguments.seeds:
        for row in ROWS:
            if arguments.rows and row.name not in arguments.rows:
                continue
            if not row.guidance and seed != arguments.seeds[0]:
                continue
            name = f"{row.name}-{seed}"
            train(row, seed, arguments.output / name, arguments)
            pipeline(row, arguments.output / name, arguments.output / "pipelines" / name, arguments)
            compared += ["--pipeline", str(arguments.output / "pipelines" / name), "--engine", "neural"]
            methods.setdefault(row, []).append(f"{name}/neural")
    evaluate = [
        sys.executable, "-m", "reliableswap", "evaluate", *compared, "--pipeline", "bundled", "--engine", "blend",
        "--controls", "--protocol", "identity-folders", "--faces", str(arguments.faces), "--held-out", "10",
        "--pairs", str(arguments.pairs), "--judge", arguments.judge, "--features", arguments.features,
        *(["--lower-judge", str(arguments.lower_judge)] if arguments.lower_judge else []),
        "-o", str(arguments.output / "report"), "--overwrite",
    ]  # fmt: skip
    subprocess.run(evaluate, check=True)
    report = json.loads((arguments.output / "report" / "report.json").read_text())
    text = table(methods, report["methods"])
    told = pair_by_pair(methods, arguments.output / "report" / "pairs.csv")
    text += f"\nWith FixerNet and without, pair by pair:\n\n{told}" if told else ""
    (arguments.output / "table.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
