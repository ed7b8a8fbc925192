"""Compare a network trained on people with the engines that swap from one photo, on the same held-out frames.

    python benchmarks/trained_people.py runs/people alice=alice.mp4 bob=bob.mp4 [--sheet pairs.png] [--json FILE]

Give the clips that `reliableswap train person` was given, and the same --held_out: the frames are spread over the last
part of each clip, which the training did not see. The one-shot engines get the most frontal of eight frames of the
trained part as their photo.

Swaps of every ordered pair: `identity` is the cosine, by dlib's network, which no loss used, between the result and the
mean of the source's own held-out frames; `before` is that of the target itself. `expression` is the distance of lips,
lids and brows from the target's, `opening` the difference of the mouth's opening. People onto themselves: the frame
itself is the truth. `psnr` is that of the face, `mouth` the mean difference between the lips in grey levels.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from people import around_face
from PIL import Image

from reliableswap import ReliableSwapPipeline
from reliableswap.errors import ReliableSwapError
from reliableswap.evaluation.judges.base import unit
from reliableswap.evaluation.judges.dlib import DlibJudge
from reliableswap.evaluation.metrics.pixels import face_region, psnr
from reliableswap.faces.face import Face
from reliableswap.geometry import measures, regions
from reliableswap.media.video.info import probe
from reliableswap.media.video.reader import ClipReader
from reliableswap.models import CombAutoencoder

ENGINES = ("person", "neural", "blend")
_PHOTO_CANDIDATES = 8  # frames of which one is the photo
_CELL = 160  # px of the sheet


@dataclass(frozen=True, eq=False)
class PersonData:
    """A person: photo (H,W,3), held-out frames with their faces, and the judge's mean vector of them."""

    name: str
    photo: np.ndarray
    frames: list[tuple[np.ndarray, Face]]
    vector: np.ndarray


def frames_at(path: Path, places: list[int]) -> list[np.ndarray]:
    """(H,W,3) uint8 the frames with those numbers."""
    wanted = set(places)
    return [frame for number, frame in enumerate(pixels_of(path)) if number in wanted]


def pixels_of(path: Path) -> Iterator[np.ndarray]:
    """Yield the frames of a clip."""
    return (frame.rgb for frame in ClipReader(probe(path)).frames())


def load_person(
    name: str, path: Path, pipe: ReliableSwapPipeline, judge: DlibJudge, count: int, held_out: float
) -> PersonData:
    """Read a person's clip: choose the photo, and find the faces of the held-out frames."""
    total = sum(1 for _ in pixels_of(path))
    first = total - int(total * held_out)
    looks = sorted({(2 * k + 1) * first // (2 * _PHOTO_CANDIDATES) for k in range(_PHOTO_CANDIDATES)})
    shown = sorted({first + (2 * k + 1) * (total - first) // (2 * count) for k in range(count)})
    photos = frames_at(path, looks)
    yaws = [abs(measures.pose_of(pipe.find(one)[0].mesh)[0]) for one in photos]
    frames = [(one, pipe.find(one)[0]) for one in frames_at(path, shown)]
    vector = unit(np.mean([judge.embed(one, face) for one, face in frames], axis=0))
    return PersonData(name, photos[int(np.argmin(yaws))], frames, vector)


def swap(pipe: ReliableSwapPipeline, engine: str, source: PersonData, target: np.ndarray) -> np.ndarray:
    """Put the source's face onto the target."""
    if engine == "person":
        return pipe(None, target, person=source.name).pictures[0].pixels
    return pipe(source.photo, target, engine=engine).pictures[0].pixels  # type: ignore[arg-type]


def compare(
    pipe: ReliableSwapPipeline, people: list[PersonData], judge: DlibJudge
) -> tuple[dict[str, dict[str, float]], list[np.ndarray]]:
    """Figures by engine, and a row of pictures for each pair of people."""
    found: dict[str, dict[str, list[float]]] = {engine: defaultdict(list) for engine in ENGINES}
    rows = []
    for source in people:
        for target in people:
            for number, (frame, face) in enumerate(target.frames):
                made = {}
                for engine in ENGINES:
                    try:
                        made[engine] = swap(pipe, engine, source, frame)
                        mine = found[engine]
                        if source is target:
                            own_figures(made[engine], frame, face, mine)
                        else:
                            swap_figures(pipe, made[engine], frame, face, source, judge, mine)
                    except (ReliableSwapError, IndexError) as error:
                        found[engine]["failed"].append(1.0)
                        print(f"{engine} {source.name} -> {target.name}: {error}", file=sys.stderr)
                if number == len(target.frames) // 2 and len(made) == len(ENGINES):
                    photo = around_face(source.photo, pipe.find(source.photo)[0].box, _CELL)
                    rest = [around_face(one, face.box, _CELL) for one in (frame, *made.values())]
                    rows.append(np.concatenate([photo, *rest], 1))
            print(f"{source.name} -> {target.name}", file=sys.stderr)
    table = {
        engine: {name: float(np.sum(v) if name == "failed" else np.mean(v)) for name, v in figures.items()}
        for engine, figures in found.items()
    }
    return table, rows


def own_figures(result: np.ndarray, frame: np.ndarray, face: Face, found: dict[str, list[float]]) -> None:
    """Measure how near a person's own face comes to the frame."""
    shape = frame.shape[:2]
    found["psnr"].append(psnr(result, frame, face_region(face.mesh, shape, 0.0)))
    inside = regions.inner_mouth(face.mesh, shape) > 0
    grey = [cv2.cvtColor(one, cv2.COLOR_RGB2GRAY).astype(np.float32) for one in (result, frame)]
    found["mouth"].append(float(np.abs(grey[0] - grey[1])[inside].mean()))


def swap_figures(
    pipe: ReliableSwapPipeline,
    result: np.ndarray,
    frame: np.ndarray,
    face: Face,
    source: PersonData,
    judge: DlibJudge,
    found: dict[str, list[float]],
) -> None:
    """Measure whose face it is, and whether it has the target's expression."""
    after = pipe.find(result)[0]
    found["identity"].append(float(judge.embed(result, after) @ source.vector))
    found["before"].append(float(judge.embed(frame, face) @ source.vector))
    found["expression"].append(measures.expression_error(after.mesh, face.mesh))
    found["opening"].append(abs(measures.mouth_opening(after.mesh) - measures.mouth_opening(face.mesh)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("trained", type=Path, help="output folder of a training of people")
    parser.add_argument("people", nargs="+", metavar="NAME=CLIP", help="each person's name and clip")
    parser.add_argument("--frames", type=int, default=6, help="held-out frames per person (default: 6)")
    parser.add_argument(
        "--held_out", type=float, default=0.2, help="held-out share of each clip (default: 0.2)"
    )
    parser.add_argument(
        "--sheet",
        type=Path,
        help="write a picture of photo, target and the engines' results of each pair to this file",
    )
    parser.add_argument("--json", type=Path, help="write the figures to this JSON file")
    arguments = parser.parse_args()
    pipe, judge = ReliableSwapPipeline.bundled(), DlibJudge()
    pipe.people = CombAutoencoder.from_pretrained(arguments.trained)
    clips = dict(one.split("=", 1) for one in arguments.people)
    people = [
        load_person(name, Path(clip), pipe, judge, arguments.frames, arguments.held_out)
        for name, clip in clips.items()
    ]
    table, rows = compare(pipe, people, judge)
    if arguments.sheet and rows:
        Image.fromarray(np.concatenate(rows)).save(arguments.sheet)
    if arguments.json:
        arguments.json.write_text(json.dumps(table, indent=1) + "\n")
    names = ["identity", "before", "expression", "opening", "psnr", "mouth", "failed"]
    print("| engine | " + " | ".join(names) + " |\n|---|" + "---:|" * len(names))
    for engine, values in table.items():
        print(f"| {engine} | " + " | ".join(f"{values.get(name, 0.0):.3f}" for name in names) + " |")


if __name__ == "__main__":
    main()
