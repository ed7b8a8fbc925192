"""The heavy work behind the page: pictures in, pictures out. Nothing here knows of the browser."""

from __future__ import annotations

import html
import operator
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from reliableswap.errors import ReliableSwapError
from reliableswap.faces.align import TEMPLATES, apply, crop, similarity
from reliableswap.faces.face import Face
from reliableswap.media import Picture
from reliableswap.pipelines.image import Engine, ReliableSwapPipeline
from reliableswap.pipelines.output import SwapReport
from reliableswap.swap.blend import blend_face
from reliableswap.swap.settings import SwapSettings
from reliableswap.triplets.surrogates import AlignedFace

from .device import on_gpu
from .limits import MAX_SOURCES

ENGINES: dict[Engine, str] = {"auto": "Automatic", "blend": "Blend", "neural": "Neural"}
# What can be turned, in the order of page and API: its default, and what it does.
STRENGTHS: dict[str, tuple[float, str]] = {
    "likeness": (1.0, "How much of the source comes in."),
    "shape": (0.5, "How far the outline moves to the source's."),
    "detail": (1.0, "How far sharpness and grain follow the target."),
    "expression": (0.65, "How far lips, lids and brows are drawn back to the target's."),
    "glasses": (1.0, "How far glasses that the target wears stay on."),
}
TRIPLET_SIZE = 256  # side of the crops in the figure; training uses the same template, smaller
_PAD = TRIPLET_SIZE // 8


@dataclass(frozen=True)
class Swap:
    """The target as it was, the result, and what was done."""

    before: Picture
    after: Picture
    report: SwapReport


@dataclass(frozen=True)
class Triplet:
    """The pictures of the figure by name, (256,256,3) uint8; `network` only where the pipeline holds one."""

    a: np.ndarray
    b: np.ndarray
    reshaped: np.ndarray
    reenacted: np.ndarray
    recoloured: np.ndarray
    ab: np.ndarray
    ba: np.ndarray
    network: np.ndarray | None


class Worker:
    """One pipeline, and the three jobs that the page asks of it."""

    def __init__(self, pipe: ReliableSwapPipeline | None = None) -> None:
        self.pipe = pipe or ReliableSwapPipeline.bundled()
        if torch.cuda.is_available():
            self.pipe.to("cuda")
        self.find = on_gpu(self._find)
        self.swap = on_gpu(self._swap)
        self.triplet = on_gpu(self._triplet)

    @property
    def engines(self) -> list[Engine]:
        """What this pipeline can run: `neural` only with a generator."""
        return [name for name in ENGINES if name != "neural" or self.pipe.generator is not None]

    def _find(self, picture: Picture) -> list[Face]:
        return self.pipe.find(picture)

    def _swap(
        self,
        sources: Mapping[int, Picture],
        target: Picture,
        faces: Mapping[int, int],
        engine: Engine,
        strengths: Mapping[str, float],
    ) -> Swap:
        """faces: number of the target's face -> number of its source. strengths: the pipeline's, by name."""
        if not sources:
            raise ReliableSwapError("there is no source; add at least one picture with the face to put in")
        if len(sources) > MAX_SOURCES:
            raise ReliableSwapError(f"{len(sources)} sources are too many; give at most {MAX_SOURCES}")
        for face, source in faces.items():
            if source not in sources:
                given = ", ".join(str(number) for number in sorted(sources))
                raise ReliableSwapError(
                    f"face {face} is mapped to source {source}, which was not given; there is {given}"
                )
        mapping = {face: sources[source] for face, source in faces.items()}
        result = self.pipe(None, target, faces=mapping, engine=engine, **dict[str, Any](strengths))
        return Swap(target, result.pictures[0], result.report)

    def _triplet(self, a: Picture, b: Picture) -> Triplet:
        """Both surrogates of a pair of photos, with the steps to the first."""
        settings = SwapSettings(shape=0.75)  # the middle of what training draws
        one, two = self._aligned(a), self._aligned(b)
        glasses = self.pipe.networks().glasses
        ab = blend_face(one.crop, one.mesh, two.crop, two.mesh, settings, glasses=glasses)
        ba = blend_face(two.crop, two.mesh, one.crop, one.mesh, settings, glasses=glasses)
        network = None
        if self.pipe.generator is not None:
            network = self.pipe(ba.image, ab.image, engine="neural").pictures[0].pixels
        pictures = {
            "a": one.crop,
            "b": two.crop,
            "reshaped": ab.steps["reshaped"],
            "reenacted": _placed(ab.steps["reenacted"], ab.steps["reshaped"]),
            "recoloured": _placed(ab.steps["recoloured"], ab.steps["reshaped"]),
            "ab": ab.image,
            "ba": ba.image,
        }
        inner = {name: _inner(picture) for name, picture in pictures.items()}
        return Triplet(**inner, network=None if network is None else _inner(network))

    def _aligned(self, picture: Picture) -> AlignedFace:
        """The largest face as the triplet factory crops it, with some surroundings for reshaping to draw in."""
        face = self.pipe.find(picture)[0]
        matrix = similarity(face.points5, TEMPLATES["arcface_128"].at(TRIPLET_SIZE) + _PAD)
        return AlignedFace(crop(picture.pixels, matrix, TRIPLET_SIZE + 2 * _PAD), apply(matrix, face.mesh))


def _inner(picture: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(picture[_PAD : _PAD + TRIPLET_SIZE, _PAD : _PAD + TRIPLET_SIZE])


def _placed(step: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """(H,W,3) a step of the blend, which is worked out around the face only, with the photo around it."""
    inked = step.max(axis=2) > 0
    rows, columns = (np.flatnonzero(inked.max(axis=axis)) for axis in (1, 0))
    whole = photo.copy()
    if len(rows):
        window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        whole[window] = step[window]
    return whole


def parse_faces(faces: Any) -> dict[int, int]:
    """ "0=1, 2=0" -> {0: 1, 2: 0}; a mapping as it is; nothing given: the largest face gets the first source."""
    if faces is None or (isinstance(faces, str) and not faces.strip()):
        return {0: 0}
    wrong = ReliableSwapError(
        "faces must be pairs of a face's and a source's number, both counted from 0, such as 0=0, 2=1"
    )
    try:
        if isinstance(faces, str):
            pairs: list[Any] = [pair.split("=") for pair in faces.split(",")]
            mapping = {int(face): int(source) for face, source in pairs}
        else:
            pairs = list(dict(faces).items())
            mapping = {operator.index(face): operator.index(source) for face, source in pairs}
    except (TypeError, ValueError):
        raise wrong from None
    if len(mapping) < len(pairs):
        raise ReliableSwapError(f"faces {faces} gives one face two sources; give each face one")
    return mapping


def checked_strengths(*given: Any) -> dict[str, float]:
    """A client's numbers, in the order of STRENGTHS, by name."""
    values = dict(zip(STRENGTHS, given, strict=True))
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
            raise ReliableSwapError(f"{name} is {value!r}; choose a number from 0 to 1")
    return values


def face_crop(picture: Picture, face: Face, side: int = 160) -> np.ndarray:
    """(side,side,3) the face upright as it stands in the photo, with a little around it."""
    x0, y0, x1, y1 = (float(v) for v in face.box)
    half = 0.65 * face.size
    scale = side / (2 * half)
    shift = np.array([(x0 + x1) / 2 - half, (y0 + y1) / 2 - half])
    matrix = np.array([[scale, 0, -scale * shift[0]], [0, scale, -scale * shift[1]]])
    return crop(picture.pixels, matrix, side)


def opaque(picture: Picture) -> Picture:
    """The picture without its transparency, for views that have none."""
    return replace(picture, alpha=None)


def report_html(report: SwapReport) -> str:
    """The report as a small table; names come from clients, so they are escaped."""

    measured = any(face.identity_after is not None for face in report.faces)
    rows = []
    for face in report.faces:
        cells = [html.escape(face.source or "") if face.swapped else "left alone"]
        if measured:
            cells += ["" if v is None else f"{v:.2f}" for v in (face.identity_before, face.identity_after)]
        rows.append(
            f"<tr><th scope='row'>Face {face.index}</th>{''.join(f'<td>{c}</td>' for c in cells)}</tr>"
        )
    head = "".join(
        f"<th scope='col'>{name}</th>"
        for name in ("Face", "Source", *(("Likeness before", "after") if measured else ()))
    )
    why = "" if measured else " Likeness is not measured here: that takes an identity network."
    return (
        f"<table class='report'><caption>{html.escape(report.engine.capitalize())} engine on "
        f"{html.escape(report.device)}, {report.seconds:.1f} s.{why}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )
