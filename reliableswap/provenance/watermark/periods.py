"""Find the size of the tile: the mark repeats, so the detail correlates with itself at multiples of the period."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from .carriers import PERIOD
from .evidence import Evidence

SMALLEST, LARGEST = 16.0, 176.0  # pixels
_STEP = 0.001  # relative, between the periods that are tried
_LAGS = 4  # tiles to each side that are compared at first
_MAX_LAG_VALUE = 6.0  # the most that one lag counts, in multiples of the median of all lags
_MAX_CANDIDATES = 5  # periods that are worth reading at


def candidates(evidence: Evidence) -> Iterator[tuple[float, float]]:
    """Yield likely periods (y, x) in pixels, the likeliest first."""
    correlation, extent = evidence.autocorrelation(), evidence.extent
    # Clipped, so that the few strong peaks of a repetitive picture do not hide the mark's many weak ones.
    correlation = np.minimum(correlation, _MAX_LAG_VALUE * np.median(np.abs(correlation)))
    periods = SMALLEST * np.exp(np.arange(0, np.log(LARGEST / SMALLEST), _STEP))
    scores = _score(correlation, extent, periods, periods, 1)
    peaks = np.flatnonzero((scores[1:-1] >= scores[:-2]) & (scores[1:-1] > scores[2:])) + 1
    for peak in peaks[np.argsort(-scores[peaks], kind="stable")][:_MAX_CANDIDATES]:
        yield _refined(correlation, extent, float(periods[peak]))


def _refined(correlation: np.ndarray, extent: tuple[int, ...], period: float) -> tuple[float, float]:
    """Refine the period along each axis, by comparing tiles that are farther and farther apart."""
    period_y = period_x = period
    spread = 1
    while True:
        step = np.linspace(-1.5, 1.5, 7) / (_LAGS * spread * PERIOD)
        grid_y, grid_x = (axis.ravel() for axis in np.meshgrid(period_y * (1 + step), period_x * (1 + step)))
        best = int(np.argmax(_score(correlation, extent, grid_y, grid_x, spread)))
        period_y, period_x = float(grid_y[best]), float(grid_x[best])
        spread *= 2
        if _LAGS * spread * period > min(extent):
            return period_y, period_x


def _score(
    correlation: np.ndarray,
    extent: tuple[int, ...],
    periods_y: np.ndarray,
    periods_x: np.ndarray,
    spread: int,
) -> np.ndarray:
    """(N,) correlation at the multiples of each of N periods: the sum over the square root of their number."""
    across = np.arange(-_LAGS, _LAGS + 1)
    lags = np.array([(i, j) for i in range(_LAGS + 1) for j in across if i > 0 or j > 0]) * spread
    y, x = np.outer(periods_y, lags[:, 0]), np.outer(periods_x, lags[:, 1])
    middle_y, middle_x = correlation.shape[0] // 2, correlation.shape[1] // 2
    inside = (y < min(0.8 * extent[0], middle_y - 2)) & (np.abs(x) < min(0.8 * extent[1], middle_x - 2))
    places = (x + middle_x).astype(np.float32), (y + middle_y).astype(np.float32)
    values = cv2.remap(correlation, *places, cv2.INTER_CUBIC) * inside
    return values.sum(1) / np.sqrt(np.maximum(inside.sum(1), 1))
