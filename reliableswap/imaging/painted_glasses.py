"""Paint glasses on faces: rims, bridge and temples are curves in three dimensions, posed like the head."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from reliableswap.geometry.raster import rasterise
from reliableswap.geometry.topology import topology

from .degrade import Rng
from .overlay import Overlay

_OVERSAMPLING = 3  # lines are drawn at this multiple of the picture's size, so that thin wire is thin
_RIGID = (33, 133, 362, 263, 168, 6, 197, 8, 9, 70, 300, 127, 356, 234, 454, 117, 346, 4)
_HIDING = 0.45  # a reflection in a clear lens hides the skin above this opacity
_METAL = np.array([[200, 170, 90], [190, 190, 195], [120, 120, 125], [90, 70, 60]], np.float64)
_PLASTIC = np.array([[18, 18, 20], [60, 35, 22], [95, 60, 30], [40, 45, 70], [110, 25, 30]], np.float64)


@dataclass(frozen=True, eq=False)
class Frame:
    """Curves (N,3) in the mean face's coordinates, whose eye distance is 1."""

    rims: tuple[np.ndarray, np.ndarray]
    bridge: tuple[np.ndarray, ...]
    temples: tuple[np.ndarray, np.ndarray]


def random_frame(rng: Rng) -> Frame:
    """Return a random frame: round, square, drop-shaped or narrow."""
    centre, half = rng.uniform(0.35, 0.41), rng.uniform(0.22, 0.335)
    half = min(half, centre - 0.05)
    tall = half * rng.uniform(0.5, 1.02)
    if rng.random() < 0.15:  # large lenses
        half, tall = min(0.36, centre - 0.04), rng.uniform(0.26, 0.36)
    drop, corner = rng.uniform(-0.25, 0.35), rng.uniform(1.9, 4.5)
    low = rng.uniform(-0.01, 0.12)
    turn = np.linspace(0, 2 * np.pi, 96)
    x = np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** (2 / corner)
    y = np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** (2 / corner)
    x = x * (1 - drop * np.clip(y, 0, 1) * 0.5)
    slope = rng.normal(0, 0.04)
    bend, near = rng.uniform(0.1, 0.3), rng.uniform(-0.36, -0.26)

    def placed(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.stack([x, y, near + bend * x**2], 1)

    rims = tuple(placed(side * (centre + half * x), low + tall * y - slope * x) for side in (-1, 1))
    inner = centre - half
    across = np.linspace(-1, 1, 15)
    height = low - tall * rng.uniform(0.0, 0.6)
    arch = rng.uniform(0.0, 0.06)
    bridge = [placed(across * (inner + 0.02), height - arch * (1 - across**2))]
    if rng.random() < 0.15:
        bridge.append(placed(across * (inner + 0.06), np.full(15, low - 0.85 * tall)))
    start = low - tall * rng.uniform(0.0, 0.75)
    along = np.linspace(0, 1, 30)[:, None]
    temples = []
    for side in (-1, 1):
        outer = placed(np.array([side * (centre + half * 0.97)]), np.array([start]))[0]
        hinge = outer + np.array([side * rng.uniform(0.02, 0.08), 0, 0.04])
        ear = np.array([side * rng.uniform(0.78, 0.9), rng.uniform(-0.02, 0.14), 0.75])
        temples.append(np.concatenate([[outer], hinge + (ear - hinge) * along]))
    return Frame(rims, tuple(bridge), (temples[0], temples[1]))  # type: ignore[arg-type]


def fit_mean_face(mesh: np.ndarray) -> np.ndarray:
    """(468,3) -> (4,3) the affine map from the mean face to the mesh, fitted to points that expressions do not move."""
    points = list(_RIGID)
    known = np.column_stack([topology().canonical[points], np.ones(len(points))])
    found, *_ = np.linalg.lstsq(known, mesh[points].astype(np.float64), rcond=None)
    return found


@dataclass(frozen=True, eq=False)
class Layers:
    """Opacities (H,W) in [0,1] of frame and temples, of lenses, and of the edges of rimless lenses."""

    solid: np.ndarray
    lens: np.ndarray
    edge: np.ndarray


def paint_glasses(picture: np.ndarray, mesh: np.ndarray, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    """(H,W,3) uint8, its face's mesh -> the picture with glasses on the face, and their opacity (H,W) in [0,1]."""
    glasses = draw_glasses(mesh, picture.shape[:2], rng)
    return glasses.over(picture), glasses.opacity


def draw_glasses(mesh: np.ndarray, shape_hw: tuple[int, int], rng: Rng) -> Overlay:
    """Draw random glasses for the face with that mesh in a picture of that size."""
    unit = float(np.linalg.norm(mesh[263] - mesh[33]))
    metal = rng.random() < 0.55
    layers = _draw(random_frame(rng), mesh, shape_hw, unit, metal, rng)
    # Paint on black; the fourth channel is how much of the picture behind remains.
    out = np.zeros((*shape_hw, 4), np.float32)
    out[..., 3] = 1
    out = _shade(out, layers, unit, rng)
    out, hiding = _add_lenses(out, layers, mesh, unit, rng)
    out = _add_frame(out, layers.solid, metal, rng)
    worn = np.maximum.reduce([layers.solid, hiding, np.clip(2 * layers.edge, 0, 1)])
    return Overlay(out[..., :3], out[..., 3], worn.astype(np.float32))


def _draw(
    frame: Frame, mesh: np.ndarray, shape_hw: tuple[int, int], unit: float, metal: bool, rng: Rng
) -> Layers:
    """Draw the frame, with a whole, half or no rim, as the head's pose shows it."""
    place = fit_mean_face(mesh)
    canvas = (shape_hw[0] * _OVERSAMPLING, shape_hw[1] * _OVERSAMPLING)

    def projected(curve: np.ndarray) -> np.ndarray:
        flat = (np.column_stack([curve, np.ones(len(curve))]) @ place)[:, :2]
        return np.rint(((flat + 0.5) * _OVERSAMPLING - 0.5) * 16).astype(np.int32)

    def lines(curves: list[np.ndarray], thick: float, closed: bool) -> np.ndarray:
        out = np.zeros(canvas, np.uint8)
        pixels = max(1, round(thick * unit * _OVERSAMPLING))
        cv2.polylines(out, [projected(c) for c in curves], closed, 255, pixels, cv2.LINE_AA, 4)
        return _downsample(out)

    filled = np.zeros(canvas, np.uint8)
    for rim in frame.rims:
        cv2.fillPoly(filled, [projected(rim)], 255, cv2.LINE_AA, 4)
    lens = _downsample(filled)
    thick = rng.uniform(0.014, 0.03) if metal else rng.uniform(0.025, 0.085)
    kind = rng.random()
    solid = lines([*frame.bridge], thick, False)
    if kind < 0.72:  # a whole rim
        solid = np.maximum(solid, lines(list(frame.rims), thick, True))
    elif kind < 0.87:  # its upper half
        solid = np.maximum(solid, lines([rim[48:] for rim in frame.rims], thick, False))
    edge = lines(list(frame.rims), 0.012, True) * rng.uniform(0.15, 0.5) * (kind >= 0.72)
    depth = rasterise(mesh, shape_hw).picture(mesh[:, 2:], outside=np.inf)[..., 0]
    seen = [visible_part(temple, place, depth, 0.03 * unit) for temple in frame.temples]
    sides = lines([temple for temple in seen if len(temple) > 1], thick * rng.uniform(0.8, 1.6), False)
    return Layers(np.maximum(solid, sides * (1 - lens)), lens, edge)


def visible_part(temple: np.ndarray, place: np.ndarray, depth: np.ndarray, slack: float) -> np.ndarray:
    """(M,3) the temple from its hinge to where the head, of depth (H,W), hides it."""
    points = np.column_stack([temple, np.ones(len(temple))]) @ place
    x, y = np.clip(np.rint(points[:, :2]).astype(int), 0, np.array(depth.shape[::-1]) - 1).T
    behind = points[:, 2] > depth[y, x] + slack
    return temple[: int(np.argmax(behind))] if behind.any() else temple


def _shade(out: np.ndarray, layers: Layers, unit: float, rng: Rng) -> np.ndarray:
    """(H,W,4) the picture with the shadow of the glasses, which does not count as glasses."""
    down = np.array([[1, 0, rng.normal(0, 0.03) * unit], [0, 1, rng.uniform(0.01, 0.07) * unit]])
    shadow = cv2.warpAffine(np.maximum(layers.solid, 0.4 * layers.lens), down, out.shape[1::-1])
    shadow = cv2.GaussianBlur(shadow, (0, 0), max(0.3, 0.015 * unit))
    return out * (1 - np.float32(rng.uniform(0, 0.4)) * shadow[..., None])


def _add_lenses(
    out: np.ndarray, layers: Layers, mesh: np.ndarray, unit: float, rng: Rng
) -> tuple[np.ndarray, np.ndarray]:
    """(H,W,4) the picture with lenses, a quarter of them dark, and (H,W) where they hide the skin."""
    height, width = layers.lens.shape
    sun = rng.random() < 0.25
    tint = rng.uniform(0.45, 0.98) if sun else rng.uniform(0, 0.2)
    fade = np.linspace(1, rng.uniform(0.5, 1), height, dtype=np.float32)[:, None]
    glass = rng.uniform(5, 60, 3) * (rng.uniform(0.5, 1.8, 3) if rng.random() < 0.3 else 1)
    out = _blend(out, layers.lens * tint * fade, glass)
    shine = layers.lens * _reflections((height, width), unit, mesh, rng)
    out = _blend(out, shine, np.full(3, rng.uniform(190, 255)))
    out = _blend(out, layers.edge, np.full(3, rng.choice([40.0, 230.0])))
    return out, layers.lens if sun else (shine > _HIDING) * layers.lens


def _add_frame(out: np.ndarray, solid: np.ndarray, metal: bool, rng: Rng) -> np.ndarray:
    """(H,W,4) the picture with the frame, shaded as round wire lit from above, sometimes glittering."""
    colours = _METAL if metal else _PLASTIC
    colour = colours[rng.integers(len(colours))] * rng.uniform(0.4, 1.3)
    colour = np.clip(colour + rng.normal(0, 10, 3), 5, 245)
    light = 1 + np.float32(rng.uniform(0, 0.5)) * cv2.GaussianBlur(
        np.diff(solid, axis=0, prepend=0), (0, 0), 0.7
    )
    sparkle = rng.uniform(0, 300) if rng.random() < 0.3 else 0.0
    glitter = cv2.GaussianBlur(rng.random(solid.shape, np.float32) ** 12, (0, 0), 0.8) * np.float32(sparkle)
    shaded = np.zeros_like(out)
    shaded[..., :3] = np.clip(colour.astype(np.float32) * light[..., None] + glitter[..., None], 0, 255)
    return out + (shaded - out) * (solid * np.float32(rng.uniform(0.7, 1.0)))[..., None]


def _downsample(fine: np.ndarray) -> np.ndarray:
    """(h,w) uint8 drawn with oversampling -> (H,W) in [0,1] at the picture's size."""
    height, width = fine.shape
    size = (width // _OVERSAMPLING, height // _OVERSAMPLING)
    return cv2.resize(fine, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def _blend(picture: np.ndarray, over: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """(H,W,4) the picture under a colour (3,) of opacity (H,W)."""
    return picture + (np.append(colour, 0).astype(np.float32) - picture) * over[..., None].astype(np.float32)


def _reflections(shape_hw: tuple[int, int], unit: float, mesh: np.ndarray, rng: Rng) -> np.ndarray:
    """(H,W) in [0,1] opacity of reflections of windows and lamps; most lenses have none."""
    out = np.zeros(shape_hw, np.float32)
    if rng.random() < 0.55:
        return out
    for eye in (159, 386):
        middle = mesh[eye, :2] + rng.normal(0, 0.12, 2) * unit
        extent = rng.uniform(0.02, 0.2, 2) * unit
        box = (tuple(map(float, middle)), tuple(map(float, 2 * extent)), float(rng.uniform(0, 180)))
        corners = np.rint(cv2.boxPoints(box)).astype(np.int32)
        cv2.fillConvexPoly(out, corners, float(rng.uniform(0.1, 0.9)))
    return cv2.GaussianBlur(out, (0, 0), rng.uniform(0.3, 0.06 * unit))
