"""Clips with faces: heads of generated people that move over a moving background."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from reliableswap.faces.analysers.bundled import BundledAnalyser

from .people import portrait

SIZE = (180, 320)  # height and width of the frames
HEAD = 96  # side of the square around a head

Place = Callable[[int], tuple[float, float] | None]


@dataclass(frozen=True)
class Actor:
    """A person of openpeople. place: the centre of the face in each frame; None: out of sight."""

    number: int
    place: Place


def still(x: float, y: float = 90.0) -> Place:
    return lambda frame: (x, y)


def walking(start: float, end: float, frames: int, y: float = 90.0) -> Place:
    """Move from x = `start` to x = `end` within `frames` frames."""
    return lambda frame: (start + (end - start) * frame / max(frames - 1, 1), y)


@lru_cache(maxsize=10)
def head(number: int) -> tuple[np.ndarray, np.ndarray]:
    """(HEAD,HEAD,3) uint8 a head with the face in the middle, and its alpha (HEAD,HEAD)."""
    photo = portrait(number, 400)
    face = BundledAnalyser()(photo)[0]
    x, y = face.mesh[:, :2].mean(0)
    scale = HEAD * 0.6 / face.size
    matrix = np.array([[scale, 0, HEAD / 2 - scale * x], [0, scale, HEAD / 2 - scale * y]])
    cut = cv2.warpAffine(photo, matrix, (HEAD, HEAD), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    rows, columns = np.mgrid[:HEAD, :HEAD] - (HEAD - 1) / 2
    distance = np.hypot(columns / 0.36, rows / 0.44) / HEAD
    return cut, np.clip((1.08 - distance) / 0.08, 0, 1)


def background(frame: int, look: int = 0) -> np.ndarray:
    """(H,W,3) uint8 soft stripes that drift; `look` chooses the colours."""
    height, width = SIZE
    y, x = np.mgrid[:height, :width]
    waves = [np.sin((x + 2 * frame) / (23 + 5 * k) + y / 31 + k + look) for k in range(3)]
    base = ((90, 110, 130), (190, 60, 40))[look % 2]
    planes = [np.clip(level + 25 * wave, 0, 255) for level, wave in zip(base, waves, strict=True)]
    return np.stack(planes, -1).astype(np.uint8)


def scene(actors: Sequence[Actor], frames: int, look: int = 0) -> list[np.ndarray]:
    """Frames (H,W,3) uint8 of a shot; later actors stand in front of earlier ones."""
    made = []
    for frame in range(frames):
        picture = background(frame, look).astype(np.float32)
        for actor in actors:
            place = actor.place(frame)
            if place is None:
                continue
            cut, opaque = head(actor.number)
            shift = np.array([[1, 0, place[0] - HEAD / 2], [0, 1, place[1] - HEAD / 2]])
            over, alpha = (
                cv2.warpAffine(layer.astype(np.float32), shift, SIZE[::-1]) for layer in (cut, opaque)
            )
            picture += alpha[..., None] * (over - picture)
        made.append(np.clip(np.rint(picture), 0, 255).astype(np.uint8))
    return made
