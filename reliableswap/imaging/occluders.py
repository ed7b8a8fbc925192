"""Things to paste in front of faces in training pictures: cut-outs of hands, hair and masks, and made-up shapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from reliableswap.errors import ReliableSwapError

from .colour import to_lab, to_rgb
from .degrade import Rng, random_texture
from .overlay import Overlay

_CUTOUT_SIDE = 256  # longer side that cut-outs are reduced to
_STRAND_SHARE = 0.25  # how often strands of hair are drawn instead of pasting a cut-out
_SHAPE_SHARE = 0.25  # how often a shape is made up instead of pasting a cut-out
_HAIR = np.array(
    [[22, 18, 16], [48, 32, 22], [84, 58, 36], [150, 112, 66], [196, 164, 112], [120, 118, 116]], float
)


@dataclass(frozen=True, eq=False)
class Occluder:
    """Something in front of a face: picture (S,S,3) uint8; opacity (S,S) in 0..1; hair: whether it is hair."""

    picture: np.ndarray
    opacity: np.ndarray
    hair: bool = False

    def cast(self, shadow: float, shift: Sequence[float]) -> Overlay:
        """Return this as an overlay with a soft shadow of strength `shadow`, shifted by `shift` pixels."""
        size = self.opacity.shape[0]
        move = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float32)
        dark = cv2.GaussianBlur(cv2.warpAffine(self.opacity, move, (size, size)), (0, 0), 0.02 * size)
        keep = (1 - np.float32(shadow) * dark) * (1 - self.opacity)
        return Overlay(self.opacity[..., None] * self.picture, keep, self.opacity)


class Occluders:
    """Draws random occluders: cut-outs, which are the pictures with an alpha channel below a folder, and made-up ones.

    The name decides how a cut-out is placed: `hair*` hangs into the face from above, `masks*` lies over mouth and nose,
    all others lie anywhere.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.cutouts: list[tuple[str, np.ndarray]] = []
        if folder is None:
            return
        for path in cutout_files(folder):
            picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            if picture is not None and picture.ndim == 3 and picture.shape[2] == 4:
                self.cutouts.append((path.relative_to(folder).as_posix(), _reduced(picture)))
        if not self.cutouts:
            raise ReliableSwapError(
                f"{folder} has no .png or .webp pictures with an alpha channel to use as occluders"
            )

    def draw(self, picture: np.ndarray, mesh: np.ndarray, rng: Rng) -> Occluder:
        """Draw an occluder for a face (S,S,3) uint8 with its mesh (468,3)."""
        kind = rng.random()
        if kind < _STRAND_SHARE:
            made = _strands(mesh, picture.shape[0], rng)
        elif kind < _STRAND_SHARE + _SHAPE_SHARE or not self.cutouts:
            made = _shape(mesh, picture.shape[0], rng)
        else:
            name, cutout = self.cutouts[int(rng.integers(len(self.cutouts)))]
            made = _lit_like(_placed(name, cutout, mesh, picture.shape[0], rng), picture, name, rng)
        return _blurred(made, rng)


def cutout_files(folder: Path) -> list[Path]:
    """The pictures below a folder that may be cut-outs, in order."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".png", ".webp"})


def cast(occluder: Occluder, rng: Rng) -> Overlay:
    """Return the occluder as an overlay for a picture of its size, with a shadow more often than not."""
    shadow = float(rng.uniform(0, 0.5)) if rng.random() < 0.7 else 0.0
    return occluder.cast(shadow, (rng.normal(0, 0.02, 2) * occluder.opacity.shape[0]).tolist())


def paste(picture: np.ndarray, occluder: Occluder, rng: Rng) -> np.ndarray:
    """(S,S,3) uint8, the picture behind the occluder, which may cast a shadow."""
    return cast(occluder, rng).over(picture)


def _reduced(picture: np.ndarray) -> np.ndarray:
    """(H,W,4) BGRA -> (h,w,4) RGBA, at most 256 px on its longer side."""
    picture = cv2.cvtColor(picture, cv2.COLOR_BGRA2RGBA)
    factor = _CUTOUT_SIDE / max(picture.shape[:2])
    if factor < 1:
        picture = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return picture


def _placed(name: str, cutout: np.ndarray, mesh: np.ndarray, size: int, rng: Rng) -> Occluder:
    """The cut-out somewhere in front of the face, turned and scaled."""
    low, high = mesh[:, :2].min(0), mesh[:, :2].max(0)
    face = float((high - low).max())
    middle, angle = (low + high) / 2, float(rng.uniform(-40, 40))
    if name.startswith("hair"):  # the cut-out's square was laid around the face it was cut from
        scale = face * rng.uniform(0.85, 1.25) / (0.5 * _CUTOUT_SIDE)
        place, angle = middle + face * rng.normal((0, 0.05), (0.12, 0.1)), float(rng.normal(0, 8))
    elif name.startswith("masks"):
        scale = face * rng.uniform(0.75, 1.1) / max(cutout.shape[:2])
        place, angle = mesh[[2, 13, 200], :2].mean(0) + face * rng.normal(0, 0.04, 2), float(rng.normal(0, 6))
    else:
        scale = face * rng.uniform(0.4, 1.1) / max(cutout.shape[:2])
        angle = float(rng.uniform(-180, 180))
        place = middle + face * rng.uniform(0.15, 0.6) * _direction(rng)
    if rng.random() < 0.5:
        cutout = cutout[:, ::-1]
    height, width = cutout.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, float(scale))
    matrix[:, 2] += place - (width / 2, height / 2)
    laid = cv2.warpAffine(np.ascontiguousarray(cutout), matrix, (size, size), flags=cv2.INTER_AREA)
    opacity = laid[..., 3].astype(np.float32) / 255
    return Occluder(np.ascontiguousarray(laid[..., :3]), opacity, hair=name.startswith("hair"))


def _direction(rng: Rng) -> np.ndarray:
    angle = rng.uniform(0, 2 * np.pi)
    return np.array([np.cos(angle), np.sin(angle)])


def _lit_like(occluder: Occluder, picture: np.ndarray, name: str, rng: Rng) -> Occluder:
    """Give hands a skin tone, more often than not the face's; give most other things roughly the picture's light."""
    inside = occluder.opacity > 0.5
    if not inside.any():
        return occluder
    size = picture.shape[0]
    cheeks = picture[int(0.45 * size) : int(0.6 * size), int(0.35 * size) : int(0.65 * size)]
    lab, skin = to_lab(occluder.picture), to_lab(cheeks).reshape(-1, 3).mean(0)
    shift = np.zeros(3)
    if name.startswith("hands"):
        tone = (
            skin
            if rng.random() < 0.7
            else np.array([rng.uniform(25, 80), rng.uniform(5, 18), rng.uniform(8, 28)])
        )
        shift = tone - lab[inside].mean(0) + rng.normal(0, (6, 2, 3))
    elif rng.random() < 0.7:
        shift[0] = rng.normal(0.3 * (skin[0] - 60), 8)
        shift[1:] = rng.normal(0, 4, 2)
    shown = np.rint(to_rgb((lab + shift).astype(np.float32))).clip(0, 255).astype(np.uint8)
    return replace(occluder, picture=shown)


def _shape(mesh: np.ndarray, size: int, rng: Rng) -> Occluder:
    """An ellipse, polygon or bar with a random surface, reaching in from the outline or lying on the face."""
    low, high = mesh[:, :2].min(0), mesh[:, :2].max(0)
    face = float((high - low).max())
    centre = (low + high) / 2 + face * rng.uniform(0, 0.6) * _direction(rng)
    opacity = np.zeros((size, size), np.float32)
    extent = face * rng.uniform(0.04, 0.35, 2)
    angle = float(rng.uniform(0, 180))
    kind = rng.integers(3)
    if kind == 0:
        axes = (max(1, int(extent[0])), max(1, int(extent[1])))
        cv2.ellipse(opacity, (int(centre[0]), int(centre[1])), axes, angle, 0, 360, 1.0, -1)
    elif kind == 1:
        corners = (centre + rng.normal(0, 0.8, (6, 2)) * extent).astype(np.int32)
        cv2.fillConvexPoly(opacity, cv2.convexHull(corners), 1.0)
    else:
        box = cv2.boxPoints(
            ((float(centre[0]), float(centre[1])), (face * 2, max(2.0, float(extent[0]))), angle)
        )
        cv2.fillConvexPoly(opacity, box.astype(np.int32), 1.0)
    return Occluder(random_texture(rng, size), opacity)


def _strands(mesh: np.ndarray, size: int, rng: Rng) -> Occluder:
    """Strands of hair that hang into the face from its upper outline."""
    low, high = mesh[:, :2].min(0), mesh[:, :2].max(0)
    face = float((high - low).max())
    scale = 4 * 128 / size if size <= 256 else 1.0  # drawn larger, then reduced: hairs are thin
    side = round(size * scale)
    colour = _HAIR[int(rng.integers(len(_HAIR)))] * rng.uniform(0.7, 1.2)
    picture = np.tile(colour.astype(np.float32), (side, side, 1))
    opacity = np.zeros((side, side), np.float32)
    root = np.array([rng.uniform(low[0], high[0]), low[1] - 0.1 * face])
    fall = np.array([rng.normal(0, 0.35), rng.uniform(0.5, 1.1)]) * face
    bend, spread = rng.normal(0, 0.15) * face, face * rng.uniform(0.02, 0.2)
    t = np.linspace(0, 1, 24)[:, None]
    for _ in range(int(rng.integers(4, 60))):
        start = root + np.array([rng.normal(0, 1) * spread, 0])
        end = start + fall * rng.uniform(0.6, 1.1) + rng.normal(0, 0.05 * face, 2)
        middle = (start + end) / 2 + (bend + rng.normal(0, 0.03 * face), 0)
        curve = (1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t**2 * end
        points = np.rint(curve * scale * 16).astype(np.int32)
        shade = (colour * rng.uniform(0.6, 1.5)).clip(0, 255).tolist()
        thick = max(1, round(scale * size / 128 * rng.uniform(0.3, 1.3)))
        cv2.polylines(picture, [points], False, shade, thick + 2, cv2.LINE_AA, 4)
        cv2.polylines(opacity, [points], False, 1.0, thick, cv2.LINE_AA, 4)
    small = cv2.resize(picture.clip(0, 255), (size, size), interpolation=cv2.INTER_AREA)
    reduced = cv2.resize(opacity, (size, size), interpolation=cv2.INTER_AREA)
    return Occluder(np.rint(small).astype(np.uint8), reduced, hair=True)


def _blurred(occluder: Occluder, rng: Rng) -> Occluder:
    """Soften the edges, and now and then blur as if the object moved or were out of focus."""
    size = occluder.opacity.shape[0]
    picture, opacity = occluder.picture, occluder.opacity
    sigma = float(rng.uniform(0.3, 0.9)) * size / 128
    if rng.random() < 0.2:
        sigma *= 3
        picture = cv2.GaussianBlur(picture, (0, 0), sigma)
    opacity = cv2.GaussianBlur(opacity, (0, 0), sigma)
    if rng.random() < 0.15:
        length = max(3, int(rng.uniform(0.02, 0.08) * size))
        kernel = np.zeros((length, length), np.float32)
        end = (_direction(rng) * length / 2 + length / 2).astype(int)
        cv2.line(kernel, (length // 2, length // 2), (int(end[0]), int(end[1])), 1.0)
        kernel /= kernel.sum()
        picture, opacity = cv2.filter2D(picture, -1, kernel), cv2.filter2D(opacity, -1, kernel)
    return replace(occluder, picture=picture, opacity=np.clip(opacity, 0, 1))
