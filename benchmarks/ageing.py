"""Measure the age dial: how old results look, and whether they still show the source.

    python benchmarks/ageing.py [--people FOLDER] [--gear gear.onnx] [--sheet ageing.png] [--json ageing.json]

Each person's first photo is swapped into the photo of the next person at every setting of the dial. By default the
people are openpeople's ten, who do not exist; --people takes a folder with a sub-folder of two photos per person, whose
first by name is the source. years: the apparent age by the second network of the age gate (FaceRes), minus that at 0.
It compresses ages: for UTKFace's adults from 25 to 65 it rises by 0.58 a year. gear: the same by GEAR, if it is given,
a network that nothing was fitted or selected with: the mean of its seven age classes. rises: the share of results that
look older than the same swap at the setting before. top1: the share of results whose nearest of all people's second
photos, by dlib's network, is the source's. refused: results that would look younger than the gate allows.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from people import KINDS, PEOPLE, around_face, photo_of
from PIL import Image

from reliableswap import ReliableSwapPipeline
from reliableswap.data.photos import PICTURES
from reliableswap.errors import RefusedError
from reliableswap.evaluation.judges.dlib import DlibJudge
from reliableswap.faces.face import Face
from reliableswap.safety.age import age_nets
from reliableswap.swap.subject import Subject

YEARS = (-15, -10, -5, 0, 5, 10, 15)
_GEAR_AGES = np.array([9.0, 15.0, 25.0, 35.0, 45.0, 55.0, 68.0])  # the middles of its classes
_CELL = 192  # px


def photos_of(folder: Path | None) -> list[tuple[Path, Path]]:
    """Two photos of each person."""
    if folder is None:
        return [(photo_of(one, KINDS[0]), photo_of(one, KINDS[1])) for one in PEOPLE]
    found = []
    for person in sorted(one for one in folder.iterdir() if one.is_dir()):
        photos = sorted(one for one in person.iterdir() if one.suffix.lower() in PICTURES)
        if len(photos) > 1:
            found.append((photos[0], photos[1]))
    return found


def read(path: Path, side: int) -> np.ndarray:
    """(H,W,3) a photo, its longer side at most `side`."""
    image = Image.open(path).convert("RGB")
    image.thumbnail((side, side))
    return np.asarray(image)


class Gear:
    """GEAR, an age network in seven classes."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        self.session = onnxruntime.InferenceSession(str(path))

    def __call__(self, picture: np.ndarray, face: Face) -> float:
        x0, y0, x1, y1 = face.box
        side, middle = 1.2 * max(x1 - x0, y1 - y0), ((x0 + x1) / 2, (y0 + y1) / 2)
        scale = 198 / side
        matrix = np.array([[scale, 0, 99 - scale * middle[0]], [0, scale, 99 - scale * middle[1]]])
        view = (
            cv2.warpAffine(picture, matrix, (198, 198), flags=cv2.INTER_AREA)[None].astype(np.float32) / 255
        )
        given = {self.session.get_inputs()[0].name: view}
        answers = self.session.run(None, given)
        ages: Any = next(one for one in answers if one.shape[-1] == len(_GEAR_AGES))
        return float(ages[0] @ _GEAR_AGES)


def measure(
    pipe: ReliableSwapPipeline,
    photos: list[tuple[Path, Path]],
    count: int,
    dial: tuple[int, ...],
    side: int,
    gear: Gear | None,
    show: Callable[[str], None],
) -> tuple[dict[int, dict[str, np.ndarray]], list[np.ndarray]]:
    """Measure every swap: figures by setting of the dial, NaN where it was refused, and rows of pictures.

    The first `count` people are sources; all are in the judge's gallery.
    """
    judge = DlibJudge()
    known = [read(second, side) for _, second in photos]
    gallery = np.stack([judge.embed(one, pipe.find(one)[0]) for one in known])
    names = ("years", "gear", "top1", "cosine")
    count = min(count, len(photos))
    table = {years: {name: np.full(count, np.nan) for name in names} for years in dial}
    rows = []
    for n, (first, _) in enumerate(photos[:count]):
        target = read(photos[(n + 1) % len(photos)][0], side)
        face, source = pipe.find(target)[0], pipe.prepare(first)
        row = [around_face(read(first, side), pipe.find(read(first, side))[0].box, _CELL)]
        for years in dial:
            try:
                made = pipe(source, target, age=float(years)).pictures[0].pixels
            except RefusedError as error:
                show(f"{first.parent.name} {years:+d}: {error}")
                row.append(np.zeros((_CELL, _CELL, 3), np.uint8))
                continue
            vector = judge.embed(made, pipe.find(made)[0])
            seen = Subject.around(made, face, "result", pipe.networks())
            table[years]["years"][n] = age_nets().estimate(seen, both=True).years or np.nan
            if gear is not None:
                table[years]["gear"][n] = gear(made, face)
            table[years]["top1"][n] = float((gallery @ vector).argmax() == n)
            table[years]["cosine"][n] = float(gallery[n] @ vector)
            row.append(around_face(made, face.box, _CELL))
        rows.append(np.concatenate(row, 1))
        show(f"{n + 1} of {count}: {first}")
    return table, rows


def summary(table: dict[int, dict[str, np.ndarray]]) -> dict[int, dict[str, float]]:
    """The means over swaps, by setting of the dial."""
    found = {}
    for before, years in zip((None, *table), table, strict=False):
        values, plain = table[years], table[0]
        made = ~np.isnan(values["years"])
        row = {"swaps": float(made.sum()), "refused": float((~made).sum())}
        for name in ("years", "gear"):
            row[name] = _mean(values[name] - plain[name])
        if before is not None:
            both = made & ~np.isnan(table[before]["years"])
            row["rises"] = _mean((values["years"] > table[before]["years"])[both])
        row["top1"], row["cosine"] = _mean(values["top1"]), _mean(values["cosine"])
        found[years] = row
    return found


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values.astype(float))]
    return float(known.mean()) if len(known) else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--people", type=Path, help="folder of people with two photos each (default: openpeople's ten)"
    )
    parser.add_argument("--count", type=int, default=40, help="most sources to use (default: 40)")
    parser.add_argument(
        "--years",
        type=int,
        nargs="+",
        default=YEARS,
        help="settings of the dial, 0 among them (default: all seven)",
    )
    parser.add_argument("--side", type=int, default=512, help="longer side of the photos (default: 512)")
    parser.add_argument("--gear", type=Path, help="GEAR as an ONNX file, for a second opinion on ages")
    parser.add_argument("--sheet", type=Path, help="write a picture of the results to this file")
    parser.add_argument("--json", type=Path, help="write the figures to this JSON file")
    arguments = parser.parse_args()
    photos, dial = photos_of(arguments.people), tuple(sorted({0, *arguments.years}))
    gear = Gear(arguments.gear) if arguments.gear else None
    pipe = ReliableSwapPipeline.bundled()
    table, rows = measure(
        pipe, photos, arguments.count, dial, arguments.side, gear, lambda text: print(text, file=sys.stderr)
    )
    if arguments.sheet:
        Image.fromarray(np.concatenate(rows[:12])).save(arguments.sheet)
    found = summary(table)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    names = ["swaps", "refused", "years", "gear", "rises", "top1", "cosine"]
    print("| dial | " + " | ".join(names) + " |\n|---:|" + "---:|" * len(names))
    for years, row in found.items():
        print(f"| {years:+d} | " + " | ".join(f"{row.get(name, float('nan')):.2f}" for name in names) + " |")


if __name__ == "__main__":
    main()
