"""ReliableSwapPipeline: two pictures in, one picture out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, Unpack, overload

import torch

from reliableswap.errors import ReliableSwapError
from reliableswap.faces.analysers.base import FaceAnalyser
from reliableswap.faces.analysers.bundled import BundledAnalyser
from reliableswap.faces.face import Face
from reliableswap.models.comb_autoencoder import CombAutoencoder
from reliableswap.models.detector import FaceDetector
from reliableswap.models.fixer import FixerNet
from reliableswap.models.generator import Generator
from reliableswap.models.glasses import GlassesNet
from reliableswap.models.identity import IdentityEncoder
from reliableswap.models.landmarks import MeshNet
from reliableswap.models.onnx_identity import OnnxIdentityEncoder
from reliableswap.models.visibility import VisibilityNet
from reliableswap.provenance.credentials import Credentials
from reliableswap.safety.consent import Consent
from reliableswap.safety.gates import Gates
from reliableswap.swap.networks import Networks
from reliableswap.swap.person import Person
from reliableswap.swap.settings import SwapSettings

from .clip_nodes import Nodes
from .components import Components
from .inputs import Faces, PictureLike, Source, as_list, pairs, to_picture
from .options import ChosenEngine, SwapOptions, chosen_engine, merged_settings
from .options import Engine as Engine
from .output import Images, OutputType, SwapOutput, SwapReport, as_images
from .people import find_faces, prepared
from .stored import StoredPipeline
from .swapping import Call, Progress
from .trained import one_source, trained_person
from .video import People, VideoProgress, VideoResult, VideoSettings, swap_clip


class ReliableSwapPipeline(StoredPipeline):
    """Swaps faces. `ReliableSwapPipeline.bundled()` needs no download:

    pipe = ReliableSwapPipeline.bundled()
    result = pipe("alice.jpg", "photo.jpg")
    result.save("swapped.png")

    Every network is a registered component: replacing one, changing its weights, `to`, `enable_model_cpu_offload` and
    `save_pretrained` apply to all of them. Without a `glasses` network, glasses are not looked for;
    without a `visibility` network, what covers a face is judged by colour. `people` holds people with a decoder of
    their own, see docs/person.md.
    """

    model_cpu_offload_seq = "detector->landmarks->glasses->visibility->identity->fixer->generator->people"
    _optional_components = ["identity", "fixer", "generator", "glasses", "visibility", "people"]  # noqa: RUF012 (the base class's own convention)

    def __init__(
        self,
        detector: FaceDetector,
        landmarks: MeshNet,
        identity: IdentityEncoder | OnnxIdentityEncoder | None = None,
        fixer: FixerNet | None = None,
        generator: Generator | None = None,
        glasses: GlassesNet | None = None,
        visibility: VisibilityNet | None = None,
        people: CombAutoencoder | None = None,
    ) -> None:
        super().__init__()
        self.register_modules(
            detector=detector,
            landmarks=landmarks,
            identity=identity,
            fixer=fixer,
            generator=generator,
            glasses=glasses,
            visibility=visibility,
            people=people,
        )
        self._analyser: FaceAnalyser | None = None
        self._running = Components(self)
        self._running.check_encoders()
        self._safety = Gates()

    def on(self, device: str) -> ReliableSwapPipeline:
        """Move to a device by name; one that this machine does not have is an error of one line.

        Besides torch's devices there are `openvino` and `onnx`: the CPU, with generator and encoders run by OpenVINO
        or ONNX Runtime.
        """
        try:
            self._running.use_device(device)
        except (RuntimeError, AssertionError, ValueError) as error:
            if isinstance(error, ReliableSwapError):
                raise
            reason = str(error).splitlines()[0].rstrip(".")
            raise ReliableSwapError(f"can't run on {device}: {reason}; choose cpu") from error
        return self

    def to(self, *args: Any, **kwargs: Any) -> ReliableSwapPipeline:
        """Move to a device or dtype of torch's; networks then run by torch."""
        with self._running.unchanged_weights():
            moved: ReliableSwapPipeline = super().to(*args, **kwargs)
        return moved

    @property
    def place(self) -> str:
        """Where the networks run: a device of torch's, or the name of another runtime."""
        return self._running.runtime_name or str(self.device)

    @property
    def analyser(self) -> FaceAnalyser:
        """What finds faces: the components `detector` and `landmarks`, or another analyser that was set."""
        return self._analyser or BundledAnalyser(self.detector, self.landmarks)

    @analyser.setter
    def analyser(self, analyser: FaceAnalyser | None) -> None:
        self._analyser = analyser

    @property
    def safety(self) -> Gates:
        """The gates that every swap passes, and their counts."""
        return self._safety

    def networks(self) -> Networks:
        """The components as they run now; raises if generator and encoders do not belong together."""
        return self._running.networks()

    def find(self, picture: PictureLike) -> list[Face]:
        """The faces of a picture, largest first; their positions in the list are what `faces=` takes."""
        return find_faces(to_picture(picture), self.analyser)

    @torch.inference_mode()
    def prepare(self, photos: PictureLike | Sequence[PictureLike]) -> Person:
        """Prepare a source from the largest face of one or several photos of one person, to be used many times."""
        given = as_list(photos)
        if not given:
            raise ReliableSwapError("no photo was given; pass at least one photo of the person")
        networks = self.networks()
        return prepared(given, networks, self._analyser_of(networks))

    def trained(self, name: str) -> Person:
        """Somebody whose decoder `people` holds, as a source."""
        return trained_person(self.people, name, self.networks())

    def swap(
        self,
        *,
        target: PictureLike | Sequence[PictureLike],
        source: Source | Sequence[Source] | None = None,
        **options: Unpack[SwapOptions],
    ) -> SwapOutput:
        """A call with everything by name: `pipe.swap(person="alice", target="photo.jpg")`."""
        return self(source, target, **options)

    def _analyser_of(self, networks: Networks) -> FaceAnalyser:
        """The analyser, with networks that were looked up once for all pictures of a call."""
        return self._analyser or BundledAnalyser(networks.detector, networks.landmarks)

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

    @torch.inference_mode()
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
        person: the name of somebody trained, in place of a source (None).
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
            asked=engine,
            settings=settings,
            networks=networks,
            analyser=self._analyser_of(networks),
            gates=self.safety,
            consent=stated,
            progress=Progress(callback),
            place=self.place,
            checksums=self._running.checksums,
        )
        source = one_source(source, None if person is None else trained_person(self.people, person, networks))
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
        """Put the source's face on people of a clip; yields progress and, last, the result. Needs the extra `video`.

        source: as in a call; several photos are one person. output: .mp4, .mov or .mkv.
        people: "first" (who is seen most), "all", numbers as `reliableswap faces CLIP` shows them, or a mapping from
        number to source (then `source` may be None). "all" leaves people alone whom the gates refuse.
        person: the name of somebody trained, in place of a source (None).
        nodes: who makes the segments in place of this process; see docs/scale.md.

        Frames, time stamps, sound and everything else stay the clip's. Finished segments are kept in OUTPUT.parts, so
        the same call goes on where a run was interrupted. See docs/video.md.
        """
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

    def checksums(self) -> dict[str, tuple[str, str]]:
        """Class and weights' checksum of every network by its name."""
        return self._running.checksums()

    def choose_engine(self, engine: Engine) -> ChosenEngine:
        """The engine of photos; `auto` is neural where the pipeline has a generator. Who is trained has an own one."""
        return chosen_engine(engine, generator=self.generator is not None, people=self.people is not None)
