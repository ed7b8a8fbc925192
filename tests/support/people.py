"""Photos of the ten generated people of the package `openpeople`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openpeople
from PIL import Image

PEOPLE = Path(openpeople.__file__).parent / "data" / "curated"


def person(number: int, picture: str = "studio_portrait") -> Path:
    """The path of a person's photo: studio_portrait, amateur_selfie, emotions_sheet, ..."""
    return PEOPLE / f"P{number:03d}" / "assets" / f"{picture}.jpg"


def portrait(number: int, side: int = 400, picture: str = "studio_portrait") -> np.ndarray:
    """(H,W,3) uint8 a person's photo, with its longer side reduced to `side`."""
    image = Image.open(person(number, picture)).convert("RGB")
    image.thumbnail((side, side))
    return np.asarray(image)
