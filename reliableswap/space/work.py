"""The heavy jobs behind the page, all done by one pipeline. Nothing here knows about the browser."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reliableswap.faces.face import Face
from reliableswap.faces.track import ClipFaces
from reliableswap.media import Picture
from reliableswap.pipelines.clip_people import people_of_clip
from reliableswap.pipelines.image import Engine, ReliableSwapPipeline
from reliableswap.pipelines.live import LiveSwap
from reliableswap.pipelines.output import SwapReport
from reliableswap.pipelines.video import VideoProgress, VideoResult, VideoSettings
from reliableswap.provenance.record import Record
from reliableswap.swap.person import Person
from reliableswap.swap.settings import SwapSettings

from .consent import STATEMENT
from .device import on_gpu
from .inputs import ENGINES, check_sources
from .people import Trained, trained_people
from .triplet import Triplet, make_triplet


@dataclass(frozen=True)
class Swap:
    """The target, the result, the report of what was done, and the record for the result's marks."""

    before: Picture
    after: Picture
    report: SwapReport
    record: Record


class Worker:
    """The pipeline, and the jobs that the page asks of it."""

    def __init__(self, pipe: ReliableSwapPipeline | None = None) -> None:
        self.pipe = pipe or ReliableSwapPipeline.bundled()
        people = trained_people()
        if people is not None:
            self.pipe.people = people
        if torch.cuda.is_available():
            self.pipe.to("cuda")
        elif pipe is None and find_spec("openvino") is not None:
            self.pipe.on("openvino")  # in about half of torch's time
        self.find = on_gpu(self._find)
        self.swap = on_gpu(self._swap)
        self.triplet = on_gpu(self._triplet)
        self.people = on_gpu(self._people)
        self.clip = on_gpu(self._clip)

    @property
    def engines(self) -> list[Engine]:
        """The engines that this pipeline can run: `neural` only with a generator."""
        return [name for name in ENGINES if name != "neural" or self.pipe.generator is not None]

    @property
    def trained(self) -> list[str]:
        """The names of the trained people that this pipeline holds."""
        return [] if self.pipe.people is None else self.pipe.people.trained

    def portrait(self, name: str) -> np.ndarray:
        """(128,128,3) uint8 the picture of a trained person that is stored with the weights."""
        return np.asarray(self.pipe.people.decoder(name).portrait.picture.cpu())

    def _find(self, picture: Picture) -> list[Face]:
        return self.pipe.find(picture)

    def _swap(
        self,
        sources: Mapping[int, Picture | Trained],
        target: Picture,
        faces: Mapping[int, int],
        engine: Engine,
        options: Mapping[str, Any],
    ) -> Swap:
        """faces: {number of the target's face: number of its source}; options: of a pipeline's call by name."""
        check_sources(sources, faces)
        used = {number: self._source(given) for number, given in sources.items()}
        mapping = {face: used[source] for face, source in faces.items()}
        result = self.pipe(None, target, faces=mapping, engine=engine, consent=STATEMENT, **options)
        return Swap(target, result.pictures[0], result.report, result.records[0])

    def _people(self, clip: Path, video: VideoSettings, output: Path) -> Iterator[VideoProgress | ClipFaces]:
        yield from people_of_clip(self.pipe, clip, video=video, output=output)

    def _clip(
        self,
        sources: Mapping[int, Picture | Trained],
        clip: Path,
        output: Path,
        people: Mapping[int, int],
        engine: Engine,
        options: Mapping[str, Any],
        video: VideoSettings,
    ) -> Iterator[VideoProgress | VideoResult]:
        """people: {number of the person in the clip: number of its source}; options: of `inputs.swap_options`."""
        strengths = {name: value for name, value in options.items() if name != "attributes"}
        used = {number: self._person(sources[number]) for number in sorted(set(people.values()))}
        yield from self.pipe.video(
            None,
            clip,
            output,
            people={person: used[source] for person, source in people.items()},
            engine=engine,
            settings=SwapSettings(**strengths).with_attributes(options["attributes"]),
            video=video,
            consent=STATEMENT,
        )

    def _source(self, given: Picture | Trained) -> Picture | Person:
        return self.pipe.trained(given.name) if isinstance(given, Trained) else given

    def _person(self, given: Picture | Trained) -> Person:
        source = self._source(given)
        return source if isinstance(source, Person) else self.pipe.prepare(source)

    def live(self, source: Picture, engine: Engine) -> LiveSwap:
        """Prepare a source for the webcam. Not on a lent GPU, which a stream would hold all the time."""
        return LiveSwap(self.pipe, source, engine=engine, consent=STATEMENT)

    def _triplet(self, a: Picture, b: Picture) -> Triplet:
        return make_triplet(self.pipe, a, b)
