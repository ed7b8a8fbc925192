"""Measure how many swaps per second the blend engine makes on one core, and the share of each step.

    python benchmarks/blend_speed.py [--sizes 128 256 512 1024] [--seconds 3]

The pictures are portraits of the package `openpeople` with the meshes of tests/data, cropped so that the face fills
about two thirds, as in an aligned training crop; target and source have the same size. Times are CPU times of one
thread, so other programs on the machine hardly disturb them.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import time
from itertools import permutations
from pathlib import Path

import cv2
import numpy as np
from people import photo_of

from reliableswap.faces.glasses import bundled_glasses
from reliableswap.faces.visibility import find_covers
from reliableswap.swap.blend import blend_face
from reliableswap.swap.engines import steps_of
from reliableswap.swap.networks import Networks

ROOT = Path(__file__).resolve().parent.parent


def crops(size: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """A square crop (size,size,3) around each face of tests/data/meshes.json, and its mesh (468,3) in the crop."""
    meshes = json.loads((ROOT / "tests/data/meshes.json").read_text("utf-8"))
    found = []
    for name, points in meshes.items():
        if name == "about":
            continue
        person, photo = name.split("_", 1)
        picture = cv2.imread(str(photo_of(person, photo)))[..., ::-1]
        mesh = np.array(points, np.float32)
        middle = (mesh[:, :2].min(0) + mesh[:, :2].max(0)) / 2
        half = 0.75 * np.ptp(mesh[:, :2], axis=0).max()
        x0, y0 = np.maximum(np.floor(middle - half), 0).astype(int)
        piece = picture[y0 : int(middle[1] + half), x0 : int(middle[0] + half)]
        scale = size / max(piece.shape[:2])
        piece = cv2.resize(np.ascontiguousarray(piece), (size, size), interpolation=cv2.INTER_AREA)
        shift = np.array([x0 - 0.5, y0 - 0.5, 0], np.float32)
        found.append((piece, ((mesh - shift) * scale - (0.5, 0.5, 0)).astype(np.float32)))
    return found


def measure(size: int, seconds: float, prepared: bool) -> float:
    """Milliseconds per swap; prepared: what covers the faces is found once per photo instead of once per swap."""
    faces, glasses = crops(size), bundled_glasses()
    covers = [(find_covers(*face, glasses, strict=True), find_covers(*face, glasses)) for face in faces]
    pairs = list(permutations(range(len(faces)), 2))
    spent: list[float] = []
    while sum(spent) < seconds * 1000:
        for a, b in pairs:
            start = time.process_time()
            known = (covers[b][0], covers[a][1]) if prepared else (None, None)
            blend_face(*faces[a], *faces[b], source_covers=known[0], target_covers=known[1], glasses=glasses)
            spent.append((time.process_time() - start) * 1000)
    return float(np.mean(spent))


def shares(size: int) -> dict[str, float]:
    """Step -> share of the time, by the profiler's cumulative times. Finding covers counts towards the step that first
    needs them."""
    faces = crops(size)
    profile = cProfile.Profile()
    profile.enable()
    for a, b in permutations(range(len(faces)), 2):
        blend_face(*faces[a], *faces[b], glasses=bundled_glasses())
    profile.disable()
    times = {
        f"{Path(file).as_posix()}:{function}": cumulative
        for (file, _, function), (_, _, _, cumulative, _) in pstats.Stats(profile).stats.items()  # type: ignore[attr-defined]
    }

    def time_of(place: str) -> float:
        return sum(seconds for name, seconds in times.items() if name.endswith(f"/{place}"))

    total = time_of("swap/blend.py:blend_face")
    steps = [step.__name__ for step in steps_of("blend", Networks())]
    found = {name: time_of(f"swap/steps/{name}.py:{name}") / total for name in steps}
    return {**found, "rest": 1 - sum(found.values())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256, 512, 1024], help="pixels per side")
    parser.add_argument(
        "--seconds", type=float, default=3.0, help="CPU seconds to measure each size (default: %(default)s)"
    )
    args = parser.parse_args()
    cv2.setNumThreads(1)
    print("size   ms/swap     swaps/s   covers known: ms   swaps/s   shares of the time")
    for size in args.sizes:
        measure(size, 0.1, False)
        plain, prepared = measure(size, args.seconds, False), measure(size, args.seconds, True)
        parts = "  ".join(f"{name} {share:.0%}" for name, share in shares(size).items())
        print(
            f"{size:4}   {plain:9.1f}   {1000 / plain:7.0f}   {prepared:16.1f}   {1000 / prepared:7.0f}   {parts}"
        )


if __name__ == "__main__":
    main()
