"""How a player rotates and mirrors stored frames, given the container's display matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Matrix = tuple[int, ...]
UPRIGHT: Matrix = (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)


@dataclass(frozen=True)
class Orientation:
    """How to display the stored picture: transpose it first, then mirror it left to right and top to bottom.

    matrix: the nine integers that FFmpeg stores, to be written to the output.
    """

    matrix: Matrix = UPRIGHT
    transposed: bool = False
    mirrored: bool = False
    upside_down: bool = False

    @classmethod
    def of(cls, matrix: Matrix | None) -> Orientation | None:
        """Read a display matrix; return None if it rotates by anything but quarter turns."""
        if matrix is None:
            return cls()
        a, b, _, c, d, _, *_ = matrix
        if a and d and not (b or c):
            return cls(matrix, False, a < 0, d < 0)
        if b and c and not (a or d):
            return cls(matrix, True, c < 0, b < 0)
        return None

    @property
    def changes(self) -> bool:
        """Whether the display differs from the stored picture."""
        return self.transposed or self.mirrored or self.upside_down

    @property
    def degrees(self) -> int:
        """The clockwise rotation for display, without mirroring."""
        if not self.transposed:
            return 180 if self.upside_down else 0
        return 270 if self.upside_down else 90

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width as displayed."""
        return (width, height) if self.transposed else (height, width)

    def upright(self, stored: np.ndarray) -> np.ndarray:
        """Return a stored picture (H,W,...) as displayed."""
        if not self.changes:
            return stored
        turned = stored.swapaxes(0, 1) if self.transposed else stored
        return np.ascontiguousarray(turned[self._steps()])

    def stored(self, upright: np.ndarray) -> np.ndarray:
        """Return a displayed picture (h,w,...) as stored: the reverse of `upright`."""
        if not self.changes:
            return upright
        turned = upright[self._steps()]
        return np.ascontiguousarray(turned.swapaxes(0, 1) if self.transposed else turned)

    def stored_box(
        self, box: tuple[int, int, int, int], height: int, width: int
    ) -> tuple[int, int, int, int]:
        """Map x0 y0 x1 y1 (ends excluded) from the displayed picture, of that height and width, to the stored one."""
        x0, y0, x1, y1 = box
        if self.mirrored:
            x0, x1 = width - x1, width - x0
        if self.upside_down:
            y0, y1 = height - y1, height - y0
        return (y0, x0, y1, x1) if self.transposed else (x0, y0, x1, y1)

    def displayed_box(
        self, box: tuple[int, int, int, int], height: int, width: int
    ) -> tuple[int, int, int, int]:
        """The reverse of `stored_box`; height and width are those of the stored picture."""
        x0, y0, x1, y1 = box
        if self.transposed:
            x0, y0, x1, y1, height, width = y0, x0, y1, x1, width, height
        if self.mirrored:
            x0, x1 = width - x1, width - x0
        if self.upside_down:
            y0, y1 = height - y1, height - y0
        return x0, y0, x1, y1

    def _steps(self) -> tuple[slice, slice]:
        return slice(None, None, -1 if self.upside_down else 1), slice(None, None, -1 if self.mirrored else 1)
