"""Photos of the ten generated people of the package `openpeople`."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import openpeople
from PIL import Image

PEOPLE = Path(openpeople.__file__).parent / "data" / "curated"


def person(number: int, picture: str = "studio_portrait") -> Path:
    """The path of a person's photo: studio_portrait, amateur_selfie, emotions_sheet, ..."""
    return PEOPLE / f"P{number:03d}" / "assets" / f"{picture}.jpg"


@lru_cache(maxsize=32)
def portrait(number: int, side: int = 400, picture: str = "studio_portrait") -> np.ndarray:
    """(H,W,3) uint8 a person's photo, with its longer side reduced to `side`; read-only."""
    image = Image.open(person(number, picture)).convert("RGB")
    image.thumbnail((side, side))
    pixels = np.asarray(image)
    pixels.flags.writeable = False
    return pixels
