"""Measure swaps into and from drawings, paintings and stone: whose face it is, and whether the target's domain is kept.

    python benchmarks/cross_domain.py [--sheet styles.png] [--engine neural] [--json cross_domain.json]

The people are openpeople's ten, who do not exist; styles.py renders their photos. In `target` rows the target is
rendered, in `source` rows the source. top1 is the share of results whose nearest of all ten people's other photos, by
dlib's network, is the source's; rendered_top1 is the share of rendered pictures whose nearest is their own person's.
The target's domain: colour is the difference of the face's mean chroma from the target's, in units of Lab; fine and
coarse are the ratios of the face's detail to the target's, by octave, 1 if alike.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from people import KINDS, PEOPLE, around_face, photo_of
from PIL import Image
from styles import STYLES

from reliableswap import ReliableSwapPipeline
from reliableswap.errors import ReliableSwapError
from reliableswap.evaluation.judges.dlib import DlibJudge
from reliableswap.geometry import regions

_CELL = 192  # px


def read(person: str, kind: str, side: int) -> np.ndarray:
    """(H,W,3) a photo, its longer side reduced to `side`."""
    image = Image.open(photo_of(person, kind)).convert("RGB")
    image.thumbnail((side, side))
    return np.asarray(image)


def domain(result: np.ndarray, target: np.ndarray, mesh: np.ndarray) -> dict[str, float]:
    """How far the result's face is from the target's domain; mesh (468,3): of the target's face."""
    face = regions.eroded(regions.oval(mesh, target.shape[:2]), 0.05 * regions.face_width(mesh)) > 0
    labs = [cv2.cvtColor(one, cv2.COLOR_RGB2LAB).astype(np.float32) for one in (result, target)]
    chroma = [np.hypot(lab[..., 1] - 128, lab[..., 2] - 128)[face].mean() for lab in labs]
    ratios = {}
    for name, sigma in (("fine", 0.7), ("coarse", 2.8)):
        mine, theirs = (octave(lab[..., 0], sigma)[face].std() for lab in labs)
        ratios[name] = float(mine / max(theirs, 1e-6))
    return {"colour": float(abs(chroma[0] - chroma[1])), **ratios}


def octave(plane: np.ndarray, sigma: float) -> np.ndarray:
    """(H,W) the detail between two blurs."""
    return cv2.GaussianBlur(plane, (0, 0), sigma) - cv2.GaussianBlur(plane, (0, 0), 2 * sigma)


class Gallery:
    """The judge's vectors of every person's selfie."""

    def __init__(self, pipe: ReliableSwapPipeline, side: int) -> None:
        self.pipe, self.judge = pipe, DlibJudge()
        self.vectors = np.stack([self.vector(read(one, KINDS[1], side)) for one in PEOPLE])

    def vector(self, picture: np.ndarray) -> np.ndarray:
        return self.judge.embed(picture, self.pipe.find(picture)[0])

    def nearest(self, picture: np.ndarray) -> str:
        """Return the nearest person, or "" if no face is found."""
        try:
            return PEOPLE[int((self.vectors @ self.vector(picture)).argmax())]
        except (IndexError, ReliableSwapError):
            return ""


def measure(
    pipe: ReliableSwapPipeline, engine: str, side: int, per_style: int, show: Callable[[str], None]
) -> tuple[dict[str, dict[str, float]], list[np.ndarray]]:
    """Figures by role and style, and a row of pictures for each."""
    gallery = Gallery(pipe, side)
    table, rows = {}, []
    for role in ("target", "source"):
        for style, render in STYLES.items():
            found: dict[str, list[float]] = defaultdict(list)
            pictures: list[np.ndarray] = []
            for n in range(per_style):
                source_person, target_person = PEOPLE[n % 10], PEOPLE[(n + 1 + n // 10) % 10]
                source, target = read(source_person, KINDS[0], side), read(target_person, KINDS[0], side)
                if role == "target":
                    target = render(target)
                else:
                    source = render(source)
                faces = pipe.find(target)
                try:
                    result = pipe(source, target, engine=engine).pictures[0].pixels  # type: ignore[arg-type]
                except ReliableSwapError as error:
                    show(f"{role} {style} {source_person} -> {target_person}: {error}")
                    found["swapped"].append(0.0)
                    continue
                found["swapped"].append(1.0)
                found["top1"].append(float(gallery.nearest(result) == source_person))
                found["rendered_top1"].append(
                    float(
                        gallery.nearest(target) == target_person
                        if role == "target"
                        else gallery.nearest(source) == source_person
                    )
                )
                for name, value in domain(result, target, faces[0].mesh).items():
                    found[name].append(value)
                if n < 3:
                    pictures += [around_face(one, faces[0].box, _CELL) for one in (target, result)]
                    pictures.insert(-2, around_face(source, pipe.find(source)[0].box, _CELL))
            table[f"{role} {style}"] = {name: float(np.mean(values)) for name, values in found.items()}
            rows.append(
                np.concatenate(pictures, 1) if pictures else np.zeros((_CELL, 9 * _CELL, 3), np.uint8)
            )
            show(f"{role} {style}: " + ", ".join(f"{k} {v:.3f}" for k, v in table[f"{role} {style}"].items()))
    return table, rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pipeline", help="a pipeline folder (default: the bundled one)")
    parser.add_argument("--engine", choices=("auto", "blend", "neural"), default="auto")
    parser.add_argument("--side", type=int, default=512, help="longer side of the photos (default: 512)")
    parser.add_argument("--pairs", type=int, default=20, help="swaps for each style and role (default: 20)")
    parser.add_argument(
        "--sheet", type=Path, help="write a picture of source, target and result of each style to this file"
    )
    parser.add_argument("--json", type=Path, help="write the figures to this JSON file")
    arguments = parser.parse_args()
    given = arguments.pipeline
    pipe = ReliableSwapPipeline.from_pretrained(given) if given else ReliableSwapPipeline.bundled()
    table, rows = measure(
        pipe, arguments.engine, arguments.side, arguments.pairs, lambda text: print(text, file=sys.stderr)
    )
    if arguments.sheet:
        Image.fromarray(
            np.concatenate([row[:, : 9 * _CELL] for row in rows if row.shape[1] >= 9 * _CELL])
        ).save(arguments.sheet)
    if arguments.json:
        arguments.json.write_text(json.dumps(table, indent=1) + "\n")
    names = ["swapped", "top1", "rendered_top1", "colour", "fine", "coarse"]
    print("| role and style | " + " | ".join(names) + " |\n|---|" + "---:|" * len(names))
    for row, values in table.items():
        print(f"| {row} | " + " | ".join(f"{values.get(name, float('nan')):.2f}" for name in names) + " |")


if __name__ == "__main__":
    main()
