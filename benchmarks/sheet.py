"""Make a contact sheet of swaps to look at: figures alone have hidden blank, blurred and copied faces.

    python benchmarks/sheet.py -o sheet.png                          # the ten openpeople, each onto the next
    python benchmarks/sheet.py -o sheet.png --faces FOLDER --pairs 60 # and random pairs from a folder
    python benchmarks/sheet.py -o sheet.png --no-people --faces FOLDER --labels LABELS.json --pairs 60 --judge dlib

Each cell shows source, target and result, with names and time below. With --labels (see groups.py) the pairs show
held-out people and cover the difficult groups in turn. With --judge the worst pairs come first, ordered by the cosine
to the source minus the cosine to the target.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from groups import GROUPS, draw, held_out
from people import KINDS, PEOPLE, around_face, photo_of

from reliableswap import ReliableSwapError, ReliableSwapPipeline
from reliableswap.data.photos import list_photos
from reliableswap.evaluation.judges.base import Judge
from reliableswap.evaluation.judges.selection import open_judge
from reliableswap.geometry import regions
from reliableswap.imaging import colour
from reliableswap.media import Picture, read_picture


@dataclass(frozen=True)
class Pair:
    """A source, a target, and the group that the pair stands for, if any."""

    source: Path
    target: Path
    group: str = ""


@dataclass(frozen=True, eq=False)
class Cell:
    """A picture (H,W,3) of one swap; margin: identity cosine to the source minus that to the target."""

    picture: np.ndarray
    pair: Pair
    margin: float


def openpeople_pairs() -> list[Pair]:
    """Put each of the ten people onto the next one, portraits and selfies in turn."""
    pairs = []
    for i, person in enumerate(PEOPLE):
        target = PEOPLE[(i + 1) % len(PEOPLE)]
        source, onto = photo_of(person, KINDS[i % 2]), photo_of(target, KINDS[(i + i // 2) % 2])
        pairs.append(Pair(source, onto, f"{person} > {target}"))
    return pairs


def random_pairs(folder: Path, count: int, seed: int) -> list[Pair]:
    """Draw pairs of two different photos below the folder."""
    photos = [photo.path for photo in list_photos(folder)]
    rng = np.random.default_rng(seed)
    chosen = [rng.choice(len(photos), 2, replace=False) for _ in range(count)]
    return [Pair(photos[a], photos[b]) for a, b in chosen]


def group_pairs(folder: Path, labels: Path, count: int, seed: int, pipe: ReliableSwapPipeline) -> list[Pair]:
    """Draw pairs of held-out people, a few of every group of groups.py, of covered faces and of skin tones."""
    known = json.loads(labels.read_text())
    photos = held_out(folder, known)
    tones = {name: tone for name, path in photos.items() if (tone := skin_tone(pipe, path)) is not None}
    tests = _group_tests(known, tones)
    pool = draw(sorted(tones), 20 * len(tones), seed)
    chosen: list[Pair] = []
    used: set[str] = set()
    while len(chosen) < count:
        before = len(chosen)
        for group, belongs in tests.items():
            found = next((p for p in pool if used.isdisjoint(p) and belongs(*p)), None)
            if found and len(chosen) < count:
                used.update(found)
                chosen.append(Pair(photos[found[0]], photos[found[1]], group))
        if len(chosen) == before:
            raise SystemExit(
                f"{folder} has only {before} pairs of held-out people for these groups; lower --pairs"
            )
    return chosen


def _group_tests(known: dict[str, dict], tones: dict[str, float]) -> dict[str, Callable[[str, str], bool]]:
    """Group -> whether a pair of names belongs to it."""
    dark, light = np.quantile(list(tones.values()), [0.15, 0.7])

    def covered(name: str) -> bool:
        return any(known[name]["occlusion"].values())

    tests: dict[str, Callable[[str, str], bool]] = {
        name: lambda a, b, test=test: test(known[a], known[b])  # type: ignore[misc]
        for name, test in GROUPS.items()
        if name != "everybody"
    }
    return tests | {
        "source covered": lambda a, b: covered(a),
        "target covered": lambda a, b: covered(b),
        "dark skin onto light": lambda a, b: bool(tones[a] < dark and tones[b] > light),
        "light skin onto dark": lambda a, b: bool(tones[a] > light and tones[b] < dark),
    }


def skin_tone(pipe: ReliableSwapPipeline, path: Path) -> float | None:
    """The skin's median lightness in the photo (CIE L, light included); None without a face."""
    photo = read_picture(path)
    try:
        mesh = pipe.find(photo)[0].mesh
    except ReliableSwapError:
        return None
    skin = regions.skin(mesh, photo.pixels.shape[:2]) > 0
    return float(np.median(colour.to_lab(photo.pixels)[skin, 0])) if skin.any() else None


def swap_cell(
    pipe: ReliableSwapPipeline, judge: Judge | None, pair: Pair, side: int, options: dict[str, object]
) -> Cell:
    """Swap a pair and draw its cell; raise a ReliableSwapError if that fails."""
    source, target = read_picture(pair.source), read_picture(pair.target)
    source_box, target_box = pipe.find(source)[0].box, pipe.find(target)[0].box
    started = time.perf_counter()
    made = pipe(source, target, **options).pictures[0]
    seconds = time.perf_counter() - started
    shown = ((source, source_box), (target, target_box), (made, target_box))
    panels = [around_face(picture.pixels, box, side) for picture, box in shown]
    text, margin = f"{pair.source.stem} > {pair.target.stem}  {seconds:.2f} s  {pair.group}", 0.0
    if judge:
        margin = identity_margin(judge, pipe, (source, target, made))
        text = f"{margin:+.3f}  {text}"
    label = np.full((18, side * 3, 3), 255, np.uint8)
    cv2.putText(label, text, (4, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return Cell(np.concatenate([np.concatenate(panels, 1), label]), pair, margin)


def identity_margin(
    judge: Judge, pipe: ReliableSwapPipeline, pictures: tuple[Picture, Picture, Picture]
) -> float:
    """Source, target, result -> the result's cosine to the source minus that to the target; -1 without a face."""
    try:
        source, target, made = (judge.embed(one.pixels, pipe.find(one)[0]) for one in pictures)
    except ReliableSwapError:
        return -1.0
    return float(made @ source - made @ target)


def grid(pictures: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Pictures (H,W,3) -> one picture, row by row, filled up with white."""
    filled = [*pictures, *[np.full_like(pictures[0], 255)] * (-len(pictures) % columns)]
    return np.concatenate(
        [np.concatenate(filled[i : i + columns], 1) for i in range(0, len(filled), columns)]
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="picture file to write")
    parser.add_argument(
        "--faces", type=Path, action="append", default=[], help="folder to draw pairs from; may be repeated"
    )
    parser.add_argument(
        "--pairs", type=int, default=10, help="pairs from each --faces folder (default: %(default)s)"
    )
    parser.add_argument(
        "--labels", type=Path, help="JSON file of labels; draw pairs from each of its groups (see groups.py)"
    )
    parser.add_argument("--judge", help="as for reliableswap evaluate; the worst pairs come first")
    parser.add_argument("--no-people", action="store_true", help="leave out the ten openpeople")
    parser.add_argument("--pipeline", help="folder or Hub id (default: the bundled pipeline)")
    parser.add_argument("--engine", default="auto", help="auto, blend or neural (default: %(default)s)")
    parser.add_argument("--likeness", type=float, default=1.0, help="default: %(default)s")
    parser.add_argument("--shape", type=float, default=0.5, help="default: %(default)s")
    parser.add_argument("--columns", type=int, default=2, help="cells per row (default: %(default)s)")
    parser.add_argument("--side", type=int, default=220, help="pixels per face (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    arguments = parser.parse_args()
    place = arguments.pipeline
    pipe = ReliableSwapPipeline.from_pretrained(place) if place else ReliableSwapPipeline.bundled()
    pipe.set_progress_bar_config(disable=True)
    pairs = [] if arguments.no_people else openpeople_pairs()
    for folder in arguments.faces:
        if arguments.labels:
            pairs += group_pairs(folder, arguments.labels, arguments.pairs, arguments.seed, pipe)
        else:
            pairs += random_pairs(folder, arguments.pairs, arguments.seed)
    options = {"engine": arguments.engine, "likeness": arguments.likeness, "shape": arguments.shape}
    judge = open_judge(arguments.judge) if arguments.judge else None
    cells = []
    for pair in pairs:
        try:
            cells.append(swap_cell(pipe, judge, pair, arguments.side, options))
        except ReliableSwapError as error:
            print(f"{pair.source.name} > {pair.target.name}: {error}")
    if not cells:
        raise SystemExit("no pair could be swapped; see the reasons above")
    if judge:
        cells.sort(key=lambda cell: cell.margin)
        for cell in cells[:10]:
            print(f"{cell.margin:+.3f} {cell.pair.source.stem} > {cell.pair.target.stem}: {cell.pair.group}")
    picture = grid([cell.picture for cell in cells], arguments.columns)
    cv2.imwrite(str(arguments.output), picture[..., ::-1])
    print(f"{len(pairs)} pairs, wrote {arguments.output}")


if __name__ == "__main__":
    main()
