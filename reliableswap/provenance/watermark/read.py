"""Read the mark from detail: find the tile's size, orientation and beginning by the known waves, then decode."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .carriers import PERIOD, REACH, analyse, carriers, collect, superpose
from .codec import decode
from .evidence import Evidence, whiten
from .periods import candidates
from .protocol import Reading

_GRID = 128  # places along each axis of a tile at which it may begin
_CLEAR = 5.0  # standard deviations by which the known waves must stand out


def read(detail: np.ndarray) -> Reading | None:
    """Read (H,W) float32 detail, or return None if no message passes its checks."""
    evidence = whiten(detail)
    for period_y, period_x in _periods(evidence):
        lattice = analyse(evidence.detail, period_y, period_x)
        for turned in _orientations(lattice):
            values, clear = _align(turned)
            found = decode(collect(values)) if clear >= _CLEAR else None
            if found is not None:
                return Reading(*found)
    return None


def _periods(evidence: Evidence) -> Iterator[tuple[float, float]]:
    yield PERIOD, PERIOD  # a picture that was not resized needs no search
    yield from candidates(evidence)


def _orientations(lattice: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the amplitudes of the picture as it is, mirrored, and in quarter turns of both."""
    for mirrored in (lattice, lattice[:, ::-1]):
        for turns in range(4):
            yield np.rot90(mirrored, turns)


def _align(lattice: np.ndarray) -> tuple[np.ndarray, float]:
    """(192,) values of the data carriers with their phases removed, and how clearly the known waves agree.

    A shift of the picture turns each wave's phase by an angle that is linear in its frequency. At the right shift the
    known waves add up to the highest crest.
    """
    ours = carriers()
    ky, kx = ours.frequencies.T
    values = lattice[ky + REACH, kx + REACH] * ours.phases.conj()
    known = np.arange(len(values)) >= ours.data
    agreement = superpose(values * known, _GRID, _GRID, _GRID)
    top, left = (int(i) for i in np.unravel_index(np.argmax(agreement), agreement.shape))
    chance = float(np.sqrt(np.mean(np.square(np.abs(values))) * known.sum() / 2))
    clear = float(agreement[top, left]) / chance if chance > 0 else 0.0
    y = top + _vertex(agreement.take([top - 1, top, top + 1], 0, mode="wrap")[:, left])
    x = left + _vertex(agreement.take([left - 1, left, left + 1], 1, mode="wrap")[top])
    values = values * np.exp(2j * np.pi / _GRID * (ky * y + kx * x))
    return values[: ours.data], clear


def _vertex(heights: np.ndarray) -> float:
    """Where between -0.5 and 0.5 the parabola through three heights at -1, 0 and 1 has its maximum."""
    before, here, after = (float(height) for height in heights)
    bend = before - 2 * here + after
    return 0.5 * (before - after) / bend if bend < 0 else 0.0
