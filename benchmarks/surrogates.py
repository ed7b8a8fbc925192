"""What each surrogate and each adaption is worth at equal budget: the same photos, steps and seeds, one row for each.

    python benchmarks/surrogates.py PHOTOS FACES -o runs/surrogates --teacher runs/generator --steps 3000 --seeds 0 1

PHOTOS is what triplets are made of, as if nobody had two photos. FACES is the folder of people that held-out pairs
are drawn from. The teacher is an earlier generator, or a pipeline, that makes targets in some rows. Each row makes its
triplets (rows with the same options share them), trains the light generator, and one `reliableswap evaluate` measures
all of them on the same pairs, with judges that no loss used. An interrupted run goes on. --dry-run prints the commands.
OUT/report holds the report, OUT/table.md the means over the seeds.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rows import BLEND, ROOT, cell, evaluate, is_done, known_columns, run, save_pipeline

from reliableswap.bundled import bundled

_OWN = "--target-surrogate-share"


@dataclass(frozen=True)
class Row:
    """name: what differs from the first row. triplets, training: its options. folder: of its triplets."""

    name: str
    folder: str = "blend"
    triplets: tuple[str, ...] = ()
    training: tuple[str, ...] = ("--supervision", "surrogate_source")


def _adapted(how: str) -> Row:
    return Row(f"adapter {how}", training=("--supervision", "surrogate_source", "--adapter", how))


ROWS = (
    Row("source surrogates, blend targets"),
    Row("without source surrogates", training=("--supervision", "cycle")),
    Row("generator targets", "generator", (_OWN, "1")),
    Row("both kinds of targets", "both", (_OWN, "0.5")),
    Row("explicit adaption", "girth", ("--girth", "0.12", "--girth-share", "0.5")),
    *(_adapted(how) for how in ("add", "concat", "replace")),
    Row("proxy beta 2", training=("--supervision", "surrogate_source", "--proxy_beta", "2")),
    Row("normal and proxy steps in turn", training=("--supervision", "surrogate_source", "--alternate")),
)


def triplets_command(row: Row, arguments: argparse.Namespace) -> list[str]:
    """Make the row's triplets; photos are looked at once for all rows."""
    command = [
        sys.executable, "-m", "reliableswap", "triplets", str(arguments.photos), "-o",
        str(arguments.output / "triplets" / row.folder), "--singles", "--pairs", str(arguments.triplet_pairs),
        "--cache", str(arguments.output / "cache"), "--flat", arguments.flat, "--split", arguments.split,
        *row.triplets,
    ]  # fmt: skip
    return [*command, "--target-surrogate", str(arguments.teacher)] if _OWN in row.triplets else command


def training_command(row: Row, seed: int, arguments: argparse.Namespace) -> list[str]:
    """Train the row's generator; a finished or interrupted one goes on where it was."""
    return [
        sys.executable, str(ROOT / "train_accelerate.py"), "generator",
        "--triplets", str(arguments.output / "triplets" / row.folder),
        "--output_dir", str(trained(row, seed, arguments)), "--max_train_steps", str(arguments.steps),
        "--seed", str(seed), "--train_batch_size", str(arguments.batch), "--checkpointing_steps", "250",
        "--validation_steps", str(max(1, arguments.steps // 2)), "--resume_from_checkpoint", "latest",
        "--lr_warmup_steps", str(min(200, arguments.steps // 8)), "--fixer", str(bundled("fixer")), *row.training,
    ]  # fmt: skip


def trained(row: Row, seed: int, arguments: argparse.Namespace) -> Path:
    return Path(arguments.output, f"{row.name.replace(' ', '-').replace(',', '')}-{seed}")


def commands(rows: list[Row], arguments: argparse.Namespace) -> Iterator[tuple[list[str], Path | None]]:
    """Every command in order, and the folder of what it trains."""
    for row in {row.folder: row for row in reversed(rows)}.values():
        yield triplets_command(row, arguments), None
    for seed in arguments.seeds:
        for row in rows:
            yield training_command(row, seed, arguments), trained(row, seed, arguments)


def table(rows: list[Row], measured: dict[str, dict], arguments: argparse.Namespace) -> str:
    """One line per row: the mean over the seeds, and the lowest and highest end of the seeds' intervals."""
    columns = known_columns(measured)
    lines = [
        "| row | " + " | ".join(column.heading for column in columns) + " |",
        "|---|" + "---:|" * len(columns),
    ]
    named = [
        (row.name, [f"{trained(row, s, arguments).name}/neural" for s in arguments.seeds]) for row in rows
    ]
    for name, methods in [*named, ("the blend engine", [BLEND])]:
        cells = [
            cell(column, [measured[one]["figures"][column.key] for one in methods]) for column in columns
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path, help="folder of photos to make triplets of")
    parser.add_argument("faces", type=Path, help="folder with one sub-folder per person, for held-out pairs")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="folder for triplets, runs and report"
    )
    parser.add_argument("--teacher", type=Path, default=bundled(), help="default: the bundled pipeline")
    parser.add_argument("--rows", nargs="+", choices=[row.name for row in ROWS], help="default: all")
    parser.add_argument("--flat", default="", help="as for reliableswap triplets")
    parser.add_argument(
        "--split", default="90/5/5", help="as for reliableswap triplets (default: %(default)s)"
    )
    parser.add_argument("--triplet-pairs", type=int, default=4000, help="default: %(default)s")
    parser.add_argument("--steps", type=int, default=3000, help="default: %(default)s")
    parser.add_argument("--batch", type=int, default=16, help="default: %(default)s")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="default: 0 1")
    parser.add_argument("--pairs", type=int, default=400, help="held-out pairs (default: %(default)s)")
    parser.add_argument("--judge", default="dlib", help="default: %(default)s")
    parser.add_argument("--features", default="efficientnet-lite0", help="default: %(default)s")
    parser.add_argument("--lower-judge", type=Path, help="a FixerNet that no row is trained with")
    parser.add_argument("--dry-run", action="store_true", help="print the commands and stop")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    rows = [row for row in ROWS if not arguments.rows or row.name in arguments.rows]
    for command, folder in commands(rows, arguments):
        if arguments.dry_run:
            print(shlex.join(command))
        elif folder is None or not is_done(folder, arguments.steps):
            run(command)
    if arguments.dry_run:
        return
    names = [trained(row, seed, arguments).name for seed in arguments.seeds for row in rows]
    for name in names:
        save_pipeline(
            arguments.output / name,
            arguments.output / "pipelines" / name,
            bundled("identity"),
            bundled("fixer"),
        )
    measured = evaluate(
        [arguments.output / "pipelines" / name for name in names],
        arguments.faces,
        arguments.output / "report",
        pairs=arguments.pairs,
        judge=arguments.judge,
        features=arguments.features,
        lower_judge=arguments.lower_judge,
    )
    text = table(rows, measured, arguments)
    (arguments.output / "table.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
