"""ReliableSwapPipeline: two pictures in, one picture out."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import torch
from diffusers import DiffusionPipeline
from diffusers.utils import logging
from huggingface_hub import HfApi
from typing_extensions import TypedDict, Unpack

from reliableswap.bundled import bundled
from reliableswap.errors import NoFaceError, ReliableSwapError, WeightsError
from reliableswap.faces.analysers.base import FaceAnalyser
from reliableswap.faces.analysers.bundled import BundledAnalyser
from reliableswap.faces.face import Face
from reliableswap.media import Picture
from reliableswap.models.base import without_origin
from reliableswap.models.detector import FaceDetector
from reliableswap.models.fixer import FixerNet
from reliableswap.models.generator import Generator
from reliableswap.models.glasses import GlassesNet
from reliableswap.models.identity import IdentityEncoder
from reliableswap.models.landmarks import MeshNet
from reliableswap.provenance.record import Record
from reliableswap.safety.consent import Consent
from reliableswap.safety.gates import Gates
from reliableswap.swap.engines import ENGINES, run
from reliableswap.swap.job import FaceJob
from reliableswap.swap.networks import Networks
from reliableswap.swap.person import Person
from reliableswap.swap.settings import SwapSettings
from reliableswap.swap.subject import Subject

from .card import pipeline_card
from .components import Components
from .inputs import Faces, PictureLike, Source, as_list, assign, pairs, source_name, to_picture
from .output import FaceReport, Images, OutputType, SwapOutput, SwapReport, as_images, record_of

_HUB = ("repo_id", "private", "token", "commit_message", "revision")
Engine = Literal["auto", "blend", "neural"]


class SwapOptions(TypedDict, total=False):
    """The keyword arguments of a call; see `ReliableSwapPipeline.__call__`."""

    faces: Faces
    engine: Engine
    likeness: float | None
    shape: float | None
    settings: SwapSettings | None
    expression: float | None
    glasses: float | None
    detail: float | None
    consent: str | Consent | None
    output_type: OutputType
    callback: Callable[[int, int], None] | None


class ReliableSwapPipeline(DiffusionPipeline):
    """Swaps faces. `ReliableSwapPipeline.bundled()` needs no download:

    pipe = ReliableSwapPipeline.bundled()
    result = pipe("alice.jpg", "photo.jpg")
    result.save("swapped.png")

    Every network is a registered component: replacing one, changing its weights, `to`, `enable_model_cpu_offload` and
    `save_pretrained` apply to all of them. Without a `glasses` network, glasses are not looked for.
    """

    model_cpu_offload_seq = "detector->landmarks->glasses->identity->fixer->generator"
    _optional_components = ["identity", "fixer", "generator", "glasses"]  # noqa: RUF012 (the base class's own convention)

    def __init__(
        self,
        detector: FaceDetector,
        landmarks: MeshNet,
        identity: IdentityEncoder | None = None,
        fixer: FixerNet | None = None,
        generator: Generator | None = None,
        glasses: GlassesNet | None = None,
    ) -> None:
        super().__init__()
        self.register_modules(
            detector=detector,
            landmarks=landmarks,
            identity=identity,
            fixer=fixer,
            generator=generator,
            glasses=glasses,
        )
        self._analyser: FaceAnalyser | None = None
        self._running = Components(self)
        self._running.check_encoders()
        self._safety = Gates()

    @classmethod
    def bundled(cls, **kwargs: Any) -> ReliableSwapPipeline:
        """The pipeline with the networks that ship with the package."""
        shown = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()  # a few megabytes from the disk need none
        try:
            return cls.from_pretrained(bundled(), **kwargs)
        finally:
            if shown:
                logging.enable_progress_bar()

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any
    ) -> ReliableSwapPipeline:
        """Load from a folder or a Hub repository; failures are one line."""
        place = str(pretrained_model_name_or_path)
        # Convert after loading: the encoder check compares numbers that bfloat16 would round.
        old, new = kwargs.pop("torch_dtype", None), kwargs.pop("dtype", None)
        dtype = old if new is None else new
        # diffusers' default for this needs accelerate, which swapping does without.
        kwargs.setdefault("low_cpu_mem_usage", kwargs.get("device_map") is not None)
        kwargs.setdefault("use_safetensors", True)
        try:
            pipe: ReliableSwapPipeline = super().from_pretrained(place, **kwargs)
        except ReliableSwapError:
            raise
        except (OSError, ValueError) as error:
            raise WeightsError(
                f"no pipeline at {place}: {' '.join(str(error).split())[:300].rstrip('.')}; pass a folder that "
                "save_pretrained wrote, or the name of a Hub repository"
            ) from error
        return pipe if dtype is None else pipe.to(dtype)

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
        return self._find(to_picture(picture), self.analyser)

    def _find(self, picture: Picture, analyser: FaceAnalyser) -> list[Face]:
        faces = analyser(picture.pixels)
        if not faces:
            raise NoFaceError(
                f"no face found in {picture.name} ({picture.width}x{picture.height}, also turned by quarter "
                "turns); use a sharper or larger photo of the face, or crop closer"
            )
        return faces

    @torch.inference_mode()
    def prepare(self, photos: PictureLike | Sequence[PictureLike]) -> Person:
        """Prepare a source from the largest face of one or several photos of one person, to be used many times."""
        given = as_list(photos)
        if not given:
            raise ReliableSwapError("no photo was given; pass at least one photo of the person")
        return self._prepare(given, self.networks())

    def _prepare(self, photos: Sequence[PictureLike], networks: Networks) -> Person:
        subjects, origins = [], []
        for photo in photos:
            picture = to_picture(photo)
            face = self._find(picture, self._analyser_of(networks))[0]
            subjects.append(Subject.around(picture.pixels, face, picture.name, networks))
            origins.append(picture.known_origin())
        return Person(source_name(photos[0]), tuple(subjects), tuple(origins))

    def _person(self, given: Source, networks: Networks) -> Person:
        """The source as a person whose vectors these networks have made."""
        person = given.bound_to(networks) if isinstance(given, Person) else self._prepare([given], networks)
        if networks.identity is not None:
            _ = person.v_id, person.v_fix
        return person

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
        engine: Engine = "auto",
        likeness: float | None = None,
        shape: float | None = None,
        settings: SwapSettings | None = None,
        expression: float | None = None,
        glasses: float | None = None,
        detail: float | None = None,
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
        likeness, shape, expression, glasses, detail: 0 to 1, see SwapSettings; or `settings` with all of them.
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
        }
        settings = merged_settings(settings, given)
        stated = Consent.of(consent)
        chosen = self.choose_engine(engine)
        networks = self.networks()
        progress = _Progress(callback)
        people: dict[int, Person] = {}
        results = [
            self._swap(one, picture, faces, chosen, settings, networks, people, progress, stated)
            for one, picture in pairs(source, target)
        ]
        pictures, reports, records = (list(part) for part in zip(*results, strict=True))
        images = as_images(pictures, output_type)
        if not return_dict:
            return images, reports
        return SwapOutput(images=images, pictures=pictures, reports=reports, records=records)

    def choose_engine(self, engine: Engine) -> Literal["blend", "neural"]:
        """The engine that will run; `auto` is neural where the pipeline has a generator."""
        if engine == "auto":
            return "blend" if self.generator is None else "neural"
        if engine == "neural" and self.generator is None:
            raise WeightsError(
                "engine='neural' needs a generator, and this pipeline holds none; load one with from_pretrained "
                "or use engine='blend'"
            )
        if engine not in ("blend", "neural"):
            raise ReliableSwapError(f"unknown engine {engine!r}; choose auto, blend or neural")
        return engine

    def _swap(
        self,
        source: Source | None,
        target: PictureLike,
        faces: Faces,
        engine: Literal["blend", "neural"],
        settings: SwapSettings,
        networks: Networks,
        people: dict[int, Person],
        progress: _Progress,
        consent: Consent | None,
    ) -> tuple[Picture, SwapReport, Record]:
        """One target: its picture with the faces swapped, the report, and the record of provenance."""
        started = time.perf_counter()
        picture = to_picture(target)
        analyser = self._analyser_of(networks)
        with ThreadPoolExecutor(2) as pool:
            finding = pool.submit(self._find, picture, analyser)
            looking = pool.submit(self.safety.shows_nudity, picture.pixels)
            for given in faces.values() if isinstance(faces, Mapping) else [source]:
                if given is not None and id(given) not in people:
                    people[id(given)] = self._person(given, networks)
        found = finding.result()
        wanted = assign(source, faces, len(found), picture.name)
        progress.more(len(wanted))

        subjects = _subjects(picture, {index: found[index] for index in wanted}, networks)
        sources = {id(given): people[id(given)] for given in wanted.values()}
        refused = self.safety.check_inputs(
            picture.pixels, picture.name, subjects, sources.values(), looking.result()
        )

        report = SwapReport(picture.name, engine, self.place, analyser.name, consent=consent)
        report.faces = [FaceReport(i, _box(face), round(face.score, 4)) for i, face in enumerate(found)]
        pixels = picture.pixels.copy()
        failure: ReliableSwapError | None = None
        for index, given in wanted.items():
            entry = report.faces[index]
            try:
                if index in refused:
                    raise refused[index]
                subject = Subject.around(pixels, found[index], picture.name, networks)
                if np.array_equal(subject.pixels, subjects[index].pixels):  # no earlier swap reached it
                    subject = subjects[index]
                job = FaceJob.start(subject, people[id(given)], settings, networks)
                job = run(ENGINES[engine], job)
                subject.put_back(pixels, job.image, job.mask)
                entry.swapped, entry.engine, entry.source = True, engine, source_name(given)
                _measure(entry, job)
            except ReliableSwapError as error:
                if not (isinstance(faces, str) and faces == "all"):
                    raise
                entry.error, failure = str(error), error
            progress.done()
        if failure is not None and not report.swapped:
            raise failure
        self.safety.check_result(pixels, picture.name, [found[index].box for index in report.swapped])
        used = [people[id(wanted[index])] for index in report.swapped]
        record = record_of(report, settings, picture, used, self._running.checksums())
        report.seconds = round(time.perf_counter() - started, 4)
        return replace(picture, pixels=pixels), report, record

    def save_pretrained(
        self,
        save_directory: str | os.PathLike[str],
        *,
        figures: Mapping[str, float | str] | None = None,
        push_to_hub: bool = False,
        **kwargs: Any,
    ) -> None:
        """Write every network, model_index.json and a card with the measured `figures` by name.

        With push_to_hub the folder goes to the Hub too (repo_id, private, token, commit_message, revision).
        """
        networks = [network for network in self.components.values() if network is not None]
        if any(p.dtype == torch.bfloat16 for network in networks for p in network.parameters()):
            raise WeightsError(
                "a pipeline in bfloat16 is not saved: after rounding, its encoders can't be recognised as those that "
                "the generator was trained with; move it to torch.float32 or torch.float16 first"
            )
        hub = {key: kwargs.pop(key) for key in _HUB if key in kwargs}
        super().save_pretrained(save_directory, **kwargs)
        folder = Path(save_directory)
        place = str(hub.get("repo_id") or folder.name)
        (folder / "README.md").write_text(pipeline_card(self.components, place, figures), encoding="utf-8")
        if push_to_hub:
            api = HfApi(token=hub.get("token"))
            repo = api.create_repo(place, private=hub.get("private"), exist_ok=True).repo_id
            api.upload_folder(
                repo_id=repo,
                folder_path=folder,
                commit_message=hub.get("commit_message") or "Upload a ReliableSwap pipeline",
                revision=hub.get("revision"),
            )

    def push_to_hub(self, repo_id: str, **kwargs: Any) -> None:
        """Save to a temporary folder and upload it; takes what save_pretrained takes."""
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder, push_to_hub=True, repo_id=repo_id, **kwargs)

    def to_json_string(self) -> str:
        """The text of model_index.json, without the path that the pipeline was loaded from."""
        return without_origin(super().to_json_string())


def merged_settings(settings: SwapSettings | None, given: Mapping[str, float | None]) -> SwapSettings:
    """The settings, or those made of single values; both together contradict each other."""
    named = {name: value for name, value in given.items() if value is not None}
    if settings is None:
        return SwapSettings(**named)
    if named:
        raise ReliableSwapError(
            f"settings= and {', '.join(f'{name}=' for name in named)} were both given; put all of them into settings"
        )
    return settings


class _Progress:
    """Counts faces for the caller's callback."""

    def __init__(self, callback: Callable[[int, int], None] | None) -> None:
        self.callback, self.count, self.total = callback, 0, 0

    def more(self, faces: int) -> None:
        self.total += faces

    def done(self) -> None:
        self.count += 1
        if self.callback is not None:
            self.callback(self.count, self.total)


def _subjects(picture: Picture, faces: Mapping[int, Face], networks: Networks) -> dict[int, Subject]:
    """The subjects of the faces by number; a face outside of the picture has none."""
    subjects = {}
    for index, face in faces.items():
        with contextlib.suppress(NoFaceError):
            subjects[index] = Subject.around(picture.pixels, face, picture.name, networks)
    return subjects


def _measure(entry: FaceReport, job: FaceJob) -> None:
    """Cosines to the source before and after, where there is an encoder."""
    if job.networks.identity is None:
        return
    after = replace(job.target, pixels=job.image)
    entry.identity_before = round(float((job.target.v_id * job.person.v_id).sum()), 4)
    entry.identity_after = round(float((after.v_id * job.person.v_id).sum()), 4)


def _box(face: Face) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (round(float(v), 1) for v in face.box)
    return x0, y0, x1, y1
