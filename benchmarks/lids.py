"""Measure how far open a swap leaves the eyes of targets with closed, lowered and open lids.

    python benchmarks/lids.py FOLDER ... [--count 30] [--mesh facemesh.onnx] [--sheet lids.png]

Of the photos in the folders whose eyes are at least `--width` pixels wide, those with the narrowest eyes are targets
with closed lids, the next are targets with lowered lids, and as many others have open lids. Each gets the face of
another photo with open lids. An opening is the gap between the lids in eye widths. The table has the medians of the
target's opening, of the result's, of the difference, and the share of the results that differ by at most a tenth of
an open eye. With --mesh the openings are read by a different network from the swap's.
"""

from __future__ import annotations

import argparse
import logging
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from people import PEOPLE, around_face, photo_of

from reliableswap import ReliableSwapPipeline
from reliableswap.data.photos import PICTURES
from reliableswap.errors import ReliableSwapError
from reliableswap.faces.analysers.base import FaceAnalyser, largest_face
from reliableswap.faces.analysers.bundled import BundledAnalyser
from reliableswap.faces.analysers.facemesh import FaceMesh, WithFaceMesh
from reliableswap.faces.face import Face, eye_distance
from reliableswap.geometry.measures import eye_openings
from reliableswap.media import read_picture
from reliableswap.swap.person import Person

MAX_CLOSED, MAX_LOWERED = 0.12, 0.22  # openings below which lids are closed and lowered
TOLERANCE = 0.1  # of an open eye
SIDE = 256  # pixels of a face on the sheet


@dataclass(frozen=True)
class Eyes:
    """A photo and how far its face's eyes are open, as a share of their width."""

    path: Path
    opening: float


def eyes_of(folders: list[Path], analyser: FaceAnalyser, width: float) -> list[Eyes]:
    """The photos whose largest face has eyes at least `width` pixels wide, narrowest opening first."""
    found = []
    paths = sorted(one for folder in folders for one in folder.rglob("*"))
    for path in (one for one in paths if one.suffix.lower() in PICTURES):
        face = largest_face(analyser, read_picture(path).pixels)
        # The outer corners of the eyes are about three eye widths apart.
        if face is None or eye_distance(face.mesh) < 3 * width:
            continue
        found.append(Eyes(path, opening(face)))
    return sorted(found, key=lambda eyes: eyes.opening)


def opening(face: Face) -> float:
    return float(eye_openings(face.mesh).mean())


def groups(eyes: list[Eyes], count: int) -> dict[str, list[Eyes]]:
    """At most `count` photos of each kind; those with open lids are spread evenly."""
    closed, lowered, wide = (
        [one for one in eyes if low <= one.opening < high]
        for low, high in ((0, MAX_CLOSED), (MAX_CLOSED, MAX_LOWERED), (MAX_LOWERED, np.inf))
    )
    return {
        "closed": closed[:count],
        "lowered": lowered[:count],
        "open": wide[:: max(1, len(wide) // count)][:count],
    }


def measure(
    pipe: ReliableSwapPipeline,
    targets: list[Eyes],
    sources: list[Person],
    engine: str,
    analyser: FaceAnalyser,
) -> tuple[list[tuple[float, float]], list[np.ndarray]]:
    """(target's opening, result's opening) of each target that is swapped, and pictures of target and result."""
    pairs, pictures = [], []
    for n, target in enumerate(targets):
        photo = read_picture(target.path).pixels
        try:
            swapped = pipe(sources[n % len(sources)], target.path, engine=engine).pictures[0].pixels
        except ReliableSwapError as error:
            logging.warning("%s: %s", target.path.name, error)
            continue
        face = largest_face(analyser, swapped)
        if face is not None:
            pairs.append((target.opening, opening(face)))
            pictures.append(np.hstack([around_face(one, face.box, SIDE) for one in (photo, swapped)]))
    return pairs, pictures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="folder of photos of faces")
    parser.add_argument("--count", type=int, default=30, help="targets per kind (default: %(default)s)")
    parser.add_argument(
        "--width", type=float, default=24, help="smallest eye width in pixels (default: %(default)s)"
    )
    parser.add_argument(
        "--engines", nargs="+", default=["neural", "blend"], help="engines to measure (default: neural blend)"
    )
    parser.add_argument("--mesh", type=Path, help="FaceMesh as an ONNX file (default: the bundled mesh)")
    parser.add_argument(
        "--sheet", type=Path, help="write targets and the first engine's results to this picture"
    )
    arguments = parser.parse_args()
    analyser: FaceAnalyser = BundledAnalyser()
    if arguments.mesh:
        analyser = WithFaceMesh(analyser, FaceMesh(arguments.mesh))
    kinds = groups(eyes_of(arguments.folders, analyser, arguments.width), arguments.count)
    usual = float(np.median([one.opening for one in kinds["open"]]))
    pipe, rows = ReliableSwapPipeline.bundled(), []
    sources = [pipe.prepare(photo_of(name)) for name in PEOPLE]
    print("| engine | lids | targets | target | result | difference | within a tenth |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for engine in arguments.engines:
        for kind, targets in kinds.items():
            pairs, pictures = measure(pipe, targets, sources, engine, analyser)
            if engine == arguments.engines[0]:
                rows += pictures
            if not pairs:
                print(f"| {engine} | {kind} | 0 | | | | |")
                continue
            before, after = np.array(pairs).T
            near = float((np.abs(after - before) <= TOLERANCE * usual).mean())
            medians = " | ".join(f"{np.median(x):.3f}" for x in (before, after, np.abs(after - before)))
            print(f"| {engine} | {kind} | {len(pairs)} | {medians} | {100 * near:.0f} % |")
    if arguments.sheet and rows:
        columns = 6
        rows += [np.zeros_like(rows[0])] * (-len(rows) % columns)
        lines = [np.hstack(rows[n : n + columns]) for n in range(0, len(rows), columns)]
        cv2.imwrite(str(arguments.sheet), cv2.cvtColor(np.vstack(lines), cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main()
