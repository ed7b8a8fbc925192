"""Photos of the ten people who do not exist, from the package `openpeople`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openpeople
from PIL import Image

PEOPLE = Path(openpeople.__file__).parent / "data" / "curated"


def person(number: int, picture: str = "studio_portrait") -> Path:
    """A photo of one of the ten people: studio_portrait, amateur_selfie, emotions_sheet, ..."""
    return PEOPLE / f"P{number:03d}" / "assets" / f"{picture}.jpg"


def portrait(number: int, side: int = 400, picture: str = "studio_portrait") -> np.ndarray:
    image = Image.open(person(number, picture)).convert("RGB")
    image.thumbnail((side, side))
    return np.asarray(image)
