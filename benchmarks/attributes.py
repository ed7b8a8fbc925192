"""Measure whether an attribute comes from the side that is chosen for it, and how much else changes.

    python benchmarks/attributes.py PHOTOS [--pairs 60] [--json attributes.json]

For each attribute, pairs of held-out people are drawn who differ in it according to a probe. Each pair is swapped
plainly, and with the attribute from the side that a plain swap does not use: the source's glasses, the target's beard,
brows, lips, skin or shape. *Right* is the share of these results that the probe finds nearer to the chosen side's
photo, *plain* the same share of the plain swaps. The probes:

beard       the probability of a beard (faces/beards.py): one side has one, the other none
glasses     the probability of glasses (faces/looks.py): one side wears some, the other none
shape       widths of cheeks, jaw and chin, and the length, by the mesh without pose
brows, lips how much darker, redder and yellower they are than the cheeks
skin        its contrast in two octaves

*Others* is the median change of the rest of the face, as a share of the change of the part itself.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from reliableswap import ReliableSwapPipeline
from reliableswap.data.photos import list_photos
from reliableswap.data.splits import holds_out
from reliableswap.errors import ReliableSwapError
from reliableswap.evaluation.metrics.intervals import bootstrap
from reliableswap.faces.analysers.base import largest_face
from reliableswap.faces.face import Face
from reliableswap.faces.visibility import scores
from reliableswap.geometry import regions
from reliableswap.geometry.measures import frontal
from reliableswap.media import read_picture
from reliableswap.swap.subject import Subject

CONSENT = "A measurement on research photos; nothing is kept."
Part = Callable[[np.ndarray, tuple[int, int]], np.ndarray]


@dataclass(frozen=True, eq=False)
class AnalysedPhoto:
    """A picture (H,W,3) uint8, its largest face, and what the networks say of it."""

    pixels: np.ndarray
    face: Face
    subject: Subject
    person: str = ""

    @cached_property
    def beard(self) -> float:
        return float(self.subject.covers.bearded)

    @cached_property
    def glasses(self) -> float:
        """0 to 1: the probability of glasses."""
        return float(1 / (1 + np.exp(-scores(self.subject.pixels, self.subject.mesh)[0])))

    @cached_property
    def shape(self) -> np.ndarray:
        """(4,) widths of cheeks, jaw and chin and the length from brows to chin, in eye distances."""
        face = frontal(self.face.mesh)[:, :2]
        pairs = ((234, 454), (172, 397), (148, 377), (151, 152))
        return np.array([np.linalg.norm(face[a] - face[b]) for a, b in pairs])

    @cached_property
    def lab(self) -> np.ndarray:
        return cv2.cvtColor(self.pixels, cv2.COLOR_RGB2LAB).astype(np.float32)

    def colour(self, part: Part) -> np.ndarray:
        """(3,) the mean colour of a part minus that of the cheeks."""
        shape = self.pixels.shape[:2]
        inside = part(self.face.mesh, shape) > 0.5
        bare = regions.eroded(regions.skin(self.face.mesh, shape), 0.03 * regions.face_width(self.face.mesh))
        cheeks = (bare > 0.5) & ~(regions.forehead(self.face.mesh, shape) > 0.5)
        if not inside.any() or not cheeks.any():
            return np.full(3, np.nan)
        return np.asarray(self.lab[inside].mean(0) - self.lab[cheeks].mean(0))

    def detail(self) -> np.ndarray:
        """(2,) ten times the logarithm of the skin's contrast, in two octaves."""
        bare = regions.eroded(
            regions.skin(self.face.mesh, self.pixels.shape[:2]), 0.04 * regions.face_width(self.face.mesh)
        )
        width = regions.face_width(self.face.mesh)
        light = self.lab[..., 0]
        found = []
        for sigma in (0.01 * width, 0.03 * width):
            octave = cv2.GaussianBlur(light, (0, 0), sigma) - cv2.GaussianBlur(light, (0, 0), 2 * sigma)
            found.append(np.log(octave[bare > 0.5].std() + 1e-3) if (bare > 0.5).any() else np.nan)
        return 10 * np.array(found)


@dataclass(frozen=True)
class Probe:
    """measure: what is measured in a picture. min_difference: within a pair. part: the attribute's region."""

    measure: Callable[[AnalysedPhoto], np.ndarray]
    min_difference: float
    part: Part

    def distance(self, one: AnalysedPhoto, other: AnalysedPhoto) -> float:
        return float(np.linalg.norm(np.atleast_1d(self.measure(one)) - np.atleast_1d(self.measure(other))))


def bare_skin(mesh: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    return np.asarray(regions.eroded(regions.skin(mesh, shape), 0.03 * regions.face_width(mesh)))


def around_eyes(mesh: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    return np.asarray(regions.dilated(regions.eyes(mesh, shape, 1.5), 0.08 * regions.face_width(mesh)))


def outline(mesh: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The face's edge, where its shape shows."""
    face = regions.oval(mesh, shape)
    width = regions.face_width(mesh)
    return np.asarray(regions.dilated(face, 0.05 * width) - regions.eroded(face, 0.05 * width))


PROBES: Mapping[str, Probe] = {
    "beard": Probe(lambda seen: np.array(seen.beard), 0.8, regions.lower_face),
    "glasses": Probe(lambda seen: np.array(seen.glasses), 0.8, around_eyes),
    "shape": Probe(lambda seen: seen.shape, 0.25, outline),
    "brows": Probe(lambda seen: seen.colour(regions.brows), 15, regions.brows),
    "lips": Probe(lambda seen: seen.colour(regions.lips), 12, regions.lips),
    "skin": Probe(AnalysedPhoto.detail, 3, bare_skin),
}


def analyse(
    pipe: ReliableSwapPipeline, pixels: np.ndarray, near: Face | None = None, person: str = ""
) -> AnalysedPhoto | None:
    """The largest face of a picture, or the one that is nearest to another; None if there is none."""
    if near is None:
        face = largest_face(pipe.analyser, pixels)
    else:
        box = near.box
        face = min(pipe.analyser(pixels), key=lambda one: float(np.abs(one.box - box).sum()), default=None)
    if face is None:
        return None
    return AnalysedPhoto(pixels, face, Subject.around(pixels, face, "photo", pipe.networks()), person)


def draw_pairs(
    photos: list[AnalysedPhoto], probe: Probe, count: int, seed: int
) -> list[tuple[AnalysedPhoto, AnalysedPhoto]]:
    """Draw pairs of source and target that differ enough, each person at most twice on either side."""
    order = random.Random(seed)
    every = [(a, b) for a in photos for b in photos if a.person != b.person]
    order.shuffle(every)
    used: dict[tuple[str, int], int] = {}
    found = []
    for pair in every:
        if len(found) == count:
            break
        if any(used.get((one.person, side), 0) > 1 for side, one in enumerate(pair)):
            continue
        if probe.distance(*pair) >= probe.min_difference:
            found.append(pair)
            for side, one in enumerate(pair):
                used[one.person, side] = used.get((one.person, side), 0) + 1
    return found


def measure_pair(
    pipe: ReliableSwapPipeline, name: str, source: AnalysedPhoto, target: AnalysedPhoto
) -> dict[str, float] | None:
    """Swap a pair plainly and with the chosen side, and measure both; None if a swap failed or shows no face."""
    probe, side = PROBES[name], side_of(name)
    chosen, other = (source, target) if side == "source" else (target, source)
    # A plain swap may keep the target's beard.
    plain = {"beard": "source"} if name == "beard" else {}
    made: dict[str, AnalysedPhoto] = {}
    for what, attributes in (("plain", plain), ("right", {name: side})):
        try:
            result = pipe(source.pixels, target.pixels, attributes=attributes, consent=CONSENT)
        except ReliableSwapError:
            return None
        seen = analyse(pipe, result.pictures[0].pixels, target.face)
        if seen is None:
            return None
        made[what] = seen
    found = {
        what: float(probe.distance(seen, chosen) < probe.distance(seen, other)) for what, seen in made.items()
    }
    shape, width = target.pixels.shape[:2], regions.face_width(target.face.mesh)
    change = np.abs(made["right"].lab - made["plain"].lab).mean(2)
    part = probe.part(target.face.mesh, shape)
    rest = (regions.oval(target.face.mesh, shape) > 0.5) & ~(regions.dilated(part, 0.03 * width) > 0.5)
    own = float(change[part > 0.5].mean()) if (part > 0.5).any() else np.nan
    return {**found, "others": float(change[rest].mean() / max(own, 1e-6)) if rest.any() else np.nan}


def side_of(name: str) -> str:
    """The side that is chosen for an attribute: the one that a plain swap does not use."""
    return "source" if name == "glasses" else "target"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path, help="folder of photos")
    parser.add_argument("--pairs", type=int, default=60, help="pairs per attribute (default: %(default)s)")
    parser.add_argument("--most", type=int, default=600, help="most photos to use (default: %(default)s)")
    parser.add_argument("--attributes", nargs="+", choices=list(PROBES), default=list(PROBES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the figures to this JSON file")
    arguments = parser.parse_args()

    pipe = ReliableSwapPipeline.bundled()
    listed = [one for one in list_photos(arguments.photos) if holds_out(one.identity)][: arguments.most]
    photos = []
    for one in listed:
        seen = analyse(pipe, read_picture(one.path).pixels, person=one.identity)
        if seen is not None:
            photos.append(seen)
    if len(photos) < 20:
        raise ReliableSwapError(
            f"only {len(photos)} held-out photos in {arguments.photos} show a face, and 20 are needed; give a folder "
            "of some hundred photos"
        )
    figures = {}
    print("| attribute | chosen | pairs | right, % | plain, % | others |\n|---|---|---:|---:|---:|---:|")
    for name in arguments.attributes:
        pairs = draw_pairs(photos, PROBES[name], arguments.pairs, arguments.seed)
        found = [one for one in (measure_pair(pipe, name, *pair) for pair in pairs) if one]
        if not found:
            print(f"| {name} | {side_of(name)} | 0 | – | – | – |", flush=True)
            continue
        shares = {what: bootstrap([one[what] for one in found], share=True) for what in ("right", "plain")}
        others = float(np.nanmedian([one["others"] for one in found]))
        cells = " | ".join(
            f"{100 * one.value:.0f} [{100 * one.low:.0f}, {100 * one.high:.0f}]"
            for one in shares.values()
            if one
        )
        print(f"| {name} | {side_of(name)} | {len(found)} | {cells} | {others:.2f} |", flush=True)
        figures[name] = {"pairs": len(found), "others": others} | {
            what: one.value for what, one in shares.items() if one
        }
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    try:
        main()
    except ReliableSwapError as error:
        sys.exit(f"error: {error}")
