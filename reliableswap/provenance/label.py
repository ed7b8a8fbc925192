"""The visible label "Made by AI", on pictures and on the frames of clips."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from reliableswap.media.picture import Picture

TEXT = "Made by AI"


def add_label(picture: Picture, text: str = TEXT) -> Picture:
    """Draw the text on a small dark plate in the lower right corner, and make the plate opaque."""
    pixels = picture.pixels
    height, width = pixels.shape[:2]
    size = max(10.0, 0.034 * min(height, width))
    font = ImageFont.load_default(size)
    left, top, right, bottom = font.getbbox(text)
    if (right - left) > 0.9 * width:  # a narrow picture: shrink the text to fit
        font = ImageFont.load_default(max(1.0, size * 0.9 * width / (right - left)))
        left, top, right, bottom = font.getbbox(text)
    pad = max(1, round(0.4 * (bottom - top)))
    plate = (round(right - left) + 2 * pad, round(bottom - top) + 2 * pad)
    image = Image.fromarray(pixels)
    dark = Image.new("RGB", plate, (16, 18, 22))
    corner = (max(0, width - plate[0]), max(0, height - plate[1]))
    under = image.crop((corner[0], corner[1], corner[0] + plate[0], corner[1] + plate[1]))
    label = Image.blend(under, dark, 0.62)
    ImageDraw.Draw(label).text((pad - left, pad - top), text, font=font, fill=(255, 255, 255))
    image.paste(label, corner)
    alpha = picture.alpha
    if alpha is not None:
        alpha = alpha.copy()
        alpha[corner[1] :, corner[0] :] = 255
    return replace(picture, pixels=np.asarray(image), alpha=alpha)


class FrameLabel:
    """The label for frames (height,width,3) of a clip, rendered once. box: x0, y0, x1, y1 of the changed area."""

    def __init__(self, height: int, width: int, text: str = TEXT) -> None:
        black, white = (
            add_label(Picture(np.full((height, width, 3), level, np.uint8)), text).pixels.astype(np.float32)
            for level in (0, 255)
        )
        rows, columns = np.nonzero(((black > 0) | (white < 255)).any(2))
        self.box = (int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
        self._added = black[self._window]
        self._kept = (white[self._window] - self._added) / 255

    @property
    def _window(self) -> tuple[slice, slice]:
        x0, y0, x1, y1 = self.box
        return slice(y0, y1), slice(x0, x1)

    def draw(self, pixels: np.ndarray) -> None:
        """Draw the label on a frame (H,W,3) uint8, in place."""
        pixels[self._window] = np.rint(pixels[self._window] * self._kept + self._added).astype(np.uint8)
