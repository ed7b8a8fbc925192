"""Measure what each surrogate and adaption is worth at equal budget: the same photos, steps and seeds, one row each.

    python benchmarks/surrogates.py PHOTOS FACES -o runs/surrogates --teacher runs/generator --steps 3000 --seeds 0 1

Triplets are made from PHOTOS, as if nobody had two photos. FACES is the folder of people that held-out pairs are drawn
from. The teacher is an earlier generator, or a pipeline, that makes targets in some rows. Each row makes its triplets
(rows with the same options share them) and trains the light generator. One `reliableswap evaluate` then measures all of
them on the same pairs, with judges that no loss used. An interrupted run resumes. --dry-run prints the commands.

--at-once N trains N rows at the same time, each with its log in OUT/NAME.log; one that fails does not stop the others.
--train-only makes only triplets and trainings. --minutes ends the trainings after that time, and the same command
resumes them. --size and --channels make crops and generator smaller, for a quick comparison.

OUT/report holds the report, OUT/table.md the means over the seeds, and the differences to the first row over the same
pairs with intervals over people.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rows import (
    BLEND,
    add_running_options,
    cell,
    differences,
    evaluate,
    is_done,
    method_of,
    parse_with_changes,
    read_pairs,
    reported_columns,
    run,
    save_pipeline,
    seeds_in_words,
    train_all,
    training_command,
)

from reliableswap.bundled import bundled
from reliableswap.errors import ReliableSwapError

_GENERATOR_SHARE = "--target-surrogate-share"


@dataclass(frozen=True)
class Row:
    """name: what differs from the first row. triplets: their options. folder: of its triplets. training: settings."""

    name: str
    folder: str = "blend"
    triplets: tuple[str, ...] = ()
    training: Mapping[str, Any] = field(default_factory=dict)


ROWS = (
    Row("source surrogates, blend targets"),
    Row("without source surrogates", training={"supervision": "cycle"}),
    Row("generator targets", "generator", (_GENERATOR_SHARE, "1")),
    Row("both kinds of targets", "both", (_GENERATOR_SHARE, "0.5")),
    Row("explicit adaption", "girth", ("--girth", "0.12", "--girth-share", "0.5")),
    *(Row(f"adapter {how}", training={"adapter": how}) for how in ("add", "concat", "replace")),
    Row("proxy beta 2", training={"proxy_beta": 2}),
    Row("normal and proxy steps in turn", training={"alternate": True}),
)


@dataclass(frozen=True)
class Run:
    """One training."""

    row: Row
    seed: int

    @property
    def name(self) -> str:
        return f"{self.row.name.replace(' ', '-').replace(',', '')}-{self.seed}"


def runs_of(arguments: argparse.Namespace) -> list[Run]:
    """List all trainings, each row once before any row twice."""
    rows = [row for row in ROWS if not arguments.rows or row.name in arguments.rows]
    return [Run(row, seed) for seed in arguments.seeds for row in rows]


def triplets_command(row: Row, arguments: argparse.Namespace) -> list[str]:
    """The command that makes the row's triplets. A shared cache has photos analysed once for all rows."""
    command = [
        sys.executable, "-m", "reliableswap", "triplets", str(arguments.photos), "-o",
        str(triplets_of(row, arguments)), "--singles", "--size", str(arguments.size),
        "--pairs", str(arguments.triplet_pairs), "--cache", str(arguments.output / "cache"), "--flat", arguments.flat,
        "--split", arguments.split, *row.triplets,
    ]  # fmt: skip
    return (
        [*command, "--target-surrogate", str(arguments.teacher)]
        if _GENERATOR_SHARE in row.triplets
        else command
    )


def triplets_of(row: Row, arguments: argparse.Namespace) -> Path:
    return Path(arguments.output, "triplets", row.folder)


def preparations(runs: list[Run], arguments: argparse.Namespace) -> Iterator[tuple[list[str], bool]]:
    """Yield the commands that make triplets, each with whether its triplets are there."""
    for row in {one.row.folder: one.row for one in reversed(runs)}.values():
        yield triplets_command(row, arguments), (triplets_of(row, arguments) / "README.md").is_file()


def options(one: Run, arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings of a training."""
    narrow = {} if arguments.channels is None else {"channels": arguments.channels}
    return {
        "triplets": triplets_of(one.row, arguments),
        "output_dir": arguments.output / one.name,
        "max_train_steps": arguments.steps,
        "seed": one.seed,
        "train_batch_size": arguments.batch,
        "checkpointing_steps": 250,
        "validation_steps": max(1, arguments.steps // 2),
        "lr_warmup_steps": min(200, arguments.steps // 8),
        "fixer": bundled("fixer"),
        "supervision": "surrogate_source",
        **narrow,
        **one.row.training,
        **arguments.changes,
    }


def grouped(runs: list[Run]) -> dict[str, list[Run]]:
    """The seeds of each row, in the rows' order."""
    result: dict[str, list[Run]] = {}
    for one in sorted(runs, key=lambda run: (ROWS.index(run.row), run.seed)):
        result.setdefault(one.row.name, []).append(one)
    return result


def table(runs: list[Run], measured: dict[str, Any]) -> str:
    """One line per row: the mean over the seeds, and the lowest and highest end of the seeds' intervals."""
    columns = reported_columns(measured)
    lines = [
        "| row | seeds | " + " | ".join(column.heading for column in columns) + " |",
        "|---|---:|" + "---:|" * len(columns),
    ]
    named = [
        (name, str(len(group)), [method_of(one) for one in group]) for name, group in grouped(runs).items()
    ]
    for name, seeds, methods in [*named, ("the blend engine", "–", [BLEND])]:
        cells = [
            cell(column, [measured[one]["figures"][column.key] for one in methods]) for column in columns
        ]
        lines.append(f"| {name} | {seeds} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def claims(runs: list[Run], pairs: Path) -> Iterator[str]:
    """Yield what each row changes against the first one over the same pairs."""
    measured, groups = read_pairs(pairs), grouped(runs)
    first = groups.pop(ROWS[0].name, [])
    for name, group in groups.items():
        seeds = sorted({one.seed for one in group} & {one.seed for one in first})
        ours, theirs = ([method_of(one) for one in some if one.seed in seeds] for some in (group, first))
        for column, words in differences(measured, ours, theirs) if seeds else ():
            yield f"- {name}, {seeds_in_words(seeds)}: {column.heading} {words}"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path, help="folder of photos to make triplets from")
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
    parser.add_argument(
        "--size", type=int, default=128, help="side of the crops in pixels (default: %(default)s)"
    )
    parser.add_argument("--triplet-pairs", type=int, default=4000, help="default: %(default)s")
    parser.add_argument("--steps", type=int, default=3000, help="default: %(default)s")
    parser.add_argument("--batch", type=int, default=16, help="default: %(default)s")
    parser.add_argument(
        "--channels",
        type=int,
        help="channels of the light generator's widest feature maps (default: the preset's)",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="default: 0 1")
    parser.add_argument("--pairs", type=int, default=400, help="held-out pairs (default: %(default)s)")
    parser.add_argument("--judge", default="dlib", help="default: %(default)s")
    parser.add_argument(
        "--features", help="features of the Fréchet distance (default: those of `reliableswap evaluate`)"
    )
    parser.add_argument("--lower-judge", type=Path, help="a FixerNet that no row is trained with")
    parser.add_argument("--dry-run", action="store_true", help="print the commands and stop")
    add_running_options(parser)
    return parse_with_changes(parser)


def main() -> None:
    arguments = parse()
    output, runs = arguments.output, runs_of(arguments)
    if arguments.trained_only:
        runs = [one for one in runs if is_done(output / one.name, arguments.steps)]
        if not runs:
            raise ReliableSwapError(f"no row in {output} has been trained for {arguments.steps} steps")
    else:
        for command, done in preparations(runs, arguments):
            if arguments.dry_run:
                print(shlex.join(command))
            elif not done:
                run(command)
        if arguments.dry_run:
            for one in runs:
                print(shlex.join(training_command(options(one, arguments))))
            return
        train_all(runs, lambda one: training_command(options(one, arguments)), arguments)
        if arguments.train_only:
            return
    for one in runs:
        save_pipeline(
            output / one.name, output / "pipelines" / one.name, bundled("identity"), bundled("fixer")
        )
    measured = evaluate(
        [output / "pipelines" / one.name for one in runs],
        arguments.faces,
        output / "report",
        pairs=arguments.pairs,
        judge=arguments.judge,
        features=arguments.features,
        lower_judge=arguments.lower_judge,
    )
    text = table(runs, measured)
    text += f"\nMinus {ROWS[0].name}, over the same pairs, with 95 % intervals over people:\n\n"
    text += "\n".join(claims(runs, output / "report" / "pairs.csv")) + "\n"
    (output / "table.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    try:
        main()
    except ReliableSwapError as error:
        sys.exit(f"error: {error}")
