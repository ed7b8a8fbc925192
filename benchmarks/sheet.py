"""A contact sheet of swaps to look at: numbers alone have hidden blank, blurred and copied faces.

    python benchmarks/sheet.py -o sheet.png                          # the ten openpeople, each onto the next
    python benchmarks/sheet.py -o sheet.png --faces FOLDER --pairs 60 # and random pairs from a folder
    python benchmarks/sheet.py -o sheet.png --no-people --faces FOLDER --labels LABELS.json --pairs 60 --judge dlib

Each cell shows source, target and result side by side, with the pair's numbers below it. With labels (see groups.py)
the pairs are of held-out people and cover the hard groups in turn; with a judge the worst come first, by how much
nearer a result is to its source's identity than to its target's.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from groups import GROUPS, draw, held_out

from reliableswap import ReliableSwapError, ReliableSwapPipeline
from reliableswap.evaluation.judges.identity import Judge, open_judge
from reliableswap.geometry import regions
from reliableswap.imaging import colour
from reliableswap.media import Picture, read_picture

PICTURES = {".jpg", ".jpeg", ".png", ".webp"}


@dataclass(frozen=True)
class Pair:
    source: Path
    target: Path
    why: str = ""  # the group that it stands for


def people_folder() -> Path:
    """Where the package openpeople has its ten people: PERSON/assets/KIND.jpg."""
    import openpeople

    return Path(openpeople.__file__).parent / "data" / "curated"


def people() -> list[Pair]:
    """Each of the ten people onto the next one, portraits and selfies in turn."""
    folder = people_folder()
    names = ["studio_portrait.jpg", "amateur_selfie.jpg"]
    persons = sorted(p for p in folder.iterdir() if p.name.startswith("P"))
    pairs = []
    for i, person in enumerate(persons):
        target = persons[(i + 1) % len(persons)]
        source, onto = names[i % 2], names[(i + i // 2) % 2]
        pairs.append(
            Pair(person / "assets" / source, target / "assets" / onto, f"{person.name} > {target.name}")
        )
    return pairs


def random_pairs(folder: Path, count: int, seed: int) -> list[Pair]:
    photos = sorted(p for p in folder.rglob("*") if p.suffix.lower() in PICTURES)
    rng = np.random.default_rng(seed)
    chosen = [rng.choice(len(photos), 2, replace=False) for _ in range(count)]
    return [Pair(photos[a], photos[b]) for a, b in chosen]


def group_pairs(folder: Path, labels: Path, count: int, seed: int, pipe: ReliableSwapPipeline) -> list[Pair]:
    """Pairs of held-out people, a few of every group: sex, age, glasses, beard, hat, covered, pose, and skin."""
    known = json.loads(labels.read_text())
    photos = held_out(folder, known)
    tones = {name: tone for name, path in photos.items() if (tone := skin_tone(pipe, path)) is not None}
    dark, light = np.quantile(list(tones.values()), [0.15, 0.7])

    def covered(name: str) -> bool:
        return any(known[name]["occlusion"].values())

    tests: dict[str, Callable[[str, str], bool]] = {
        **{
            name: lambda a, b, test=test: test(known[a], known[b])
            for name, test in GROUPS.items()
            if name != "everybody"
        },
        "source covered": lambda a, b: covered(a),
        "target covered": lambda a, b: covered(b),
        "dark skin onto light": lambda a, b: tones[a] < dark and tones[b] > light,
        "light skin onto dark": lambda a, b: tones[a] > light and tones[b] < dark,
    }
    pool = draw(sorted(tones), 20 * len(tones), seed)
    chosen: list[Pair] = []
    used: set[str] = set()
    while len(chosen) < count:
        before = len(chosen)
        for why, test in tests.items():
            found = next((p for p in pool if used.isdisjoint(p) and test(*p)), None)
            if found and len(chosen) < count:
                used.update(found)
                chosen.append(Pair(photos[found[0]], photos[found[1]], why))
        if len(chosen) == before:
            raise SystemExit(
                f"{folder} holds {before} such pairs of held-out people; ask for fewer with --pairs"
            )
    return chosen


def skin_tone(pipe: ReliableSwapPipeline, path: Path) -> float | None:
    """How light the skin is in the photo (CIE L), lamp and all; None without a face."""
    photo = read_picture(path)
    try:
        mesh = pipe.find(photo)[0].mesh
    except ReliableSwapError:
        return None
    skin = regions.skin(mesh, photo.pixels.shape[:2]) > 0
    return float(np.median(colour.to_lab(photo.pixels)[skin, 0])) if skin.any() else None


def around_face(pixels: np.ndarray, box: np.ndarray, side: int) -> np.ndarray:
    """(side,side,3) the square around a face."""
    centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]).max() * 0.85
    scale = side / (2 * half)
    if scale < 0.5:  # averaged first: a large photo seen at a tenth of its size would be full of jags
        pixels = cv2.resize(pixels, None, fx=2 * scale, fy=2 * scale, interpolation=cv2.INTER_AREA)
        centre, scale = centre * 2 * scale, 0.5
    matrix = np.array([[scale, 0, side / 2 - scale * centre[0]], [0, scale, side / 2 - scale * centre[1]]])
    return cv2.warpAffine(
        pixels, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


@dataclass(frozen=True, eq=False)
class Cell:
    picture: np.ndarray
    pair: Pair
    nearer: float  # identity cosine to the source less that to the target


def cells(
    pipe: ReliableSwapPipeline, judge: Judge | None, pairs: list[Pair], side: int, options: dict[str, object]
) -> Iterator[Cell]:
    for pair in pairs:
        try:
            given, wanted = read_picture(pair.source), read_picture(pair.target)
            faces = pipe.find(given)[0], pipe.find(wanted)[0]
            started = time.perf_counter()
            result = pipe(given, wanted, **options)
            seconds = time.perf_counter() - started
        except ReliableSwapError as error:
            print(f"{pair.source.name} > {pair.target.name}: {error}")
            continue
        made = result.pictures[0]
        panels = [
            around_face(given.pixels, faces[0].box, side),
            around_face(wanted.pixels, faces[1].box, side),
            around_face(made.pixels, faces[1].box, side),
        ]
        text, nearer = f"{pair.source.stem} > {pair.target.stem}  {seconds:.2f} s  {pair.why}", 0.0
        if judge:
            nearer = margin(judge, pipe, (given, wanted, made))
            text = f"{nearer:+.3f}  {text}"
        label = np.full((18, side * 3, 3), 255, np.uint8)
        cv2.putText(label, text, (4, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
        yield Cell(np.concatenate([np.concatenate(panels, 1), label]), pair, nearer)


def margin(judge: Judge, pipe: ReliableSwapPipeline, pictures: tuple[Picture, Picture, Picture]) -> float:
    """How much nearer the third picture's face is to the first's than to the second's; -1 where it has none."""
    try:
        source, target, made = (judge.embed(one.pixels, pipe.find(one)[0]) for one in pictures)
    except ReliableSwapError:
        return -1.0
    return float(made @ source - made @ target)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument(
        "--faces", type=Path, action="append", default=[], help="a folder to draw random pairs from"
    )
    parser.add_argument("--pairs", type=int, default=10, help="pairs from each --faces folder")
    parser.add_argument("--labels", type=Path, help="cover the groups of these labels (see groups.py)")
    parser.add_argument("--judge", help="an identity encoder, as for evaluations; the worst pairs come first")
    parser.add_argument("--no-people", action="store_true", help="leave the ten openpeople out")
    parser.add_argument("--pipeline", help="another pipeline than the bundled one")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--likeness", type=float, default=1.0)
    parser.add_argument("--shape", type=float, default=0.5)
    parser.add_argument("--columns", type=int, default=2)
    parser.add_argument("--side", type=int, default=220)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    pipe = (
        ReliableSwapPipeline.from_pretrained(arguments.pipeline)
        if arguments.pipeline
        else ReliableSwapPipeline.bundled()
    )
    pairs = [] if arguments.no_people else people()
    for folder in arguments.faces:
        if arguments.labels:
            pairs += group_pairs(folder, arguments.labels, arguments.pairs, arguments.seed, pipe)
        else:
            pairs += random_pairs(folder, arguments.pairs, arguments.seed)
    options = {"engine": arguments.engine, "likeness": arguments.likeness, "shape": arguments.shape}
    judge = open_judge(arguments.judge) if arguments.judge else None
    made = list(cells(pipe, judge, pairs, arguments.side, options))
    if judge:
        made.sort(key=lambda cell: cell.nearer)
        for cell in made[:10]:
            print(f"{cell.nearer:+.3f} {cell.pair.source.stem} > {cell.pair.target.stem}: {cell.pair.why}")
    done = [cell.picture for cell in made]
    done += [np.full_like(done[0], 255)] * (-len(done) % arguments.columns)
    rows = [
        np.concatenate(done[i : i + arguments.columns], 1) for i in range(0, len(done), arguments.columns)
    ]
    cv2.imwrite(str(arguments.output), np.concatenate(rows)[..., ::-1])
    print(f"{len(pairs)} pairs, wrote {arguments.output}")


if __name__ == "__main__":
    main()
