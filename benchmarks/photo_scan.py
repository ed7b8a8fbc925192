"""Measure what it costs the triplet factory to analyse a photo: milliseconds of one core, by stage.

    python benchmarks/photo_scan.py PHOTOS [--sizes 250,1024] [--photos 100] [--device openvino] [--save FIGURES.npz]

Photos are read as JPEG files whose longer side is scaled to each size, from a temporary folder. `--save` keeps every
record's measures, meshes and vectors; `--compare` prints how far this run's differ from such a file's.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np

from reliableswap.bundled import bundled
from reliableswap.data.encoders import EncoderChoice
from reliableswap.data.photos import Photo, list_photos
from reliableswap.data.records import Record
from reliableswap.faces.analysers import bundled as analysers
from reliableswap.faces.analysers.bundled import BundledAnalyser
from reliableswap.jobs.units import one_thread
from reliableswap.triplets import records
from reliableswap.triplets.records import MEASURES, FaceKind

STAGES = {  # name: where the function is looked up, and its name there
    "read": (records, "read_reduced"),
    "find": (analysers, "find_faces"),
    "quick look": (analysers, "find_large_face"),
    "mesh": (analysers, "add_meshes"),
    "crop": (records, "crop"),
    "covers": (FaceKind, "_covers"),
    "measure": (records, "measure"),
    "hash": (records, "perceptual_hash"),
    "entry": (FaceKind, "_entry"),
}


@contextmanager
def timed_stages(spent: dict[str, float]) -> Iterator[None]:
    """Add up the CPU seconds of each stage in `spent`."""

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            began = time.thread_time()
            try:
                return function(*arguments, **options)
            finally:
                spent[name] += time.thread_time() - began

        return call

    patches = [
        patch.object(where, function, timed(name, getattr(where, function)))
        for name, (where, function) in STAGES.items()
    ]
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in patches:
            one.stop()


def scaled_photos(root: Path, count: int, side: int, folder: Path) -> list[Photo]:
    """Write `count` photos, spread over the list, as JPEG files with the longer side scaled to `side` pixels."""
    listed = list_photos(root)
    photos = []
    for photo in listed[:: max(1, len(listed) // count)][:count]:
        image = cv2.imread(str(photo.path), cv2.IMREAD_COLOR)
        scale = side / max(image.shape[:2])
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        path = folder / f"{side}-{len(photos):04d}.jpg"
        cv2.imwrite(str(path), cv2.resize(image, None, fx=scale, fy=scale, interpolation=method))
        about = path.stat()
        photos.append(Photo(path.name, photo.identity, path, about.st_size, about.st_mtime_ns))
    return photos


def scan(kind: FaceKind, photos: list[Photo]) -> tuple[dict[str, float], list[Record]]:
    """Milliseconds per photo by stage, and the records. Networks are loaded and warm."""
    for photo in photos[:3]:
        kind(photo)
    spent: dict[str, float] = defaultdict(float)
    began = time.thread_time()
    with timed_stages(spent):
        made = [kind(photo) for photo in photos]
    total = time.thread_time() - began
    spent["vector and rest"] = total - sum(spent.values())
    spent["total"] = total
    return {name: 1000 * seconds / len(photos) for name, seconds in spent.items()}, made


def figures(made: list[Record]) -> dict[str, np.ndarray]:
    """What is kept of all photos, as columns; NaN where there is no face."""
    columns: dict[str, list[Any]] = defaultdict(list)
    for record in made:
        entry = record.entry
        for name in MEASURES:
            columns[name].append(record.columns[name] if entry is not None else np.nan)
        columns["light"].append(record.columns["light"] if entry is not None else np.full(3, np.nan))
        columns["mesh"].append(entry["mesh"] if entry is not None else np.full((468, 3), np.nan))
        columns["embedding"].append(
            record.columns["embedding"] if entry is not None else np.full(128, np.nan)
        )
    return {name: np.asarray(values, np.float64) for name, values in columns.items()}


def differences(now: dict[str, np.ndarray], before: dict[str, np.ndarray], size: int) -> list[str]:
    """How far two runs' records are apart, as lines of text."""
    face, other = ~np.isnan(now["score"]), ~np.isnan(before["score"])
    both = face & other
    lines = [f"faces: {face.sum()}, before {other.sum()}, in both {both.sum()}"]
    shift = np.linalg.norm((now["mesh"] - before["mesh"])[both][..., :2], axis=-1).mean(1)
    lines.append(f"mesh: {np.median(shift):.2f} px of {size} (median), maximum {shift.max():.2f}")
    cosine = (now["embedding"] * before["embedding"])[both].sum(1)
    lines.append(f"cosine of the vectors: {np.median(cosine):.4f} (median), minimum {cosine.min():.4f}")
    for name in (*MEASURES, "light"):
        gap = np.abs(now[name] - before[name])[both]
        lines.append(f"{name}: {np.median(gap):.4f} (median), maximum {gap.max():.4f}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="PHOTOS", help="folder of photos, as for `triplets`")
    parser.add_argument(
        "--sizes", default="250,1024", help="longer sides of the photos in pixels, separated by commas"
    )
    parser.add_argument("--photos", type=int, default=100, help="photos per size")
    parser.add_argument("--size", type=int, default=128, help="side of the records' crops")
    parser.add_argument("--device", default="cpu", help="device of the identity encoder: cpu or openvino")
    parser.add_argument("--save", type=Path, help="save the records to this .npz file")
    parser.add_argument("--compare", type=Path, help="file written by --save to compare with")
    arguments = parser.parse_args()
    encoder = EncoderChoice(bundled("identity"), device=arguments.device, precision="auto")
    kind = FaceKind("benchmark", arguments.size, arguments.size // 8, BundledAnalyser, encoder)
    kept: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as scratch, one_thread():
        for side in map(int, arguments.sizes.split(",")):
            photos = scaled_photos(arguments.folder, arguments.photos, side, Path(scratch))
            spent, made = scan(kind, photos)
            print(f"{side} px:", ", ".join(f"{name} {ms:.1f}" for name, ms in spent.items()), flush=True)
            found = figures(made)
            if arguments.compare:
                with np.load(arguments.compare) as before:
                    columns = {name: before[f"{side} {name}"] for name in found}
                print(*(f"  {line}" for line in differences(found, columns, arguments.size)), sep="\n")
            kept |= {f"{side} {name}": values for name, values in found.items()}
    if arguments.save:
        np.savez(arguments.save, **kept)


if __name__ == "__main__":
    main()
