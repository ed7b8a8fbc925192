"""The figure "How it is made": both surrogates of two photos, with the steps to the first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reliableswap.faces.align import TEMPLATES, apply, crop, similarity
from reliableswap.media import Picture
from reliableswap.pipelines.image import ReliableSwapPipeline
from reliableswap.swap.blend import blend_face
from reliableswap.swap.settings import SwapSettings

SIZE = 256  # side of the crops; training uses the same template at a smaller size
_PAD = SIZE // 8  # surroundings, for reshaping to draw from
_SETTINGS = SwapSettings(shape=0.75)  # the middle of what triplets are made with


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
    network: np.ndarray | None


def make_triplet(pipe: ReliableSwapPipeline, a: Picture, b: Picture) -> Triplet:
    """Swap the largest faces of two photos both ways, and let the generator, if any, swap the first one back."""
    one, two = _aligned(pipe, a), _aligned(pipe, b)
    glasses = pipe.networks().glasses
    ab = blend_face(*one, *two, _SETTINGS, glasses=glasses)
    ba = blend_face(*two, *one, _SETTINGS, glasses=glasses)
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
        network=network,
    )


def _aligned(pipe: ReliableSwapPipeline, picture: Picture) -> tuple[np.ndarray, np.ndarray]:
    """Crop the largest face as triplets are cropped, with _PAD pixels around it; return crop and mesh (468,3)."""
    face = pipe.find(picture)[0]
    matrix = similarity(face.points5, TEMPLATES["arcface_128"].at(SIZE) + _PAD)
    return crop(picture.pixels, matrix, SIZE + 2 * _PAD), apply(matrix, face.mesh)


def _without_pad(picture: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(picture[_PAD : _PAD + SIZE, _PAD : _PAD + SIZE])
