"""Test the paper's claim on its own networks: what cycle triplets and FixerNet are worth to SimSwap and FaceShifter.

    python benchmarks/papers_claim.py PHOTOS FACES -o runs/claim --steps 8000 --seeds 0 1 2 [--processes 2]

makes everything from scratch: small triplets from PHOTOS, a FixerNet of another seed as the lower face's judge, then
each row of each base with each seed. Rows have the same steps, samples per step, losses and seeds; only the row's
samples, or its FixerNet, differ. Identity enters only as the vector. An interrupted run resumes where it was, and
--dry-run prints the commands. At the end `reliableswap evaluate` measures all networks on the same held-out pairs of
FACES, with judges that no loss used.

Trainings run one after the other, or --at-once N at the same time: networks this small leave most of a GPU idle. Each
logs to OUT/NAME.log. One that fails does not stop the others; failures are listed at the end. --train-only makes only
triplets, judge and trainings. --minutes ends the trainings after that time, and the same command resumes them.

OUT/table.md has the figures, the differences to vanilla over the same pairs with intervals over people, and how much
each row still gained in its last quarter; OUT/curves.csv and OUT/curves-BASE.png show the figures of held-out people
over the steps (by the encoder of the loss), OUT/sheet-BASE.png the same pairs by every row, OUT/report the report.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curves import Curve, last_quarter, plot, read_curve, sheet, write_csv
from rows import (
    BLEND,
    add_running_options,
    cell,
    differences,
    evaluate,
    frechet_cell,
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


@dataclass(frozen=True)
class Row:
    """A kind of supervision, with or without FixerNet."""

    name: str
    supervision: str
    fixer: bool = False

    @property
    def slug(self) -> str:
        return self.name.replace("+ ", "").replace(" ", "-")


ROWS = (
    Row("vanilla", "vanilla"),
    Row("+ naive triplets", "naive"),
    Row("+ cycle triplets", "cycle"),
    Row("+ cycle triplets + FixerNet", "cycle", fixer=True),
    Row("+ real source", "real_source"),
)
_CLAIM_SUPERVISION = ("vanilla", "cycle")  # the kinds of supervision whose rows carry the claim
CHANNELS = {"simswap": 12, "faceshifter": 128}
# What all rows of all bases have in common, beside the base's preset. Learning identity from the vector alone takes
# thousands of steps, and sharpening losses only slow it down. --set changes any of these settings for all rows.
RECIPE: dict[str, Any] = {
    "identity_weight": 10.0, "l1_weight": 10.0, "adversarial_weight": 0.0, "feature_matching_weight": 0.0,
    "penalty_weight": 0.0, "perceptual_weight": 0.0, "learning_rate": 1e-3, "lr_scheduler": "cosine", "glasses": 0.0,
    "dataloader_num_workers": 1, "checkpointing_steps": 500, "report_to": "none",
}  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One training."""

    base: str
    row: Row
    seed: int

    @property
    def name(self) -> str:
        return f"{self.base}-{self.row.slug}-{self.seed}"


def runs_of(arguments: argparse.Namespace) -> list[Run]:
    """List all trainings, each row once before any row twice, so that an interrupted run can be evaluated.

    For each seed the rows that carry the claim come first, with every base.
    """
    rows = [row for row in ROWS if not arguments.rows or row.slug in arguments.rows]
    rows.sort(key=lambda row: row.supervision not in _CLAIM_SUPERVISION)
    return [Run(base, row, seed) for seed in arguments.seeds for row in rows for base in arguments.bases]


def preparations(arguments: argparse.Namespace) -> Iterator[tuple[list[str], bool]]:
    """Yield the commands that come before the trainings, each with whether its output is there."""
    if arguments.triplets is None:
        yield triplets_command(arguments), (arguments.output / "triplets" / "README.md").is_file()
    if arguments.lower_judge is None:
        yield judge_command(arguments), (arguments.output / "judge" / "config.json").is_file()


def triplets_command(arguments: argparse.Namespace) -> list[str]:
    """The command that makes small triplets, without covers: these matter only to networks with guidance."""
    return [
        sys.executable, "-m", "reliableswap", "triplets", str(arguments.photos), "-o",
        str(arguments.output / "triplets"), "--size", str(arguments.size), "--pairs", str(arguments.triplet_pairs),
        "--flat", arguments.flat, "--no-covers", "--device", arguments.device,
        "--preview", str(arguments.output / "triplets.png"),
    ]  # fmt: skip


def judge_command(arguments: argparse.Namespace) -> list[str]:
    """The command that trains the lower face's judge: a FixerNet that no row is trained with."""
    return [
        sys.executable, "-m", "reliableswap", "train", "fixer", "--faces", str(arguments.photos),
        "--flat_folders", arguments.flat, "--teacher", str(bundled("identity")), "--initial", str(bundled("identity")),
        "--max_train_steps", str(arguments.judge_steps), "--ema_decay", "0.99", "--seed", "1", "--report_to", "none",
        "--resume_from_checkpoint", "latest", "--output_dir", str(arguments.output / "judge"),
    ]  # fmt: skip


def options(one: Run, arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings of a training."""
    result: dict[str, Any] = {
        "preset": one.base,
        "channels": arguments.channels[one.base],
        "triplets": arguments.triplets or arguments.output / "triplets",
        "identity": bundled("identity"),
        "supervision": one.row.supervision,
        "output_dir": arguments.output / one.name,
        "max_train_steps": arguments.steps,
        "validation_steps": max(1, arguments.steps // 20),
        "lr_warmup_steps": min(200, arguments.steps // 8),
        "train_batch_size": arguments.batch // arguments.processes,
        "seed": one.seed,
        **RECIPE,
        **arguments.changes,
    }
    if one.row.fixer:
        result |= {"fixer": bundled("fixer"), "lower_face_weight": arguments.lower_face_weight}
    return result


def table(runs: list[Run], measured: dict[str, Any], curves: dict[str, Curve]) -> str:
    """One line per base and row: the mean over the seeds, and the lowest and highest end of their intervals."""
    columns = reported_columns(measured)
    headings = [*(column.heading for column in columns), "Fréchet to the targets", "last quarter, points"]
    lines = [
        "| base | row | seeds | " + " | ".join(headings) + " |",
        "|---|---|---:|" + "---:|" * len(headings),
    ]
    for (base, row), group in grouped(runs).items():
        found = [measured[method_of(one)] for one in group]
        cells = [cell(column, [one["figures"][column.key] for one in found]) for column in columns]
        cells.append(frechet_cell([one["frechet"] for one in found]))
        cells.append(", ".join(f"{last_quarter(curves[one.name]):+.1f}" for one in group))
        lines.append(f"| {base} | {row.name} | {len(group)} | " + " | ".join(cells) + " |")
    blend = measured[BLEND]
    cells = [cell(column, [blend["figures"][column.key]]) for column in columns]
    lines.append(
        "| – | the blend engine | – | " + " | ".join([*cells, frechet_cell([blend["frechet"]]), "–"]) + " |"
    )
    return "\n".join(lines) + "\n"


def grouped(runs: list[Run]) -> dict[tuple[str, Row], list[Run]]:
    """The seeds of each row of each base."""
    result: dict[tuple[str, Row], list[Run]] = {}
    for one in sorted(runs, key=lambda run: (run.base, ROWS.index(run.row), run.seed)):
        result.setdefault((one.base, one.row), []).append(one)
    return result


def claims(runs: list[Run], pairs: Path) -> Iterator[str]:
    """Yield what each row changes against vanilla over the same pairs, and what FixerNet changes in the same row."""
    measured, groups = read_pairs(pairs), grouped(runs)
    for (base, row), group in groups.items():
        for other in ROWS:
            against = groups.get((base, other))
            without = row.fixer and other.supervision == row.supervision and not other.fixer
            if against is None or row is other or not (other is ROWS[0] or without):
                continue
            seeds = sorted({one.seed for one in group} & {one.seed for one in against})
            ours, theirs = (
                [method_of(one) for one in runs if one.seed in seeds] for runs in (group, against)
            )
            for column, words in differences(measured, ours, theirs) if seeds else ():
                yield f"- {base}, {row.name} minus {other.name}, {seeds_in_words(seeds)}: {column.heading} {words}"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("photos", type=Path, help="folder of photos from which triplets and the lower face's judge are made")
    add("faces", type=Path, help="folder with one sub-folder per person, for held-out pairs")
    add("-o", "--output", type=Path, required=True, help="folder for everything that is made")
    add("--bases", nargs="+", choices=list(CHANNELS), default=list(CHANNELS), help="default: both")
    add("--rows", nargs="+", choices=[row.slug for row in ROWS], help="default: all")
    add("--seeds", type=int, nargs="+", default=[0, 1, 2], help="default: 0 1 2")
    add("--steps", type=int, default=8000, help="default: %(default)s")
    add("--batch", type=int, default=32, help="samples per step of all processes (default: %(default)s)")
    add("--processes", type=int, default=1, help="processes per training (default: %(default)s)")
    add("--size", type=int, default=64, help="side of the crops in pixels (default: %(default)s)")
    add("--triplets", type=Path, help="triplets of that size, instead of making some")
    add("--triplet-pairs", type=int, default=6000, help="default: %(default)s")
    add("--flat", default="", help="as for reliableswap triplets")
    add("--device", default="openvino", help="device of the triplets' encoder (default: %(default)s)")
    add("--lower-judge", type=Path, help="a FixerNet that no row is trained with, instead of training one")
    add("--judge-steps", type=int, default=600, help="default: %(default)s")
    add(
        "--lower-face-weight",
        type=float,
        default=3.0,
        help="weight of FixerNet's loss (default: %(default)s)",
    )
    add("--simswap-channels", type=int, default=CHANNELS["simswap"], help="default: %(default)s")
    add("--faceshifter-channels", type=int, default=CHANNELS["faceshifter"], help="default: %(default)s")
    add("--pairs", type=int, default=400, help="held-out pairs (default: %(default)s)")
    add("--judge", default="dlib", help="as for reliableswap evaluate (default: %(default)s)")
    add("--features", help="features of the Fréchet distance (default: those of `reliableswap evaluate`)")
    add("--dry-run", action="store_true", help="print the commands and stop")
    add_running_options(parser)
    arguments = parse_with_changes(parser)
    arguments.channels = {base: getattr(arguments, f"{base}_channels") for base in CHANNELS}
    if arguments.batch % arguments.processes:
        parser.error(f"--batch {arguments.batch} is not a multiple of --processes {arguments.processes}")
    return arguments


def main() -> None:
    arguments = parse()
    output, runs = arguments.output, runs_of(arguments)
    if arguments.trained_only:
        runs = [one for one in runs if is_done(output / one.name, arguments.steps)]
        if not runs:
            raise ReliableSwapError(f"no row in {output} has been trained for {arguments.steps} steps")
    else:
        for command, done in preparations(arguments):
            if arguments.dry_run:
                print(shlex.join(command))
            elif not done:
                run(command)
        if arguments.dry_run:
            for one in runs:
                print(shlex.join(training_command(options(one, arguments), arguments.processes)))
            return
        train_all(runs, lambda one: training_command(options(one, arguments), arguments.processes), arguments)
        if arguments.train_only:
            return
    curves = {one.name: read_curve(output / one.name) for one in runs}
    write_csv(curves, output / "curves.csv")
    for base in arguments.bases:
        own = {row.name: group for (of, row), group in grouped(runs).items() if of == base}
        if not own:
            continue
        plot(
            {row: [curves[one.name] for one in group] for row, group in own.items()},
            output / f"curves-{base}.png",
        )
        sheet({row: output / group[0].name for row, group in own.items()}, output / f"sheet-{base}.png")
    for one in runs:
        fixer = bundled("fixer") if one.row.fixer else None
        save_pipeline(output / one.name, output / "pipelines" / one.name, bundled("identity"), fixer)
    measured = evaluate(
        [output / "pipelines" / one.name for one in runs],
        arguments.faces,
        output / "report",
        pairs=arguments.pairs,
        judge=arguments.judge,
        features=arguments.features,
        lower_judge=arguments.lower_judge or output / "judge",
    )
    text = table(runs, measured, curves)
    text += "\nOver the same pairs, with 95 % intervals over people:\n\n"
    text += "\n".join(claims(runs, output / "report" / "pairs.csv")) + "\n"
    (output / "table.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    try:
        main()
    except ReliableSwapError as error:
        sys.exit(f"error: {error}")
