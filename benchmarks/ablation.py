"""What reliable supervision is worth at equal budget: the same network, steps, data and seeds, one row a supervision.

    python benchmarks/ablation.py TRIPLETS FACES -o runs/ablation --steps 3000 --seeds 0 1 [--processes 2]

TRIPLETS is what `reliableswap triplets` made, FACES the folder of people that evaluations draw held-out pairs from.
Every row is trained by train_accelerate.py and resumes where it was stopped; a finished row is not trained again. Then
one `reliableswap evaluate` measures all of them on the same pairs, with a judge that no loss saw, into OUT/report.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from reliableswap import ReliableSwapPipeline
from reliableswap.bundled import bundled
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
        "validation_steps": max(1, arguments.steps // 4), "resume_from_checkpoint": "latest",
        "lower_face_weight": 1.0 if row.fixer else 0.0,
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
    arguments = parser.parse_args()
    arguments.identity = arguments.identity or bundled("identity")
    arguments.fixer = arguments.fixer or bundled("fixer")
    compared: list[str] = []
    for row in ROWS:
        if arguments.rows and row.name not in arguments.rows:
            continue
        for seed in arguments.seeds:
            name = f"{row.name}-{seed}"
            train(row, seed, arguments.output / name, arguments)
            pipeline(row, arguments.output / name, arguments.output / "pipelines" / name, arguments)
            compared += ["--pipeline", str(arguments.output / "pipelines" / name), "--engine", "neural"]
    evaluate = [
        sys.executable, "-m", "reliableswap", "evaluate", *compared, "--pipeline", "bundled", "--engine", "blend",
        "--controls", "--protocol", "identity-folders", "--faces", str(arguments.faces), "--held-out", "10",
        "--pairs", str(arguments.pairs), "--judge", arguments.judge,
        "-o", str(arguments.output / "report"), "--overwrite",
    ]  # fmt: skip
    subprocess.run(evaluate, check=True)


if __name__ == "__main__":
    main()
