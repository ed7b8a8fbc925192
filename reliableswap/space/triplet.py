"""The figure "How it is made": the surrogates of two photos, with the steps that lead to the first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reliableswap.data.aligned import AlignedFace
from reliableswap.faces.align import TEMPLATES, apply, crop, similarity
from reliableswap.faces.face import Face
from reliableswap.media import Picture
from reliableswap.pipelines.image import ReliableSwapPipeline
from reliableswap.swap.blend import blend_face
from reliableswap.swap.person import Person
from reliableswap.swap.settings import SwapSettings
from reliableswap.swap.subject import Subject
from reliableswap.triplets.settings import SourceVariation
from reliableswap.triplets.surrogates.source import make_source_surrogate

SIZE = 256  # side of the crops; training uses the same template at a smaller size
_PAD = SIZE // 8  # surroundings, for reshaping to draw from
_SETTINGS = SwapSettings(shape=0.75)  # the middle of the range that triplets are made with

# Light, colours, pose and expression show best what a source surrogate is.
_VARIATION = SourceVariation(lit=1.0, recoloured=1.0, softened=0.0, background=0.0, glasses=0.0)
_TRIES = 3


@dataclass(frozen=True)
class Triplet:
    """The pictures of the figure by name, (256,256,3) uint8; `network` is None if the pipeline has no generator."""

    a: np.ndarray
    b: np.ndarray
    reshaped: np.ndarray
    reenacted: np.ndarray
    recoloured: np.ndarray
    ab: np.ndarray
    ba: np.ndarray
    source: np.ndarray
    network: np.ndarray | None


def make_triplet(pipe: ReliableSwapPipeline, a: Picture, b: Picture) -> Triplet:
    """Swap the largest faces of two photos both ways, and let the generator, if any, swap the first one back."""
    faces = pipe.find(a)[0], pipe.find(b)[0]
    _check(pipe, (a, b), faces)
    one, two = _aligned(a, faces[0]), _aligned(b, faces[1])
    glasses = pipe.networks().glasses
    ab = blend_face(*one, *two, _SETTINGS, glasses=glasses)
    ba = blend_face(*two, *one, _SETTINGS, glasses=glasses)
    source = _source(one, two)
    for made, photo in ((ab.image, a), (ba.image, b), (source, a)):
        pipe.safety.check_result(made, photo.name, [])
    network = None
    if pipe.generator is not None:
        network = _without_pad(pipe(ba.image, ab.image, engine="neural").pictures[0].pixels)
    return Triplet(
        a=_without_pad(one[0]),
        b=_without_pad(two[0]),
        reshaped=_without_pad(ab.steps["reshaped"]),
        reenacted=_without_pad(ab.steps["reenacted"]),
        recoloured=_without_pad(ab.steps["recoloured"]),
        ab=_without_pad(ab.image),
        ba=_without_pad(ba.image),
        source=source,
        network=network,
    )


def _source(one: tuple[np.ndarray, np.ndarray], two: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """(256,256,3) another picture of the first crop's person, with pose and expression modelled on the second.

    The best of a few tries, the same ones for the same two crops.
    """
    face, other = AlignedFace(*one), AlignedFace(*two)
    drawn = (
        make_source_surrogate(face, other, SIZE, _VARIATION, np.random.default_rng(seed))
        for seed in range(_TRIES)
    )
    return min(drawn, key=lambda made: made.folded).face.crop


def _check(pipe: ReliableSwapPipeline, photos: tuple[Picture, Picture], faces: tuple[Face, Face]) -> None:
    """Raise RefusedError unless the gates let a swap pass in both directions."""
    networks = pipe.networks()
    subjects = [
        Subject.around(photo.pixels, face, photo.name, networks)
        for photo, face in zip(photos, faces, strict=True)
    ]
    for target, source in ((0, 1), (1, 0)):
        person = Person(photos[source].name, (subjects[source],))
        photo = photos[target]
        checked = pipe.safety.check_inputs(photo.pixels, photo.name, {0: subjects[target]}, [person])
        for error in checked.refused.values():
            raise error


def _aligned(picture: Picture, face: Face) -> tuple[np.ndarray, np.ndarray]:
    """Crop the face as triplets are cropped, with _PAD pixels around it; return crop and mesh (468,3)."""
    matrix = similarity(face.points5, TEMPLATES["arcface_128"].at(SIZE) + _PAD)
    return crop(picture.pixels, matrix, SIZE + 2 * _PAD), apply(matrix, face.mesh)


def _without_pad(picture: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(picture[_PAD : _PAD + SIZE, _PAD : _PAD + SIZE])
