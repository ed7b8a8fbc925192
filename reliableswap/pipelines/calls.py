"""The calls that all swapping pipelines share: find faces, prepare people, swap photos and clips."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, Unpack, overload

from reliableswap.errors import ReliableSwapError
from reliableswap.faces.analysers.base import FaceAnalyser
from reliableswap.faces.analysers.bundled import BundledAnalyser
from reliableswap.faces.face import Face
from reliableswap.safety.consent import Consent
from reliableswap.safety.gates import Gates
from reliableswap.swap.networks import Networks
from reliableswap.swap.person import Person
from reliableswap.swap.settings import SwapSettings

from .inputs import Faces, PictureLike, Source, as_list, pairs, to_picture
from .options import ChosenEngine, Engine, SwapOptions, chosen_engine, merged_settings
from .output import Images, OutputType, SwapOutput, SwapReport, as_images
from .people import find_faces, prepare_person
from .swapping import Call, Progress
from .trained import one_source

if TYPE_CHECKING:
    from reliableswap.provenance.credentials import Credentials

    from .clip_nodes import Nodes
    from .video import People, VideoProgress, VideoResult, VideoSettings


class SwapCalls(ABC):
    """The calls of a pipeline. It imports no torch: each pipeline decides what runs its networks."""

    _analyser: FaceAnalyser | None = None
    _safety: Gates

    @property
    @abstractmethod
    def place(self) -> str:
        """Where the networks run, as reports name it."""

    @abstractmethod
    def networks(self) -> Networks:
        """The networks as they run now."""

    @abstractmethod
    def holds(self, name: str) -> bool:
        """Whether there is a network of that name: a field of `swap.networks.Networks`."""

    @abstractmethod
    def trained(self, name: str) -> Person:
        """Return a person with a decoder of their own, as a source."""

    @abstractmethod
    def checksums(self) -> dict[str, tuple[str, str]]:
        """Return class and weights' checksum of every network by its name."""

    @property
    def analyser(self) -> FaceAnalyser:
        """The face analyser: the components `detector` and `landmarks`, or one that the caller set."""
        return self._analyser_of(self.networks())

    @analyser.setter
    def analyser(self, analyser: FaceAnalyser | None) -> None:
        self._analyser = analyser

    def _analyser_of(self, networks: Networks) -> FaceAnalyser:
        """Return the analyser. networks: looked up once for all pictures of a call."""
        return self._analyser or BundledAnalyser(networks.detector, networks.landmarks)

    @property
    def safety(self) -> Gates:
        """The gates that every swap passes, and their counts."""
        return self._safety

    def choose_engine(self, engine: Engine) -> ChosenEngine:
        """Return the engine for photos as sources; `auto` is neural if the pipeline has a generator, else blend.

        With `auto`, a trained person is swapped by their own decoder.
        """
        return chosen_engine(engine, generator=self.holds("generator"), people=self.holds("people"))

    def find(self, picture: PictureLike) -> list[Face]:
        """Find the faces of a picture, largest first; `faces=` takes their positions in this list."""
        return find_faces(to_picture(picture), self.analyser)

    def prepare(self, photos: PictureLike | Sequence[PictureLike]) -> Person:
        """Prepare a source from the largest face of one or several photos of one person, to be used many times."""
        given = as_list(photos)
        if not given:
            raise ReliableSwapError("no photo was given; pass at least one photo of the person")
        networks = self.networks()
        return prepare_person(given, networks, self._analyser_of(networks))

    def swap(
        self,
        *,
        target: PictureLike | Sequence[PictureLike],
        source: Source | Sequence[Source] | None = None,
        **options: Unpack[SwapOptions],
    ) -> SwapOutput:
        """Call the pipeline with keyword arguments only: `pipe.swap(person="alice", target="photo.jpg")`."""
        return self(source, target, **options)

    @overload
    def __call__(
        self,
        source: Source | Sequence[Source] | None,
        target: PictureLike | Sequence[PictureLike],
        *,
        return_dict: Literal[False],
        **options: Unpack[SwapOptions],
    ) -> tuple[Images, list[SwapReport]]: ...

    @overload
    def __call__(
        self,
        source: Source | Sequence[Source] | None,
        target: PictureLike | Sequence[PictureLike],
        *,
        return_dict: Literal[True] = True,
        **options: Unpack[SwapOptions],
    ) -> SwapOutput: ...

    def __call__(
        self,
        source: Source | Sequence[Source] | None,
        target: PictureLike | Sequence[PictureLike],
        *,
        faces: Faces = "largest",
        person: str | None = None,
        engine: Engine = "auto",
        likeness: float | None = None,
        shape: float | None = None,
        settings: SwapSettings | None = None,
        expression: float | None = None,
        glasses: float | None = None,
        detail: float | None = None,
        age: float | None = None,
        attributes: Mapping[str, str] | None = None,
        consent: str | Consent | None = None,
        output_type: OutputType = "pil",
        return_dict: bool = True,
        callback: Callable[[int, int], None] | None = None,
    ) -> SwapOutput | tuple[Images, list[SwapReport]]:
        """Put the source's face on faces of the target.

        source, target: files, PIL images, (H,W,3) arrays, (3,H,W) tensors, a prepared person as the source, or lists
        of these: one source for all targets, or one for each.
        faces: "largest", "all", numbers as `find` orders them (0 is the largest), or a mapping from number to source
        (then `source` may be None). "all" reports faces that fail and goes on.
        person: the name of a trained person, in place of a source (None).
        likeness, shape, expression, glasses, detail: 0 to 1, see SwapSettings; or `settings` with all of them.
        age: years by which the face looks older (15 at most) or younger (-15) than in a plain swap; see docs/ageing.md.
        attributes: which parts come from whom, as in {"brows": "target", "glasses": "source"}; see swap.attributes.
        consent: a sentence that says who agreed to what; it is recorded in the report with the time.
        output_type: "pil", "np" or "pt". return_dict: False returns the tuple (images, reports).
        callback: called after each face with the numbers of faces done and to do.

        Nudity and faces that may be a minor's are refused: see RefusedError and docs/safety.md.
        """
        given = {
            "likeness": likeness,
            "shape": shape,
            "expression": expression,
            "glasses": glasses,
            "detail": detail,
            "age": age,
        }
        settings = merged_settings(settings, given)
        if attributes is not None:
            settings = settings.with_attributes(attributes)
        stated = Consent.of(consent)
        chosen = self.choose_engine(engine)
        networks = self.networks()
        call = Call(
            engine=chosen,
            requested_engine=engine,
            settings=settings,
            networks=networks,
            analyser=self._analyser_of(networks),
            gates=self.safety,
            consent=stated,
            progress=Progress(callback),
            place=self.place,
            checksums=self.checksums,
        )
        source = one_source(source, None if person is None else self.trained(person))
        results = [call.swap(one, picture, faces) for one, picture in pairs(source, target)]
        pictures, reports, records = (list(part) for part in zip(*results, strict=True))
        images = as_images(pictures, output_type)
        if not return_dict:
            return images, reports
        return SwapOutput(images=images, pictures=pictures, reports=reports, records=records)

    def video(
        self,
        source: Source | Sequence[PictureLike] | None,
        clip: str | os.PathLike[str],
        output: str | os.PathLike[str],
        *,
        people: People = "first",
        person: str | None = None,
        engine: Engine = "auto",
        settings: SwapSettings | None = None,
        video: VideoSettings | None = None,
        consent: str | Consent | None = None,
        overwrite: bool = False,
        signer: Credentials | None = None,
        nodes: Nodes | None = None,
    ) -> Iterator[VideoProgress | VideoResult]:
        """Put the source's face on people of a clip; yield progress and, last, the result. Needs the extra `video`.

        source: as in a call; several photos are one person. output: .mp4, .mov or .mkv.
        people: "first" (who is seen most), "all", numbers as `reliableswap faces CLIP` shows them, or a mapping from
        number to source (then `source` may be None). "all" skips people whom the gates refuse.
        person: the name of a trained person, in place of a source (None).
        nodes: cluster nodes that make the segments in place of this process; see docs/scale.md.

        Everything else stays as in the clip: frames, timestamps, sound. Finished segments are kept in OUTPUT.parts, so
        that the same call resumes an interrupted run. See docs/video.md.
        """
        from .video import VideoSettings, swap_clip

        return swap_clip(
            self,
            one_source(source, None if person is None else self.trained(person)),
            clip,
            output,
            people=people,
            engine=engine,
            settings=settings or SwapSettings(),
            video=video or VideoSettings(),
            consent=consent,
            overwrite=overwrite,
            signer=signer,
            nodes=nodes,
        )
