"""Measure what each kind of supervision is worth at equal budget: same network, steps, data and seeds, a row per kind.

    python benchmarks/ablation.py TRIPLETS FACES -o runs/ablation --steps 3000 --seeds 0 1 [--processes 2]

TRIPLETS is a folder made by `reliableswap triplets`; FACES is the folder of people that held-out pairs are drawn from.
Each row is trained by train_accelerate.py. An interrupted row resumes, and a finished one is not trained again. Rows
with guidance are trained with every seed, rows without it with the first seed only. Then one `reliableswap evaluate`
measures all of them on the same pairs, with judges that no loss used. OUT/report holds the report; OUT/table.md has the
means over the seeds, and the differences that FixerNet makes on the same pairs.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rows import (
    BLEND,
    cell,
    differences,
    evaluate,
    frechet_cell,
    is_done,
    read_pairs,
    reported_columns,
    run,
    save_pipeline,
    training_command,
)

from reliableswap.bundled import bundled


@dataclass(frozen=True)
class Row:
    """A kind of supervision, with or without guidance (the warped texture), and with or without FixerNet."""

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


KINDS = ("vanilla", "naive", "cycle", "real_source")
ROWS = [
    *(Row(kind, guidance) for guidance in (True, False) for kind in KINDS),
    *(Row("real_source", guidance, fixer=True) for guidance in (True, False)),
]


def train(row: Row, seed: int, folder: Path, arguments: argparse.Namespace) -> None:
    """Train one row to its last step, unless that is done."""
    if is_done(folder, arguments.steps):
        return
    options = {
        "triplets": arguments.triplets, "identity": arguments.identity, "supervision": row.supervision,
        "output_dir": folder, "max_train_steps": arguments.steps, "seed": seed,
        "train_batch_size": arguments.batch // arguments.processes, "checkpointing_steps": 250,
        "validation_steps": max(1, arguments.steps // 2),
        "lr_warmup_steps": min(200, arguments.steps // 8), "dataloader_num_workers": 1,
        "strangers": 0.0, "target_colours": 32, "glasses": 0.0, "guidance": row.guidance,
        "lower_face_weight": arguments.lower_face_weight if row.fixer else 0.0,
    }  # fmt: skip
    if row.fixer:
        options["fixer"] = arguments.fixer
    run(training_command(options, arguments.processes))


def table(methods: dict[Row, list[str]], measured: dict[str, Any]) -> str:
    """One line per row: the mean over the seeds, and the lowest and highest end of the seeds' intervals."""
    columns = reported_columns(measured)
    headings = [*(column.heading for column in columns), "Fréchet to the targets"]
    lines = [
        "| supervision | FixerNet | guidance | seeds | " + " | ".join(headings) + " |",
        "|---|---|---|---:|" + "---:|" * len(headings),
    ]
    rows = [(row.label, names) for row, names in methods.items()]
    for label, names in [*rows, ("the blend engine | – | –", [BLEND])]:
        cells = [
            cell(column, [measured[name]["figures"][column.key] for name in names]) for column in columns
        ]
        cells.append(frechet_cell([measured[name]["frechet"] for name in names]))
        lines.append(f"| {label} | {len(names)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def fixer_differences(methods: dict[Row, list[str]], table_of_pairs: Path) -> Iterator[str]:
    """Yield what FixerNet changes on the same pairs: the mean difference with its 95 % interval, for each seed."""
    measured = read_pairs(table_of_pairs)
    for row, names in methods.items():
        plain = Row(row.supervision, row.guidance)
        if not row.fixer or plain not in methods:
            continue
        for with_fixer, without in zip(names, methods[plain], strict=True):
            for column, words in differences(measured, [with_fixer], [without]):
                yield f"- {with_fixer} minus {without}: {column.heading} {words}"


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
            save_pipeline(
                arguments.output / name,
                arguments.output / "pipelines" / name,
                arguments.identity,
                arguments.fixer if row.fixer else None,
            )
            trained.append(name)
            methods.setdefault(row, []).append(f"{name}/neural")
    report = arguments.output / "report"
    measured = evaluate(
        [arguments.output / "pipelines" / name for name in trained],
        arguments.faces,
        report,
        pairs=arguments.pairs,
        judge=arguments.judge,
        features=arguments.features,
        lower_judge=arguments.lower_judge,
    )
    text = table(methods, measured)
    differences = list(fixer_differences(methods, report / "pairs.csv"))
    if differences:
        text += "\nWith FixerNet minus without, on the same pairs:\n\n" + "\n".join(differences) + "\n"
    (arguments.output / "table.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
