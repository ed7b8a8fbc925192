"""ReliableSwapPipeline: two pictures in, one picture out."""

from __future__ import annotations

import operator
import os
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import torch
from diffusers import DiffusionPipeline
from diffusers.utils import BaseOutput, logging
from huggingface_hub import HfApi
from PIL import Image

from reliableswap.bundled import bundled
from reliableswap.errors import NoFaceError, ReliableSwapError, WeightsError
from reliableswap.faces.analysers.base import BundledAnalyser, FaceAnalyser
from reliableswap.faces.detect import add_meshes
from reliableswap.faces.face import Face
from reliableswap.geometry.expression import keep_expression
from reliableswap.geometry.shape import shaped_mesh
from reliableswap.imaging.colour import in_black_and_white_as
from reliableswap.media import Picture, check_output, read_picture, write_picture
from reliableswap.models.base import without_origin
from reliableswap.models.compat import check_encoder
from reliableswap.models.detector import FaceDetector
from reliableswap.models.fixer import FixerNet
from reliableswap.models.generator import Generator
from reliableswap.models.identity import IdentityEncoder
from reliableswap.models.landmarks import MeshNet
from reliableswap.runtime.openvino import NAME as OPENVINO
from reliableswap.runtime.openvino import OpenVino, library
from reliableswap.swap.engines import NeuralEngine, Region, blend_region, identity_vector
from reliableswap.swap.settings import SwapSettings

from .card import pipeline_card
from .output import FaceReport, SwapReport

PictureLike = str | os.PathLike[str] | bytes | BinaryIO | Image.Image | np.ndarray | Picture
_HUB = ("repo_id", "private", "token", "commit_message", "revision")
Engine = Literal["auto", "blend", "neural"]
Faces = Literal["largest", "all"] | int | Sequence[int] | Mapping[int, PictureLike]


@dataclass
class SwapOutput(BaseOutput):
    """images: the result as PIL; pictures: the same with alpha and colour profile; report: what was done.

    `save` writes a file that is marked as made by AI. What Pillow itself saves is not.
    """

    images: list[Image.Image]
    pictures: list[Picture]
    report: SwapReport

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False, quality: int = 95) -> Path:
        """Write the result, marked; the extension is the format, quality that of JPEG and WebP. Returns the path."""
        output = check_output(path, overwrite=overwrite)
        write_picture(self.pictures[0], output, overwrite=overwrite, quality=quality)
        return output


class ReliableSwapPipeline(DiffusionPipeline):
    """Swaps faces. `ReliableSwapPipeline.bundled()` needs no download:

    pipe = ReliableSwapPipeline.bundled()
    result = pipe("alice.jpg", "photo.jpg")
    result.save("swapped.png")
    """

    model_cpu_offload_seq = "detector->landmarks->identity->fixer->generator"
    _optional_components = ["identity", "fixer", "generator"]  # noqa: RUF012 (the base class's own convention)

    def __init__(
        self,
        detector: FaceDetector,
        landmarks: MeshNet,
        identity: IdentityEncoder | None = None,
        fixer: FixerNet | None = None,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        if generator is not None:
            if identity is None:
                raise WeightsError(
                    f"a {type(generator).__name__} without its identity encoder can't swap; load "
                    f"{generator.config['identity_encoder'] or 'the encoder'} too"
                )
            check_encoder(generator, identity, fixer)
        self.register_modules(
            detector=detector, landmarks=landmarks, identity=identity, fixer=fixer, generator=generator
        )
        self.analyser: FaceAnalyser = BundledAnalyser(detector, landmarks)
        self._by_openvino: dict[str, OpenVino] = {}

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any
    ) -> ReliableSwapPipeline:
        """Load from a folder or a Hub repository; what goes wrong is told in one line."""
        place = str(pretrained_model_name_or_path)
        # Asked for here, as whether generator and encoders belong together is told by numbers that bfloat16 rounds.
        old, new = kwargs.pop("torch_dtype", None), kwargs.pop("dtype", None)
        wanted = old if new is None else new
        # As for each network: the other path needs accelerate, and who only swaps need not have it.
        kwargs.setdefault("low_cpu_mem_usage", kwargs.get("device_map") is not None)
        try:
            pipe: ReliableSwapPipeline = super().from_pretrained(place, **kwargs)
        except ReliableSwapError:
            raise
        except (OSError, ValueError) as error:
            raise WeightsError(
                f"no pipeline at {place}: {' '.join(str(error).split())[:300].rstrip('.')}; pass a folder that "
                "save_pretrained wrote, or the name of a Hub repository"
            ) from error
        return pipe if wanted is None else pipe.to(wanted)

    def on(self, device: str) -> ReliableSwapPipeline:
        """Moved to a device by name; what this machine doesn't have is told in one line.

        `openvino` is the CPU with generator and encoders run by OpenVINO.
        """
        try:
            if device == OPENVINO:
                library()
                self.to("cpu", torch.float32)
                swapping = {name: getattr(self, name) for name in ("generator", "identity", "fixer")}
                self._by_openvino = {k: OpenVino(v) for k, v in swapping.items() if v is not None}
            else:
                self.to(device)
        except (RuntimeError, AssertionError, ValueError) as error:
            reason = str(error).splitlines()[0].rstrip(".")
            raise ReliableSwapError(f"can't run on {device}: {reason}; choose cpu") from error
        return self

    def to(self, *args: Any, **kwargs: Any) -> ReliableSwapPipeline:
        """Moved to a device or type of torch's, where its networks then run by torch."""
        self._by_openvino = {}
        moved: ReliableSwapPipeline = super().to(*args, **kwargs)
        return moved

    @property
    def place(self) -> str:
        """Where it runs, in a word: a device of torch's, or openvino."""
        return OPENVINO if self._by_openvino else str(self.device)

    @classmethod
    def bundled(cls, **kwargs: Any) -> ReliableSwapPipeline:
        """The pipeline with the networks that ship with the package."""
        shown = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()  # two megabytes from the disk need none
        try:
            return cls.from_pretrained(bundled(), **kwargs)
        finally:
            if shown:
                logging.enable_progress_bar()

    def save_pretrained(
        self,
        save_directory: str | os.PathLike[str],
        *,
        figures: Mapping[str, float | str] | None = None,
        push_to_hub: bool = False,
        **kwargs: Any,
    ) -> None:
        """Write every network, model_index.json and a card that holds the measured `figures` by name.

        With push_to_hub the folder goes to the Hub too (repo_id, private, token, commit_message, revision).
        """
        if any(
            p.dtype == torch.bfloat16 for one in self.components.values() if one for p in one.parameters()
        ):
            raise WeightsError(
                "a pipeline in bfloat16 is not saved: rounded so, its encoders are no longer known as those that the "
                "generator was trained on; move it to torch.float32 or torch.float16 first"
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

    def to_json_string(self) -> str:
        """model_index.json's text; the folder a pipeline was once loaded from is nobody's business."""
        return without_origin(super().to_json_string())

    def push_to_hub(self, repo_id: str, **kwargs: Any) -> None:
        """Save to a temporary folder and upload it; takes what save_pretrained takes."""
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder, push_to_hub=True, repo_id=repo_id, **kwargs)

    @torch.inference_mode()
    def __call__(
        self,
        source: PictureLike | None,
        target: PictureLike,
        faces: Faces = "largest",
        engine: Engine = "auto",
        likeness: float = 1.0,
        shape: float = 0.5,
        settings: SwapSettings | None = None,
        expression: float = 0.65,
        glasses: float = 1.0,
        detail: float = 1.0,
    ) -> SwapOutput:
        """Put the source's face on faces of the target.

        faces: "largest", "all", numbers as `reliableswap faces` prints them (0 is the largest), or a mapping
        from number to another source for each (then `source` may be None). likeness and shape, 0 to 1: how
        much of the source comes in, and how far the face's outline moves. settings: every setting of the blend;
        replaces likeness, shape, glasses and detail. expression, 0 to 1: how far lips, lids and brows of the made
        face are drawn back to where the target has them. glasses, 0 to 1: how far those that the target wears stay
        on; at 0 they come off as far as the engine can. detail, 0 to 1: how far sharpness and grain become the
        target's.
        """
        started = time.perf_counter()
        if not 0 <= expression <= 1:
            raise ReliableSwapError(f"expression is {expression}; choose a value from 0 to 1")
        settings = settings or SwapSettings(likeness=likeness, shape=shape, glasses=glasses, detail=detail)
        picture = read_picture(target)
        chosen = self.choose_engine(engine)
        found = self.find(picture)
        wanted = assign(source, faces, len(found), picture.name)
        sources = self._source_regions(wanted)
        swap = blend_region if chosen == "blend" else self._neural()

        pixels = picture.pixels.copy()
        report = SwapReport(picture.name, chosen, self.place, self.analyser.name)
        report.faces = [FaceReport(i, _box(face), round(face.score, 4)) for i, face in enumerate(found)]
        for index, given in wanted.items():
            source_region = sources[id(given)]
            target_region = Region.around(pixels, found[index], picture.name)
            swapped, mask = swap(target_region, source_region, settings)
            swapped, mask = self._with_expression(
                target_region, source_region, swapped, mask, settings, expression
            )
            swapped = in_black_and_white_as(swapped, target_region.pixels)
            target_region.put_back(pixels, swapped, mask)
            entry = report.faces[index]
            entry.swapped, entry.engine, entry.source = True, chosen, _name(given)
            self._measure(entry, source_region, target_region, swapped)

        result = replace(picture, pixels=pixels)
        report.seconds = round(time.perf_counter() - started, 4)
        return SwapOutput(images=[result.to_pil()], pictures=[result], report=report)

    def find(self, picture: PictureLike) -> list[Face]:
        """The faces of a picture, largest first: their numbers are what `faces=` takes."""
        picture = read_picture(picture)
        faces = self.analyser(picture.pixels)
        if not faces:
            raise NoFaceError(
                f"no face found in {picture.name} ({picture.width}x{picture.height}, also turned by quarter "
                "turns); use a sharper or larger photo of the face, or crop closer"
            )
        return faces

    def choose_engine(self, engine: Engine) -> Literal["blend", "neural"]:
        """The engine that will run; `auto` is neural where this pipeline holds a generator."""
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

    def _neural(self) -> NeuralEngine:
        return NeuralEngine(self._network("generator"), self._network("identity"), self._network("fixer"))

    def _network(self, name: str) -> Any:
        """The network as it runs where this pipeline was put."""
        quick, own = self._by_openvino.get(name), getattr(self, name)
        return quick if quick is not None and quick.network is own else own

    def _with_expression(
        self,
        target: Region,
        source: Region,
        swapped: np.ndarray,
        mask: np.ndarray,
        settings: SwapSettings,
        strength: float,
    ) -> tuple[np.ndarray, np.ndarray]:
        """(H,W,3), (H,W) the swapped region with the target's expression, as far as the made face can be read, and
        where it is not the target's own."""
        if strength * settings.likeness == 0:
            return swapped, mask
        (made,) = add_meshes(self.landmarks, swapped, [target.face])
        if not made.confirmed:
            return swapped, mask
        goal = shaped_mesh(target.face.mesh, source.face.mesh, settings.shape * settings.likeness)
        drawn, moved = keep_expression(swapped, made.mesh, goal, strength * settings.likeness)
        return drawn, np.maximum(mask, moved)

    def _source_regions(self, wanted: Mapping[int, PictureLike]) -> dict[int, Region]:
        """The largest face of each source, found once however many faces it goes to."""
        regions: dict[int, Region] = {}
        for given in wanted.values():
            if id(given) not in regions:
                picture = read_picture(given)
                regions[id(given)] = Region.around(picture.pixels, self.find(picture)[0], picture.name)
        return regions

    def _measure(self, entry: FaceReport, source: Region, target: Region, swapped: np.ndarray) -> None:
        """Cosine to the source before and after, where there is an encoder to tell."""
        encoder = self._network("identity")
        if encoder is None:
            return
        wanted = identity_vector(encoder, source)
        after = replace(target, pixels=swapped)
        entry.identity_before = round(float((identity_vector(encoder, target) * wanted).sum()), 4)
        entry.identity_after = round(float((identity_vector(encoder, after) * wanted).sum()), 4)


def assign(source: PictureLike | None, faces: Faces, count: int, name: str) -> dict[int, PictureLike]:
    """Which source goes to which face; every number must exist."""
    if isinstance(faces, Mapping):
        wanted: dict[int, Any] = dict(faces)
    elif isinstance(faces, str) and faces == "largest":  # an array would be compared number by number
        wanted = {0: source}
    elif isinstance(faces, str) and faces == "all":
        wanted = dict.fromkeys(range(count), source)
    else:
        wanted = dict.fromkeys(faces if isinstance(faces, Iterable) else [faces], source)
    wanted = {_number(face, faces): given for face, given in wanted.items()}
    if not wanted:
        raise ReliableSwapError("no face was chosen; give faces at least one number")
    for index, given in wanted.items():
        if not 0 <= index < count:
            known = "only face 0" if count == 1 else f"faces 0 to {count - 1}"
            raise NoFaceError(f"{name} has no face {index}; it has {known}, see `reliableswap faces {name}`")
        if given is None:
            raise ReliableSwapError(f"no source for face {index}; pass a source or map the face to one")
    return wanted


def _number(face: Any, given: Faces) -> int:
    """A face's number, of whatever kind that counts."""
    try:
        if isinstance(face, (bool, np.bool_)):
            raise TypeError
        return operator.index(face)
    except TypeError:
        raise ReliableSwapError(
            f"faces={given!r} is not known; use 'largest', 'all', numbers or a mapping from numbers"
        ) from None


def _box(face: Face) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (round(float(v), 1) for v in face.box)
    return x0, y0, x1, y1


def _name(given: PictureLike) -> str:
    if isinstance(given, (str, os.PathLike)):
        return Path(given).name
    return given.name if isinstance(given, Picture) else type(given).__name__
