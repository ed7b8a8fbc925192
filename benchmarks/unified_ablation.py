"""What experts and losses of the unified face model are worth at equal budget: same tokens, steps and seeds.

    python benchmarks/unified_ablation.py DATA TOKENISER -o runs/ablation --steps 2000 --seeds 0 1

Trains a transformer for each row and seed, one after the other, and measures each with benchmarks/unified.py. An
interrupted run goes on. --dry-run prints the commands. OUT/table.md holds the means over the seeds. Rows without
experts of tokens have a plain MLP as wide as what a token passes elsewhere, so they compute as much and hold fewer
weights.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Row:
    """name: what is trained. options: of `reliableswap train unified`."""

    name: str
    options: tuple[str, ...] = ()


NO_TOKEN, NO_SEQUENCE = ("--token_experts", "0"), ("--no-sequence_experts",)
ROWS = (
    Row("both"),
    Row("no experts", (*NO_TOKEN, *NO_SEQUENCE)),
    Row("experts of tokens", NO_SEQUENCE),
    Row("experts of sequences", NO_TOKEN),
    Row("mask loss alone", ("--loss", "mask")),
    Row("score loss alone", ("--loss", "score")),
    Row("alpha 0.1", ("--alpha", "0.1")),
    Row("alpha 0.001", ("--alpha", "0.001")),
)


def folder(row: Row, seed: int, output: Path) -> Path:
    return output / f"{row.name.replace(' ', '-')}-{seed}"


def commands(row: Row, seed: int, options: argparse.Namespace) -> list[list[str]]:
    """Train the row, then measure it."""
    place = folder(row, seed, options.output)
    training = [
        sys.executable, str(ROOT / "train_accelerate.py"), "unified", "--data", str(options.data),
        "--tokeniser", str(options.tokeniser), "--output_dir", str(place), "--max_train_steps", str(options.steps),
        "--validation_steps", str(options.steps), "--checkpointing_steps", "200", "--seed", str(seed),
        "--layers", str(options.layers), "--resume_from_checkpoint", "latest", *row.options,
    ]  # fmt: skip
    measuring = [
        sys.executable, str(ROOT / "benchmarks" / "unified.py"), str(options.data), f"{options.tokeniser},{place}",
        "-o", str(place / "measured"),
    ]  # fmt: skip
    return [training, measuring]


def summary(place: Path) -> dict[str, float]:
    """The figures of one training that the table compares."""
    found = json.loads((place / "measured" / "figures.json").read_text())
    agreement = [own["value"] for name, own in found["drawing"]["agreement"].items() if name != "face"]
    return {
        "answers right, %": float(np.mean([own["model"]["value"] for own in found["answers"].values()])),
        "description, precision %": found["descriptions"]["precision"],
        "description, recall %": found["descriptions"]["recall"],
        "drawn as described, %": float(np.mean(agreement)) if agreement else float("nan"),
        "Fréchet to real": found["drawing"].get("Fréchet drawn to real", float("nan")),
        "Fréchet to tokens": found["drawing"].get("Fréchet drawn to tokens", float("nan")),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("tokeniser", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--dry-run", action="store_true", help="print the commands")
    options = parser.parse_args()
    for row in ROWS:
        for seed in options.seeds:
            place = folder(row, seed, options.output)
            if (place / "measured" / "figures.json").is_file():
                continue
            for command in commands(row, seed, options):
                if options.dry_run:
                    print(shlex.join(command))
                else:
                    subprocess.run(command, check=True)
    if options.dry_run:
        return
    lines = []
    for row in ROWS:
        each = [summary(folder(row, seed, options.output)) for seed in options.seeds]
        if not lines:
            lines = [f"| row | {' | '.join(each[0])} |", "|---|" + "---:|" * len(each[0])]
        cells = [f"{np.mean([one[key] for one in each]):.1f} ({min(one[key] for one in each):.1f} to "
                 f"{max(one[key] for one in each):.1f})" for key in each[0]]  # fmt: skip
        lines.append(f"| {row.name} | {' | '.join(cells)} |")
    (options.output / "table.md").write_text("\n".join([*lines, ""]))
    print((options.output / "table.md").read_text())


if __name__ == "__main__":
    main()
