"""Convert between a clip's YUV planes and RGB: read a frame as RGB, and add only what changed back to its planes.

So unchanged pixels reach the encoder bit for bit, values outside RGB's range survive, and 10-bit samples keep their
bits.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np

from reliableswap.errors import ClipError

from .info import ClipInfo
from .library import pyav

Box = tuple[int, int, int, int]  # x0 y0 x1 y1, the ends excluded

_WEIGHTS = {
    1: (0.2126, 0.0722),
    9: (0.2627, 0.0593),
    10: (0.2627, 0.0593),
}  # weights of red and blue in luma, by H.273's matrix number
_SD_WEIGHTS = (0.299, 0.114)
_SWSCALE = {1: 1, 9: 9, 10: 9}  # FFmpeg's numbers of these matrices; 5 is standard definition's
_SUBSAMPLED = {"420": (2, 2), "422": (2, 1), "444": (1, 1)}  # chroma's width and height are divided by these
_FULL, _LIMITED = 2, 1
_THREAD = threading.local()


@dataclass(frozen=True)
class Colours:
    """How one clip stores its pictures.

    format: the planar YUV format in which frames are worked on and encoded, such as yuv420p or yuv422p10le.
    matrix: H.273's number of the YUV matrix. full: whether samples use the full range.
    """

    format: str
    matrix: int
    full: bool

    @classmethod
    def of(cls, info: ClipInfo) -> Colours:
        """Choose the working format that keeps the clip's samples of up to 10 bits without loss."""
        name = info.pixel_format
        full = name.startswith("yuvj") or info.colour.range == _FULL
        matrix = info.colour.matrix
        if matrix in (0, 2, 3):  # RGB, or not stated: players assume HD's matrix from 720 lines on
            matrix = 1 if min(info.width, info.height) >= 720 else 6
        layout = next((one for one in _SUBSAMPLED if one in name), None)
        if layout is None:
            layout = {"nv12": "420", "p010le": "420", "nv16": "422", "p210le": "422"}.get(name)
        if layout is None:
            layout = (
                "420" if name.startswith("gray") else "444"
            )  # RGB and palettes keep full chroma resolution
            full = full or not name.startswith(("gray", "yuv"))
        height, width = info.stored_size
        if (layout == "420" and height % 2) or (layout in ("420", "422") and width % 2):
            layout = "444"  # encoders accept odd sizes only in 4:4:4
        return cls(f"yuv{layout}p{'10le' if info.depth > 8 else ''}", matrix, full)

    @property
    def depth(self) -> int:
        return 10 if self.format.endswith("10le") else 8

    @property
    def subsampling(self) -> tuple[int, int]:
        """How many pixels share a chroma sample, across and down."""
        return _SUBSAMPLED[self.format[3:6]]

    def planes(self, frame: Any) -> Any:
        """Convert a frame to the working format; return the frame itself if it has that format already."""
        current = frame.format.name.replace("yuvj", "yuv")
        if current == self.format:
            return frame
        color_range = _FULL if self.full else _LIMITED
        code = self._swscale
        return frame.reformat(
            format=self.format,
            src_colorspace=code,
            dst_colorspace=code,
            src_color_range=color_range,
            dst_color_range=color_range,
        )

    def to_rgb(self, frame: Any) -> np.ndarray:
        """(h,w,3) uint8 RGB of a frame, as stored."""
        rgb = _reformatter().reformat(
            frame,
            format="rgb24",
            src_colorspace=self._swscale,
            dst_colorspace=self._swscale,
            src_color_range=_FULL if self.full else _LIMITED,
            dst_color_range=_FULL,
            threads=1,
        )
        array: np.ndarray = rgb.to_ndarray()
        return array

    def add(self, frame: Any, change: np.ndarray, box: Box) -> None:
        """Add a change (h,w,3) int16 of RGB to the planes inside a box, in place; the frame must be writable.

        The box must align with whole chroma samples, or end at the picture's border.
        """
        scaled = cv2.transform(change, self._to_yuv)
        luma, cb, cr = cv2.split(scaled)
        self._add_plane(frame, 0, luma, box)
        across, down = self.subsampling
        x0, y0, x1, y1 = box
        small = x0 // across, y0 // down, -(-x1 // across), -(-y1 // down)
        size = small[2] - small[0], small[3] - small[1]
        for index, plane in ((1, cb), (2, cr)):
            if (across, down) != (1, 1):
                plane = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
            self._add_plane(frame, index, plane, small)

    def grey_steps(self, change: np.ndarray) -> np.ndarray:
        """(h,w) float32, a change common to red, green and blue -> (h,w) int16, the change of the luma samples."""
        return np.rint(change * np.float32(self._luma_scale)).astype(np.int16)

    def add_grey(self, frame: Any, steps: np.ndarray) -> None:
        """Add `grey_steps` (h,w) to the whole picture, in place."""
        height, width = steps.shape
        self._add_plane(frame, 0, steps, (0, 0, width, height))

    def _add_plane(self, frame: Any, index: int, change: np.ndarray, box: Box) -> None:
        x0, y0, x1, y1 = box
        plane = _samples(frame, index)[y0:y1, x0:x1]
        if self.depth == 8:
            cv2.add(plane, change, dst=plane, dtype=cv2.CV_8U)
        else:
            plane[:] = np.clip(plane.astype(np.int16) + change, 0, 1023)

    @property
    def _luma_scale(self) -> float:
        """Luma sample values per grey level of 8-bit RGB."""
        return (1 if self.full else 219 / 255) * (1 if self.depth == 8 else 4)

    @property
    def _swscale(self) -> int:
        return _SWSCALE.get(self.matrix, 5)

    @cached_property
    def _to_yuv(self) -> np.ndarray:
        """(3,3) matrix from a change of 8-bit RGB to a change of the samples."""
        red, blue = _WEIGHTS.get(self.matrix, _SD_WEIGHTS)
        green = 1 - red - blue
        luma = np.array([red, green, blue])
        cb = (np.array([0, 0, 1]) - luma) / (2 * (1 - blue))
        cr = (np.array([1, 0, 0]) - luma) / (2 * (1 - red))
        bits = 1 if self.depth == 8 else 4
        scales = np.array([1, 1, 1] if self.full else [219 / 255, 224 / 255, 224 / 255]) * bits
        return np.asarray(np.stack([luma, cb, cr]) * scales[:, None], np.float64)

    def whole_samples(self, box: Box, height: int, width: int) -> Box:
        """The smallest box of whole chroma samples around a box, in a stored picture of that height and width."""
        across, down = self.subsampling
        x0, y0, x1, y1 = box
        return (
            max(0, x0) // across * across,
            max(0, y0) // down * down,
            min(width, -(-x1 // across) * across),
            min(height, -(-y1 // down) * down),
        )


def _reformatter() -> Any:
    """Return this thread's reformatter. Without it, each frame makes its own, which takes as long as the conversion."""
    if not hasattr(_THREAD, "reformatter"):
        _THREAD.reformatter = pyav().video.reformatter.VideoReformatter()
    return _THREAD.reformatter


def _samples(frame: Any, index: int) -> np.ndarray:
    """Return a view (h,w) of one plane's samples."""
    plane = frame.planes[index]
    kind = np.dtype("<u2" if frame.format.name.endswith("10le") else "u1")
    rows = np.frombuffer(plane, kind)
    view = rows[: plane.height * (plane.line_size // kind.itemsize)]
    return view.reshape(plane.height, -1)[:, : plane.width]


def check_depth(info: ClipInfo) -> None:
    """Raise for samples that would lose bits."""
    if info.depth > 10:
        raise ClipError(
            f"{info.name} has {info.depth} bits per sample, but at most 10 can be kept; convert it to 10 bits first"
        )
