"""One call of a pipeline: what its targets share, and how one target is swapped."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from reliableswap.errors import NoFaceError, ReliableSwapError
from reliableswap.faces.analysers.base import FaceAnalyser
from reliableswap.faces.face import Face
from reliableswap.media import Picture
from reliableswap.provenance.record import Record
from reliableswap.runtime.threads import worker_pool
from reliableswap.safety.consent import Consent
from reliableswap.safety.gates import Gates
from reliableswap.swap.advice import advice
from reliableswap.swap.engines import engine_of, run, steps_of
from reliableswap.swap.job import FaceJob
from reliableswap.swap.networks import Networks
from reliableswap.swap.person import Person
from reliableswap.swap.settings import SwapSettings
from reliableswap.swap.subject import Subject

from .inputs import Faces, PictureLike, Source, assign, source_name, to_picture
from .options import ChosenEngine, Engine
from .output import FaceReport, SwapReport, record_of
from .people import find_faces, person_of
from .trained import engines_of, for_engine


class Progress:
    """Counts faces for the caller's callback."""

    def __init__(self, callback: Callable[[int, int], None] | None) -> None:
        self.callback, self.count, self.total = callback, 0, 0

    def more(self, faces: int) -> None:
        self.total += faces

    def done(self) -> None:
        self.count += 1
        if self.callback is not None:
            self.callback(self.count, self.total)


@dataclass(frozen=True)
class Call:
    """What all targets of one call share.

    engine: for photos as sources. requested_engine: the one that the caller asked for.
    place: where the networks run, as reports name it. checksums: returns class and checksum of every network by name.
    people: the prepared sources, by the id() of the given object.
    """

    engine: ChosenEngine
    settings: SwapSettings
    networks: Networks
    analyser: FaceAnalyser
    gates: Gates
    consent: Consent | None
    progress: Progress
    place: str
    checksums: Callable[[], Mapping[str, tuple[str, str]]]
    people: dict[int, Person] = field(default_factory=dict)
    requested_engine: Engine = "auto"

    def swap(
        self, source: Source | None, target: PictureLike, faces: Faces
    ) -> tuple[Picture, SwapReport, Record]:
        """Swap one target; return its picture with the faces swapped, the report, and the provenance record."""
        started = time.perf_counter()
        picture = to_picture(target)
        with worker_pool(2) as pool:
            finding = pool.submit(find_faces, picture, self.analyser)
            looking = pool.submit(self.gates.score, picture.pixels)
            for given in faces.values() if isinstance(faces, Mapping) else [source]:
                if given is not None and id(given) not in self.people:
                    person = person_of(given, self.networks, self.analyser)
                    self.people[id(given)] = for_engine(person, self.requested_engine)
        found = finding.result()
        wanted = assign(source, faces, len(found), picture.name)
        self.progress.more(len(wanted))

        subjects = _subjects(picture, {index: found[index] for index in wanted}, self.networks)
        sources = {id(given): self.people[id(given)] for given in wanted.values()}
        checked = self.gates.check_inputs(
            picture.pixels, picture.name, subjects, sources.values(), looking.result()
        )

        engine = engines_of([self.people[id(given)] for given in wanted.values()], self.engine)
        report = SwapReport(picture.name, engine, self.place, self.analyser.name, consent=self.consent)
        report.faces = [FaceReport(i, _box(face), round(face.score, 4)) for i, face in enumerate(found)]
        pixels = picture.pixels.copy()
        made: list[tuple[FaceReport, FaceJob, Subject]] = []
        failure: ReliableSwapError | None = None
        for index, given in wanted.items():
            entry = report.faces[index]
            try:
                if index in checked.refused:
                    raise checked.refused[index]
                subject = Subject.around(pixels, found[index], picture.name, self.networks)
                if np.array_equal(subject.pixels, subjects[index].pixels):  # no earlier swap touched it
                    subject = subjects[index]
                subject.check_features(picture.name)
                person = self.people[id(given)]
                job = FaceJob.start(subject, person, self.settings, self.networks)
                engine = engine_of(person, self.engine)
                job = run(steps_of(engine, self.networks), job)
                after = replace(job.target, pixels=job.image)
                if job.years:
                    looks = self.gates.check_aged(after, picture.name, job.years)
                    entry.age, entry.apparent_age = job.years, round(looks, 1)
                subject.put_back(pixels, job.image, job.mask)
                entry.swapped, entry.engine, entry.source = True, engine, source_name(given)
                entry.attributes = _attributes(job)
                made.append((entry, job, after))
            except ReliableSwapError as error:
                if not (isinstance(faces, str) and faces == "all"):
                    raise
                entry.error, failure = str(error), error
            self.progress.done()
        if failure is not None and not report.swapped:
            raise failure
        boxes = [found[index].box for index in report.swapped]
        with worker_pool() as pool:
            before = picture.pixels if checked.harmless else None
            looking_again = pool.submit(self.gates.check_result, pixels, picture.name, boxes, before)
            for swapped in made:
                _measure(*swapped)
            used = [self.people[id(wanted[index])] for index in report.swapped]
            record = record_of(report, self.settings, picture, used, self.checksums())
        looking_again.result()
        report.seconds = round(time.perf_counter() - started, 4)
        return replace(picture, pixels=pixels), report, record


def _subjects(picture: Picture, faces: Mapping[int, Face], networks: Networks) -> dict[int, Subject]:
    """Return the subjects of the faces by number; a face outside the picture has none."""
    subjects = {}
    for index, face in faces.items():
        with contextlib.suppress(NoFaceError):
            subjects[index] = Subject.around(picture.pixels, face, picture.name, networks)
    return subjects


def _attributes(job: FaceJob) -> dict[str, str]:
    """Return which parts came from whom, where that differs from a plain swap."""
    chosen = job.settings.attributes.changed
    if chosen.get("glasses") == "source" and not (job.source.covers.glasses.mask > 0.5).any():
        chosen["glasses"] = "source, who wears none"
    if job.settings.attributes.beard == "auto" and job.only_target_bearded > 0.5:
        chosen["beard"] = "target, as the source has none"
    return chosen


def _measure(entry: FaceReport, job: FaceJob, after: Subject) -> None:
    """Fill in the advice, and the cosines to the source before and after the swap if there is an encoder."""
    if entry.engine == "blend" or (entry.engine == "neural" and job.networks.generator.guidance_channels):
        entry.advice = advice(job)
    if job.networks.identity is None:
        return
    entry.identity_before = round(float((job.target.v_id * job.person.v_id).sum()), 4)
    entry.identity_after = round(float((after.v_id * job.person.v_id).sum()), 4)


def _box(face: Face) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (round(float(v), 1) for v in face.box)
    return x0, y0, x1, y1
