"""Make a face look older or younger, along directions measured on photos of adults of known age.

`python -m tools.ageing` (tools/ageing.py) fits them by linear regression on age, with sex, group, pose and mouth as
further terms, and writes ageing.json. Nothing in it shows a person. There are three directions, each per year:

- tone: added to the skin's colour and lightness at each place of the face, such as the shade of a fold by the mouth.
- gain: the log gain of fine structure at each place, in three octaves: existing wrinkles deepen.
- shape: the movement of the mesh, on the mean face.

Averages of many faces are soft, so the measured directions change a single face too little. Their strengths were raised
until the second network of the age gate sees about the requested change in years, as far as that leaves no stains;
docs/ageing.md has the figures.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import cv2
import numpy as np

from reliableswap.geometry import regions
from reliableswap.geometry.measures import onto_mean_face
from reliableswap.geometry.raster import rasterise
from reliableswap.geometry.topology import topology
from reliableswap.imaging import colour

GRID = (168, 160)  # height and width in pixels of the maps, which show the mean face from the front
PIXELS = 84.0  # map pixels per eye distance
OCTAVES = (1.0, 2.0, 4.0)  # sigmas, in map pixels, of the blurs that separate the octaves of fine structure
COARSE = 4  # map pixels per pixel of `gain`
_EDGE, _FEATHER = 0.06, 0.025  # in face widths: how far inside the outline the change ends, and its soft edge
_GAINS = (1 / 3, 2.2)  # the least and the largest factor on an octave


@dataclass(frozen=True, eq=False)
class Ageing:
    """The change per year: tone (168,160,3) Lab, gain (42,40,3) by octave, shape (468,3) in eye distances."""

    tone: np.ndarray
    gain: np.ndarray
    shape: np.ndarray

    def mesh(self, mesh: np.ndarray, years: float) -> np.ndarray:
        """(468,3) the mesh aged by `years`, in its own pose and size."""
        if years == 0:
            return mesh
        scale, rotation, _ = onto_mean_face(mesh)
        return np.asarray(mesh + years * self.shape @ rotation.T / scale, np.float32)

    def picture(
        self, picture: np.ndarray, mesh: np.ndarray, years: float, seen: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """(H,W,3) uint8 the picture with its face aged by `years`, and (H,W) in 0..1 where that changed it.

        mesh (468,3): the face's. seen: (H,W) in 0..1, where nothing is in front of the face.
        """
        where = regions.window(mesh, picture.shape[:2], 0)
        corner = np.array([where[1].start, where[0].start, 0], np.float32)
        piece, moved = picture[where], (mesh - corner).astype(np.float32)
        weight = _weight(moved, piece.shape[:2])
        if seen is not None:
            weight = weight * seen[where]
        out, changed = picture.copy(), np.zeros(picture.shape[:2], np.float32)
        if years == 0 or not weight.any():
            return out, changed
        places = rasterise(moved, piece.shape[:2]).picture(map_places(), outside=-2)
        lab = colour.to_lab(piece)
        change = np.float32(years) * cv2.remap(self.tone, places, None, cv2.INTER_LINEAR)
        change[..., 0] += self._fine_detail_change(lab[..., 0], places, moved, years)
        aged = colour.to_rgb(lab + cv2.merge([weight] * 3) * change)
        out[where] = np.where(weight[..., None] > 0, np.rint(aged), piece).astype(np.uint8)
        changed[where] = weight
        return out, changed

    def _fine_detail_change(
        self, light: np.ndarray, places: np.ndarray, mesh: np.ndarray, years: float
    ) -> np.ndarray:
        """(H,W) the change of lightness (H,W) that makes fine structure grow or shrink."""
        inside = (regions.oval(mesh, light.shape[:2]) + 1e-3).astype(np.float32)
        pixel = regions.face_width(mesh) / map_width()
        gains = cv2.remap(self.gain, (places + 0.5) / COARSE - 0.5, None, cv2.INTER_LINEAR)
        low, high = np.log(_GAINS)
        added, before = np.zeros_like(light), light
        for n, sigma in enumerate(OCTAVES):
            after = _blurred(light, inside, sigma * pixel)
            added += (np.exp(np.clip(years * gains[..., n], low, high)) - 1) * (before - after)
            before = after
        return added


def map_places() -> np.ndarray:
    """(468,2) float32 where the mean face's points lie on the maps."""
    face = topology().canonical
    top = face[:, 1].min() - 0.06
    x, y = face[:, 0] * PIXELS + (GRID[1] - 1) / 2, (face[:, 1] - top) * PIXELS - 0.5
    return np.column_stack([x, y]).astype(np.float32)


def map_width() -> float:
    """The mean face's width in pixels of the maps."""
    return PIXELS * regions.face_width(topology().canonical)


@lru_cache(maxsize=1)
def ageing() -> Ageing:
    """Return the directions that ship with the package."""
    data = json.loads(files("reliableswap.faces").joinpath("ageing.json").read_text("utf-8"))
    maps = {name: _mirrored(unpacked(data[name])) for name in ("tone", "gain")}
    return Ageing(**maps, shape=unpacked(data["shape"]))


def _mirrored(half: np.ndarray) -> np.ndarray:
    """Return a map from its left half: directions are symmetric."""
    return np.concatenate([half, half[:, ::-1]], 1)


def packed(values: np.ndarray) -> dict[str, Any]:
    """Pack an array into compressed 8-bit numbers with a scale, as in ageing.json."""
    scale = float(np.abs(values).max()) / 127 or 1.0
    numbers = np.rint(values / scale).astype(np.int8)
    text = base64.b64encode(zlib.compress(numbers.tobytes(), 9)).decode()
    return {"shape": values.shape, "scale": scale, "values": text}


def unpacked(value: Mapping[str, Any]) -> np.ndarray:
    """Return the array of a `packed` value, float32."""
    numbers = np.frombuffer(zlib.decompress(base64.b64decode(value["values"])), np.int8)
    return numbers.reshape(value["shape"]).astype(np.float32) * np.float32(value["scale"])


def _blurred(plane: np.ndarray, inside: np.ndarray, sigma: float) -> np.ndarray:
    """(H,W) the plane blurred within the face alone, so that hair and background do not bleed into its edge."""
    sigma = max(sigma, 0.3)
    mass = cv2.GaussianBlur(inside, (0, 0), sigma)
    return np.asarray(cv2.GaussianBlur(plane * inside, (0, 0), sigma) / mass, np.float32)


def _weight(mesh: np.ndarray, shape_hw: tuple[int, int]) -> np.ndarray:
    """(H,W) where a face ages: inside its outline, but not between lids and lips."""
    width = regions.face_width(mesh)
    face = regions.eroded(regions.oval(mesh, shape_hw), _EDGE * width)
    own = np.maximum(regions.eyes(mesh, shape_hw), regions.inner_mouth(mesh, shape_hw))
    face = regions.feathered(face, _FEATHER * width) * (1 - regions.feathered(own, 0.006 * width))
    return np.where(face < 1 / 64, 0, face).astype(np.float32)
