"""Measure what the gates refuse wrongly on photos of adults, and what they cost.

    python benchmarks/gates.py --faces UTKFACE_ADULTS
    python benchmarks/gates.py --faces FFHQ384 --labels ATTRIBUTES.json
    python benchmarks/gates.py --people                # the ten people of openpeople
    python benchmarks/gates.py --cost
    python benchmarks/gates.py --clips CLIP...

Every photo is assumed to show a dressed adult, so every refusal is a mistake. Each photo's largest face is used; with
--people every face of a sheet. Ages come from names such as 25_0_3_x.jpg (UTKFace: age, sex, group) or from --labels,
a JSON file with an age and a gender for each name. Use no photos of children: the rates for them in docs/safety.md were
measured once, when the probe was fitted.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from reliableswap import ReliableSwapPipeline
from reliableswap.data.photos import PICTURES
from reliableswap.errors import NoFaceError
from reliableswap.media import read_picture
from reliableswap.safety.age import AgeEstimate, age_nets
from reliableswap.safety.clip import LOOKS, ClipGates
from reliableswap.safety.nudity import LIMIT, body_view, nudity_net
from reliableswap.safety.track import LookSchedule
from reliableswap.swap.engines import run, steps_of
from reliableswap.swap.job import FaceJob
from reliableswap.swap.settings import SwapSettings
from reliableswap.swap.subject import Subject

SEXES, GROUPS = ("male", "female"), ("White", "Black", "Asian", "Indian", "other")
AGES = ((18, 20), (18, 24), (25, 29), (30, 39), (40, 120), (25, 120))


@dataclass(frozen=True)
class FaceScores:
    """What the gates say of one face; age, sex and group are its labels, as far as they are known."""

    estimate: AgeEstimate
    whole: float
    body: float
    age: int | None = None
    sex: str | None = None
    group: str | None = None

    @property
    def refused(self) -> bool:
        return self.estimate.may_be_minor

    @property
    def nude(self) -> bool:
        return max(self.whole, self.body) >= LIMIT


def label_of(path: Path, labels: dict[str, dict]) -> dict[str, object]:
    """Age, sex and group from the labels file, or from a file name like UTKFace's."""
    if known := labels.get(path.stem):
        return {"age": int(known["age"]), "sex": known["gender"]}
    found = re.match(r"(\d+)_([01])_([0-4])_", path.name)
    if not found:
        return {}
    age, sex, group = (int(part) for part in found.groups())
    return {"age": age, "sex": SEXES[sex], "group": GROUPS[group]}


def score_faces(
    pipe: ReliableSwapPipeline, paths: list[Path], labels: dict, every_face: bool, brief: bool
) -> Iterator[FaceScores]:
    """Score the photos' faces as the gates do; a photo without a face is left out. brief: as at one frame of a clip."""
    networks = pipe.networks()
    for path in paths:
        picture = read_picture(path)
        try:
            faces = pipe.find(picture)
        except NoFaceError:
            continue
        whole = nudity_net().score(picture.pixels)
        for face in faces if every_face else faces[:1]:
            subject = Subject.around(picture.pixels, face, path.name, networks)
            body = nudity_net().score(body_view(picture.pixels, face.box))
            yield FaceScores(age_nets().estimate(subject, brief=brief), whole, body, **label_of(path, labels))  # type: ignore[arg-type]


def row(name: str, chosen: list[FaceScores]) -> str:
    """One line of the table: how many of the faces are refused by age and for nudity."""
    count = len(chosen)
    if not count:
        return f"| {name} | 0 | - | - |"
    age, nude = sum(one.refused for one in chosen), sum(one.nude for one in chosen)
    return f"| {name} | {count} | {100 * age / count:.1f} % ({age}) | {100 * nude / count:.1f} % ({nude}) |"


def report(found: list[FaceScores]) -> None:
    print("| group | faces | refused: age | refused: nudity |\n|---|---|---|---|")
    print(row("all", found))
    for low, high in AGES:
        here = [one for one in found if one.age is not None and low <= one.age <= high]
        if not here:
            continue
        span = f"{low} and over" if high == 120 else f"{low} to {high}"
        print(row(span, here))
        for value in (*SEXES, *GROUPS):
            part = [one for one in here if value in (one.sex, one.group)]
            if part and high - low > 3:
                print(row(f"{span}, {value}", part))
    highest = max((max(one.whole, one.body) for one in found), default=0)
    asked = sum(one.estimate.years is not None for one in found)
    print(f"\nhighest score for nudity: {highest:.3f}; the second age network was run on {asked} faces")


def measure_cost(pipe: ReliableSwapPipeline, source: Path, photo: Path, repeats: int = 25) -> None:
    """Print what each check of a swap takes: the least wall time, and the median CPU time over all threads."""
    picture, networks = read_picture(photo), pipe.networks()
    face = pipe.find(picture)[0]
    gates = pipe.safety

    def measure(name: str, call: Callable[[Subject], object]) -> None:
        walls, works = [], []
        for _ in range(repeats + 2):
            subject = Subject.around(picture.pixels, face, "photo", networks)
            _ = subject.v_id, subject.v_fix  # a swap computes them anyway
            wall, work = time.perf_counter(), time.process_time()
            call(subject)
            walls.append(time.perf_counter() - wall)
            works.append(time.process_time() - work)
        print(f"  {name}: {1000 * min(walls):.0f} ms, CPU {1000 * statistics.median(works[2:]):.0f} ms")

    print(f"{photo.name} ({picture.width}x{picture.height}), largest face {face.size:.0f} px")
    measure("whole target, while its faces are detected", lambda _: gates.score(picture.pixels))
    measure(
        "target around the face, and its age",
        lambda subject: gates.check_inputs(picture.pixels, "photo", {0: subject}, [], score=0.0),
    )
    result = pipe(source, picture.pixels).pictures[0].pixels
    measure("result", lambda _: gates.check_result(result, "photo", [face.box], picture.pixels))


def measure_clip(pipe: ReliableSwapPipeline, source: Path, clip: Path) -> float:
    """Print and return the gates' CPU milliseconds per frame of a clip whose largest face is swapped.

    They look at each second's first frame and at its swap, and at the face's age in five frames.
    """
    gates, looks, networks = ClipGates(pipe.safety, clip.name), LookSchedule(), pipe.networks()
    person = pipe.prepare(source)
    count = sum(1 for _ in frames_of(clip))
    ages = {(2 * step + 1) * count // (2 * LOOKS) for step in range(LOOKS)}
    spent = 0.0
    for number, frame in enumerate(frames_of(clip)):
        due = looks.due(float(frame.time))
        if not due and number not in ages:
            continue
        pixels = frame.to_ndarray(format="rgb24")
        faces = pipe.find(pixels)[:1]
        boxes = [face.box for face in faces]
        subjects = [Subject.around(pixels, face, clip.name, networks) for face in faces]
        result = pixels.copy()
        for subject in subjects:
            job = run(steps_of("blend", networks), FaceJob.start(subject, person, SwapSettings(), networks))
            subject.put_back(result, job.image, job.mask)
            _ = subject.v_id, subject.v_fix  # the pass that prepares the targets computes them anyway
        began = time.thread_time()
        if due:
            gates.add_target(gates.score(pixels, boxes), number)
            gates.add_result(gates.score_result(result, boxes, pixels, number))
        if number in ages:
            for subject in subjects:
                gates.add_face(0, 0, subject)
        spent += time.thread_time() - began
    print(f"  {clip.name}: {count} frames, {1000 * spent / count:.2f} ms per frame", flush=True)
    return 1000 * spent / count


def frames_of(clip: Path) -> Iterator[av.VideoFrame]:
    with av.open(str(clip)) as file:
        yield from file.decode(video=0)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", type=Path, help="folder of photos of adults")
    parser.add_argument("--labels", type=Path, help="JSON file: photo name -> age and gender")
    parser.add_argument(
        "--count", type=int, default=0, help="random sample of this many photos (default: all)"
    )
    parser.add_argument(
        "--people", action="store_true", help="the people of openpeople, every face of every sheet"
    )
    parser.add_argument(
        "--brief", action="store_true", help="estimate ages with the brief check used for clips"
    )
    parser.add_argument(
        "--cost", action="store_true", help="measure the milliseconds of each check of a picture"
    )
    parser.add_argument("--clips", type=Path, nargs="+", default=[], help="clips of one person each")
    arguments = parser.parse_args()
    pipe = ReliableSwapPipeline.bundled()
    labels = json.loads(arguments.labels.read_text()) if arguments.labels else {}
    if arguments.faces:
        paths = sorted(p for p in arguments.faces.rglob("*") if p.suffix.lower() in PICTURES)
        if 0 < arguments.count < len(paths):
            paths = [paths[i] for i in np.random.default_rng(0).permutation(len(paths))[: arguments.count]]
        report(list(score_faces(pipe, paths, labels, False, arguments.brief)))
    if arguments.people or arguments.cost or arguments.clips:
        import openpeople

        people = Path(openpeople.__file__).parent / "data" / "curated"
        source = people / "P001" / "assets" / "studio_portrait.jpg"
        if arguments.people:
            report(list(score_faces(pipe, sorted(people.glob("P*/assets/*.jpg")), {}, True, arguments.brief)))
        if arguments.cost:
            for name in ("studio_portrait", "amateur_posture"):
                measure_cost(pipe, source, people / "P002" / "assets" / f"{name}.jpg")
        if arguments.clips:
            spent = [measure_clip(pipe, source, clip) for clip in arguments.clips]
            print(
                f"mean of {len(spent)} clips: {statistics.mean(spent):.2f} ms per frame, highest {max(spent):.2f}"
            )


if __name__ == "__main__":
    main()
