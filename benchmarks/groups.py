"""Measure for whom swaps work worse: figures by sex, age, glasses, beard, hat and pose, on held-out people.

    python benchmarks/groups.py FACES LABELS -o OUT [--pairs 400] [--engine auto] [--judge dlib] [--glasses 0]
    python benchmarks/groups.py FACES LABELS -o OUT --twins FOLDER    # the same pairs at two resolutions

FACES is a flat folder of photos of different people. LABELS is a JSON file: photo name -> age, gender, glasses,
facialHair, accessories and headPose as a face API gives them, including its errors. Only people whom the bundled
generator's training left out take part. --twins names a folder that holds some of the same photos at a higher
resolution; then only these are swapped, once at each resolution.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from reliableswap.data.photos import PICTURES
from reliableswap.data.splits import HELD_OUT, holds_out
from reliableswap.evaluation.metrics.intervals import bootstrap

Label = dict[str, Any]

GROUPS: dict[str, Callable[[Label, Label], bool]] = {
    "everybody": lambda source, target: True,
    "source woman": lambda source, target: source["gender"] == "female",
    "source man": lambda source, target: source["gender"] == "male",
    "woman onto man": lambda source, target: (source["gender"], target["gender"]) == ("female", "male"),
    "man onto woman": lambda source, target: (source["gender"], target["gender"]) == ("male", "female"),
    "source 18 to 30": lambda source, target: source["age"] <= 30,
    "source 31 to 50": lambda source, target: 30 < source["age"] <= 50,
    "source over 50": lambda source, target: source["age"] > 50,
    "more than 25 years apart": lambda source, target: abs(source["age"] - target["age"]) > 25,
    "source with glasses": lambda source, target: source["glasses"] != "NoGlasses",
    "target with glasses": lambda source, target: target["glasses"] != "NoGlasses",
    "source with beard": lambda source, target: source["facialHair"]["beard"] >= 0.5,
    "target with beard": lambda source, target: target["facialHair"]["beard"] >= 0.5,
    "source with hat": lambda source, target: wears_hat(source),
    "target with hat": lambda source, target: wears_hat(target),
    "target turned by 20 degrees and more": lambda source, target: abs(target["headPose"]["yaw"]) >= 20,
    "25 degrees and more between them": lambda source, target: (
        abs(target["headPose"]["yaw"] - source["headPose"]["yaw"]) >= 25
    ),
}
FIGURES = {
    "top1": "top-1",
    "copied": "copied",
    "cos_source": "cosine to source",
    "pose": "pose",
    "expression": "expression",
}


def wears_hat(label: Label) -> bool:
    """Whether the face API saw headwear."""
    return any(one["type"] == "headwear" and one["confidence"] >= 0.5 for one in label["accessories"])


def held_out(folder: Path, labels: dict[str, Label]) -> dict[str, Path]:
    """Name -> photo, of the labelled people that training leaves out."""
    photos = {p.stem: p for p in sorted(folder.iterdir()) if p.suffix.lower() in PICTURES}
    return {name: path for name, path in photos.items() if name in labels and holds_out(name, HELD_OUT)}


def draw(names: list[str], count: int, seed: int) -> list[tuple[str, str]]:
    """Draw (source, target) pairs; everybody is a source once before anybody is twice, each time on another target."""
    rng = np.random.default_rng(seed)
    pairs: list[tuple[str, str]] = []
    order = rng.permutation(len(names))
    for shift in range(1, len(names)):
        pairs += [(names[order[i]], names[order[(i + shift) % len(names)]]) for i in range(len(names))]
        if len(pairs) >= count:
            break
    return pairs[:count]


def measure(
    pairs: list[tuple[str, str]], photos: dict[str, Path], out: Path, arguments: argparse.Namespace
) -> list[dict[str, str]]:
    """Run `reliableswap evaluate` on the pairs, and return one row of figures per pair."""
    out.mkdir(parents=True, exist_ok=True)
    table = out / "pairs.tsv"
    with table.open("w", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t")
        writer.writerow(["name", "source", "target", "source_person", "target_person"])
        for source, target in pairs:
            files = (photos[name].resolve() for name in (source, target))
            writer.writerow([f"{source}-{target}", *files, source, target])
    command = [
        sys.executable, "-m", "reliableswap", "evaluate", "--pipeline", "bundled", "--engine", arguments.engine,
        "--protocol", "pairs", "--faces", str(table), "--pairs", str(len(pairs)), "--judge", arguments.judge,
        "--glasses", arguments.glasses, "--features", "none", "-o", str(out / "report"), "--overwrite",
    ]  # fmt: skip
    subprocess.run(command, check=True)
    with (out / "report" / "pairs.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def line(name: str, rows: list[dict[str, str]]) -> str:
    """One line of the Markdown table: the group's means and their 95 % intervals."""
    cells = [f"{name} | {len(rows)}"]
    people = [[row[f"{side}_person"] for row in rows] for side in ("source", "target")]
    for column in FIGURES:
        values = [float(row[column] or "nan") for row in rows]
        found = bootstrap(values, share=column in ("top1", "copied"), crossed=people)
        if found is None:
            cells.append("-")
            continue
        share = 100 if column in ("top1", "copied", "expression") else 1
        cells.append(f"{share * found.value:.3g} [{share * found.low:.3g}, {share * found.high:.3g}]")
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("faces", type=Path, help="folder of photos, one person each")
    parser.add_argument("labels", type=Path, help="JSON file of a face API's labels")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for pairs and report")
    parser.add_argument("--pairs", type=int, default=400, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--engine", default="auto", help="auto, blend or neural (default: %(default)s)")
    parser.add_argument("--judge", default="dlib", help="as for reliableswap evaluate (default: %(default)s)")
    parser.add_argument(
        "--glasses", default="1", help="1: keep the target's glasses; 0: remove them (default: %(default)s)"
    )
    parser.add_argument("--twins", type=Path, help="folder with some of the photos at a higher resolution")
    parser.add_argument(
        "--smallest", type=int, default=8, help="leave out groups with fewer pairs (default: %(default)s)"
    )
    arguments = parser.parse_args()
    labels = json.loads(arguments.labels.read_text("utf-8"))
    photos = held_out(arguments.faces, labels)
    print(f"| group | pairs | {' | '.join(FIGURES.values())} |\n|{'---|' * (len(FIGURES) + 2)}")
    if arguments.twins:
        large = held_out(arguments.twins, labels)
        pairs = draw(sorted(set(large) & set(photos)), arguments.pairs, arguments.seed)
        for name, files in (("as they are", photos), ("twins", large)):
            print(
                line(name, measure(pairs, files, arguments.output / name.replace(" ", "-"), arguments)),
                flush=True,
            )
        return
    pairs = draw(sorted(photos), arguments.pairs, arguments.seed)
    rows = {row["pair"]: row for row in measure(pairs, photos, arguments.output, arguments)}
    for name, belongs in GROUPS.items():
        chosen = [rows[f"{a}-{b}"] for a, b in pairs if f"{a}-{b}" in rows and belongs(labels[a], labels[b])]
        if len(chosen) >= arguments.smallest:
            print(line(name, chosen), flush=True)


if __name__ == "__main__":
    main()
