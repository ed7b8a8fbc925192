"""Measure how well probes detect a face that was only resampled: what warping a face costs, whoever it shows.

    python benchmarks/resampling.py PHOTOS --pairs 40

PHOTOS: as for `reliableswap evaluate --protocol identity-folders`. The figures are those of "told from photos"
(docs/evaluation.md), Lite1 and Lite2: all patches of a picture together, and single ones.
"""

from __future__ import annotations

import argparse
import logging
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from reliableswap.evaluation import run
from reliableswap.evaluation.measure import evaluate
from reliableswap.evaluation.methods import Result
from reliableswap.evaluation.natural.natural import Natural
from reliableswap.evaluation.natural.views import Viewer
from reliableswap.evaluation.protocols.pairs import make_pairs, photos_of_others
from reliableswap.evaluation.protocols.shots import Pair, Shot
from reliableswap.evaluation.settings import EvaluationSettings
from reliableswap.faces.analysers.base import FaceAnalyser
from reliableswap.geometry import regions

AMPLITUDE = 2.0  # pixels by which a warp moves a face, about
GRID = 6  # cells per side of the warp
METHODS = {"bilinear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC, "Lanczos": cv2.INTER_LANCZOS4}


@dataclass(frozen=True, eq=False)
class Warped:
    """A method whose result is the target, with its face warped smoothly `times` times and blended in softly."""

    analyser: FaceAnalyser
    method: str
    times: int
    control: bool = True

    @property
    def name(self) -> str:
        return f"{self.method}, {self.times} times"

    def result(self, pair: Pair, target: Shot) -> Result:
        photo = target.read()
        mesh = max(self.analyser(photo), key=lambda face: regions.face_width(face.mesh)).mesh
        rng = np.random.default_rng(zlib.crc32(pair.name.encode()))
        made = photo.astype(np.float32)
        for _ in range(self.times):
            made = cv2.remap(made, sampling_grid(photo.shape[:2], rng), None, METHODS[self.method])
        width = regions.face_width(mesh)
        inside = regions.eroded(regions.oval(mesh, photo.shape[:2]), 0.03 * width)
        soft = regions.feathered(inside, 0.02 * width)[..., None]
        return Result(np.clip(np.rint(photo + soft * (made - photo)), 0, 255).astype(np.uint8))


def sampling_grid(shape_hw: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """(H,W,2) the positions that a smooth random warp reads."""
    coarse = rng.normal(0, AMPLITUDE, (GRID, GRID, 2)).astype(np.float32)
    moved = cv2.resize(coarse, shape_hw[::-1], interpolation=cv2.INTER_CUBIC)
    return moved + np.dstack(np.meshgrid(*(np.arange(n, dtype=np.float32) for n in shape_hw[::-1])))


def main(argv: list[str] | None = None, show: Callable[[str], None] = print) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path)
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.WARNING)
    settings = EvaluationSettings(
        protocol="identity-folders",
        faces=args.photos,
        controls=True,
        pairs=args.pairs,
        seed=args.seed,
        judge="dlib",
        features="none",
        natural=True,
    )
    examiner = run.open_examiner(settings)
    pairs = make_pairs("identity-folders", args.photos, args.pairs, args.seed)
    others = photos_of_others("identity-folders", args.photos, pairs, args.seed)
    methods = [run.UnchangedTarget()]
    methods += [Warped(examiner.analyser, name, times) for name in METHODS for times in (1, 3)]
    found = evaluate(methods, pairs, examiner, args.seed, natural=Natural(Viewer(), others))
    show("| the face was resampled | a picture's patches | a single patch |")
    show("|---|---:|---:|")
    for one in found.methods:
        together, single = (
            " / ".join(f"{one.estimates[f'told_{kind}_{net}'].value:.3f}" for net in Viewer.NETWORKS)
            for kind in ("patches", "patch")
        )
        show(f"| {one.name} | {together} | {single} |")


if __name__ == "__main__":
    main()
