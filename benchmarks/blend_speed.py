"""Swaps a second of the blend engine on one core, and what share of the time each step takes.

    python benchmarks/blend_speed.py [--sizes 128 256 512 1024] [--seconds 3]

Pictures are portraits of the package `openpeople` with the meshes of tests/data, cropped so that the face's mesh fills
about two thirds of the crop, as in an aligned training crop; target and source have the same size. Time is processor
time of one thread, so other programs on the machine disturb it little.
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
import openpeople

from reliableswap.faces.glasses import bundled_glasses
from reliableswap.faces.visibility import find_covers
from reliableswap.swap.blend import blend_face

ROOT = Path(__file__).resolve().parent.parent
STEPS = {
    "reshape": ("shaped_mesh", "displacement", "reshape"),
    "covers": ("find_covers",),
    "warp": ("rasterise", "reenact"),
    "colour": ("match", "match_light", "to_lab", "to_rgb", "match_detail"),
    "bands": ("blend_bands",),
}


def crops(size: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Square crops (size,size,3) around each face of tests/data/meshes.json, and its mesh there."""
    meshes = json.loads((ROOT / "tests/data/meshes.json").read_text("utf-8"))
    found = []
    for name, points in meshes.items():
        if name == "about":
            continue
        person, photo = name.split("_", 1)
        path = Path(openpeople.__file__).parent / "data" / "curated" / person / "assets" / f"{photo}.jpg"
        picture, mesh = cv2.imread(str(path))[..., ::-1], np.array(points, np.float32)
        middle = (mesh[:, :2].min(0) + mesh[:, :2].max(0)) / 2
        half = 0.75 * np.ptp(mesh[:, :2], axis=0).max()
        x0, y0 = np.maximum(np.floor(middle - half), 0).astype(int)
        piece = picture[y0 : int(middle[1] + half), x0 : int(middle[0] + half)]
        k = size / max(piece.shape[:2])
        piece = cv2.resize(np.ascontiguousarray(piece), (size, size), interpolation=cv2.INTER_AREA)
        shift = np.array([x0 - 0.5, y0 - 0.5, 0], np.float32)
        found.append((piece, ((mesh - shift) * k - (0.5, 0.5, 0)).astype(np.float32)))
    return found


def measure(size: int, seconds: float, prepared: bool) -> float:
    """Milliseconds of one swap; `prepared` if what covers the two faces is looked for once a photo, not once a swap."""
    faces = crops(size)
    covers = [
        (find_covers(*face, bundled_glasses(), strict=True), find_covers(*face, bundled_glasses()))
        for face in faces
    ]
    pairs = list(permutations(range(len(faces)), 2))
    spent: list[float] = []
    while sum(spent) < seconds * 1000:
        for a, b in pairs:
            start = time.process_time()
            known = (covers[b][0], covers[a][1]) if prepared else (None, None)
            blend_face(*faces[a], *faces[b], source_covers=known[0], target_covers=known[1])
            spent.append((time.process_time() - start) * 1000)
    return float(np.mean(spent))


def shares(size: int) -> dict[str, float]:
    """What share of the time each step takes, by the profiler's cumulative times."""
    faces = crops(size)
    profile = cProfile.Profile()
    profile.enable()
    for a, b in permutations(range(len(faces)), 2):
        blend_face(*faces[a], *faces[b])
    profile.disable()
    stats = pstats.Stats(profile).get_stats_profile()
    total = stats.func_profiles["blend_face"].cumtime
    found = {
        step: sum(stats.func_profiles[name].cumtime for name in names if name in stats.func_profiles) / total
        for step, names in STEPS.items()
    }
    return {**found, "rest": 1 - sum(found.values())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256, 512, 1024])
    parser.add_argument("--seconds", type=float, default=3.0)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    print("size   ms a swap   swaps/s   covers known: ms   swaps/s   shares of the time")
    for size in args.sizes:
        measure(size, 0.1, False)
        plain, prepared = measure(size, args.seconds, False), measure(size, args.seconds, True)
        parts = "  ".join(f"{name} {share:.0%}" for name, share in shares(size).items())
        print(
            f"{size:4}   {plain:9.1f}   {1000 / plain:7.0f}   {prepared:16.1f}   {1000 / prepared:7.0f}   {parts}"
        )


if __name__ == "__main__":
    main()
