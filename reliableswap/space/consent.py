"""The statement that every swap requires, the rules, and the visible note on every result."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from reliableswap.errors import ReliableSwapError
from reliableswap.media import Picture

STATEMENT = "The people shown agreed to this, or they do not exist."
RULES = (
    "Only swap faces of adults who agreed, or of people who do not exist. Nothing sexual, no deception, no children. "
    "Every result says that AI made it, visibly and in its metadata."
)
NOTE = "Made by AI"


def require_consent(agreed: object) -> None:
    """Raise unless `agreed` is exactly True; the API may send anything, and the text "false" is not consent."""
    if agreed is not True:
        raise ReliableSwapError(
            "Nothing was swapped: please confirm that the people shown agreed, or that they do not exist."
        )


def add_note(picture: Picture) -> Picture:
    """Draw the note on a small dark plate in the lower right corner, and make the plate opaque."""
    pixels = picture.pixels
    height, width = pixels.shape[:2]
    size = max(10.0, 0.034 * min(height, width))
    font = ImageFont.load_default(size)
    left, top, right, bottom = font.getbbox(NOTE)
    if (right - left) > 0.9 * width:  # a narrow picture: shrink the note to fit
        font = ImageFont.load_default(max(1.0, size * 0.9 * width / (right - left)))
        left, top, right, bottom = font.getbbox(NOTE)
    pad = max(1, round(0.4 * (bottom - top)))
    plate = (round(right - left) + 2 * pad, round(bottom - top) + 2 * pad)
    image = Image.fromarray(pixels)
    dark = Image.new("RGB", plate, (16, 18, 22))
    corner = (max(0, width - plate[0]), max(0, height - plate[1]))
    under = image.crop((corner[0], corner[1], corner[0] + plate[0], corner[1] + plate[1]))
    label = Image.blend(under, dark, 0.62)
    ImageDraw.Draw(label).text((pad - left, pad - top), NOTE, font=font, fill=(255, 255, 255))
    image.paste(label, corner)
    alpha = picture.alpha
    if alpha is not None:
        alpha = alpha.copy()
        alpha[corner[1] :, corner[0] :] = 255
    return replace(picture, pixels=np.asarray(image), alpha=alpha)
