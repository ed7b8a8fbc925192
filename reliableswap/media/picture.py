"""A picture in memory: upright 8-bit RGB, with the alpha and the colour profile to write with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from reliableswap.errors import PictureError
from reliableswap.provenance.origin import Origin, origin_of_pixels


@dataclass(frozen=True, eq=False)
class Picture:
    """pixels (H,W,3) uint8 RGB, upright; alpha (H,W) uint8 or None; icc: the colour profile of `pixels` or None.

    origin: what the pixels were read from; a swapped picture keeps its target's.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    icc: bytes | None = None
    name: str = "array"  # for error messages
    format: str | None = None  # of the file it was read from, as Pillow names it
    origin: Origin | None = None
    reduction: int = 1  # the file's picture is this many times as wide and high

    def __post_init__(self) -> None:
        check_array(self.pixels, self.name)
        if self.pixels.ndim != 3 or self.pixels.shape[2] != 3:
            raise PictureError(
                f"{self.name} has pixels of shape {self.pixels.shape}; a Picture needs (height, width, 3); "
                "read_picture converts other arrays"
            )
        alpha, shape = self.alpha, self.pixels.shape[:2]
        if alpha is not None and (alpha.shape != shape or alpha.dtype != np.uint8):
            raise PictureError(
                f"{self.name} has an alpha of shape {alpha.shape} and type {alpha.dtype}; "
                f"give uint8 of shape {shape}"
            )

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    def known_origin(self) -> Origin:
        """Return the origin, or the checksum of the pixels for a picture that came without a file."""
        return self.origin or origin_of_pixels(self.pixels)

    def to_pil(self) -> Image.Image:
        """Return a Pillow image: RGBA if there is an alpha, else RGB, with the colour profile in `info`."""
        planes = self.pixels if self.alpha is None else np.dstack([self.pixels, self.alpha])
        image = Image.fromarray(np.ascontiguousarray(planes))
        if self.icc:
            image.info["icc_profile"] = self.icc
        return image


def from_array(array: np.ndarray, name: str = "array") -> Picture:
    """Copy a (H,W,3) RGB, (H,W,4) RGBA or (H,W) grey uint8 array into a Picture."""
    check_array(array, name)
    if array.ndim == 2:
        return Picture(np.repeat(array[..., None], 3, axis=2), name=name)
    alpha = np.array(array[..., 3]) if array.shape[2] == 4 else None
    return Picture(np.array(array[..., :3], order="C"), alpha, name=name)


def check_array(array: np.ndarray, name: str) -> None:
    """Raise unless the array is uint8 of shape (H,W), (H,W,3) or (H,W,4) and not empty."""
    shape = tuple(array.shape)
    if array.ndim not in (2, 3) or (array.ndim == 3 and shape[2] not in (3, 4)):
        remedy = "give (height, width, 3) RGB, (height, width, 4) RGBA or (height, width) grey"
        if array.ndim == 3 and shape[0] in (1, 3, 4):
            remedy = "move the channels last with array.transpose(1, 2, 0)"
        elif array.ndim == 3 and shape[2] == 1:
            remedy = "drop the last axis with array[..., 0]"
        elif array.ndim == 4:
            remedy = "give one picture at a time, as array[0]"
        raise PictureError(f"{name} has shape {shape}; {remedy}")
    if 0 in shape:
        raise PictureError(f"{name} has shape {shape}, which holds no pixels; give at least one")
    if array.dtype != np.uint8:
        remedy = "convert it with array.clip(0, 255).astype(np.uint8)"
        if np.issubdtype(array.dtype, np.floating):
            remedy = "for values in 0..1 convert it with (array.clip(0, 1) * 255).round().astype(np.uint8)"
        elif array.dtype == np.uint16:
            remedy = "for values in 0..65535 convert it with (array // 257).astype(np.uint8)"
        elif array.dtype == np.bool_:
            remedy = "convert it with array.astype(np.uint8) * 255"
        raise PictureError(f"{name} has type {array.dtype}, not uint8; {remedy}")


def printable(name: str, limit: int = 200) -> str:
    """Return the name on one line: escape control characters and undecodable bytes, cut the middle of a long one."""
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in name)
    return text if len(text) <= limit else f"{text[: limit // 2]}…{text[-limit // 2 :]}"
