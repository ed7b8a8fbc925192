"""A contact sheet of swaps to look at: numbers alone have hidden blank, blurred and copied faces.

    python benchmarks/sheet.py -o sheet.png                          # the ten openpeople, each onto the next
    python benchmarks/sheet.py -o sheet.png --faces FOLDER --pairs 60 # and random pairs from a folder

Each cell shows source, target and result side by side, with the pair's numbers below it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from reliableswap import ReliableSwapError, ReliableSwapPipeline
from reliableswap.media import read_picture

PICTURES = {".jpg", ".jpeg", ".png", ".webp"}


def people() -> list[tuple[Path, Path]]:
    """Each of the ten people onto the next one, portraits and selfies in turn."""
    import openpeople

    folder = Path(openpeople.__file__).parent / "data" / "curated"
    names = ["studio_portrait.jpg", "amateur_selfie.jpg"]
    persons = sorted(p for p in folder.iterdir() if p.name.startswith("P"))
    pairs = []
    for i, person in enumerate(persons):
        target = persons[(i + 1) % len(persons)]
        pairs.append((person / "assets" / names[i % 2], target / "assets" / names[(i + i // 2) % 2]))
    return pairs


def random_pairs(folder: Path, count: int, seed: int) -> list[tuple[Path, Path]]:
    photos = sorted(p for p in folder.rglob("*") if p.suffix.lower() in PICTURES)
    rng = np.random.default_rng(seed)
    chosen = [rng.choice(len(photos), 2, replace=False) for _ in range(count)]
    return [(photos[a], photos[b]) for a, b in chosen]


def around_face(pixels: np.ndarray, box: np.ndarray, side: int) -> np.ndarray:
    """(side,side,3) the square around a face."""
    centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]).max() * 0.85
    scale = side / (2 * half)
    matrix = np.array([[scale, 0, side / 2 - scale * centre[0]], [0, scale, side / 2 - scale * centre[1]]])
    return cv2.warpAffine(pixels, matrix, (side, side), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)


def cells(
    pipe: ReliableSwapPipeline, pairs: list[tuple[Path, Path]], side: int, options: dict[str, object]
) -> Iterator[np.ndarray]:
    for number, (source, target) in enumerate(pairs):
        try:
            given, wanted = read_picture(source), read_picture(target)
            faces = pipe.find(given)[0], pipe.find(wanted)[0]
            started = time.perf_counter()
            result = pipe(given, wanted, **options)
            seconds = time.perf_counter() - started
        except ReliableSwapError as error:
            print(f"{number}: {error}")
            continue
        panels = [
            around_face(given.pixels, faces[0].box, side),
            around_face(wanted.pixels, faces[1].box, side),
            around_face(result.pictures[0].pixels, faces[1].box, side),
        ]
        label = np.full((18, side * 3, 3), 255, np.uint8)
        text = f"{number}: {source.stem} > {target.parent.parent.name} {target.stem}  {seconds:.2f} s"
        cv2.putText(label, text, (4, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
        yield np.concatenate([np.concatenate(panels, 1), label])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument(
        "--faces", type=Path, action="append", default=[], help="a folder to draw random pairs from"
    )
    parser.add_argument("--pairs", type=int, default=10, help="pairs from each --faces folder")
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
        pairs += random_pairs(folder, arguments.pairs, arguments.seed)
    options = {"engine": arguments.engine, "likeness": arguments.likeness, "shape": arguments.shape}
    done = list(cells(pipe, pairs, arguments.side, options))
    blank = np.full_like(done[0], 255)
    done += [blank] * (-len(done) % arguments.columns)
    rows = [
        np.concatenate(done[i : i + arguments.columns], 1) for i in range(0, len(done), arguments.columns)
    ]
    cv2.imwrite(str(arguments.output), np.concatenate(rows)[..., ::-1])
    print(f"{len(pairs)} pairs, wrote {arguments.output}")


if __name__ == "__main__":
    main()
