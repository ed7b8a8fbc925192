"""Rendering a person in a scene as a photo."""

from __future__ import annotations

import cv2
import numpy as np

from reliableswap.geometry.raster import rasterise_solid

from . import head as materials
from .head import build_head
from .model import HeadModel
from .scene import Person, Scene
from .shading import shade
from .skin import eye_colour, skin_colour

SIZE = 256  # pixels on each side
_OVERSAMPLING = 2  # pictures are rendered this many times larger and then averaged
# Centimetres: distance of the camera, and width of the field of view at the head.
_CAMERA, _FIELD = 75.0, 30.0


def render(model: HeadModel, person: Person, scene: Scene, size: int = SIZE) -> np.ndarray:
    """(size,size,3) uint8 RGB"""
    head = build_head(model, person, scene.expression, scene.gaze)
    fine = size * _OVERSAMPLING
    # The rasteriser draws triangles that run clockwise on the screen.
    raster = rasterise_solid(_project(head.points, scene, fine), (fine, fine), head.triangles[:, ::-1])
    values = np.concatenate([head.place, head.normals], 1)
    place, normals = np.split(np.stack(list(raster.interpolate(values)), 1).astype(np.float64), 2, 1)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    colour = _colours(head.material[raster.triangles], place, person, scene)
    image = _background(scene, fine)
    image[raster.covered] = colour * shade(normals @ scene.rotation.T, scene.light)
    image = cv2.resize(np.clip(image, 0, 1).astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)
    return np.rint(255 * _srgb(image)).astype(np.uint8)


def _project(points: np.ndarray, scene: Scene, size: int) -> np.ndarray:
    """Points (P,3) -> (P,3): x and y in pixels, and the distance from the camera."""
    turned = points @ scene.rotation.T
    depth = _CAMERA - turned[:, 2]
    scale = size / _FIELD * scene.zoom * _CAMERA / depth
    return np.stack([size / 2 + turned[:, 0] * scale, size * 0.5 - turned[:, 1] * scale, depth], 1)


def _colours(material: np.ndarray, place: np.ndarray, person: Person, scene: Scene) -> np.ndarray:
    """Material (N,) and place (N,3) of pixels -> (N,3) linear albedo."""
    colour = np.empty_like(place)
    plain = {
        materials.MOUTH: np.array([0.05, 0.012, 0.012]),
        materials.TEETH: np.array([0.62, 0.58, 0.5]),
        materials.HAIR: scene.hair,
        materials.CLOTH: scene.cloth,
    }
    for number, one in plain.items():
        colour[material == number] = one
    skin, eyes = material == materials.SKIN, material == materials.EYE
    colour[skin] = skin_colour(place[skin], person, scene.tone, scene.hair)
    colour[eyes] = eye_colour(place[eyes], person.iris)
    return colour


def _background(scene: Scene, size: int) -> np.ndarray:
    """(size,size,3) linear, a vertical gradient"""
    height = np.linspace(1, 0, size)[:, None, None]
    gradient = scene.background[0] * (1 - height) + scene.background[1] * height
    return np.broadcast_to(gradient, (size, size, 3)).copy()


def _srgb(linear: np.ndarray) -> np.ndarray:
    """Linear values -> sRGB values, both in [0,1]."""
    curve = 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, 12.92 * linear, curve)
