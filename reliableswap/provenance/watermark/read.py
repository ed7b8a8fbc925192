"""Read the mark from detail: find the tile's size, orientation and beginning by the known waves, then decode."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .carriers import REACH, analyse, carriers, collect, shifts, superpose
from .codec import decode
from .evidence import Evidence, whiten
from .periods import candidates
from .protocol import Reading

_GRID = 128  # places along each axis of a tile at which it may begin
_MIN_CREST = 5.0  # standard deviations by which the known waves must stand out


@dataclass(frozen=True)
class FoundMark:
    """A message, and the (y, x) of a tile's beginning in tiles."""

    payload: int
    confidence: float
    begin: tuple[float, float]


def read(detail: np.ndarray) -> Reading | None:
    """Read (H,W) float32 detail, or return None if no message passes its checks."""
    for lattice in _lattices(whiten(detail)):
        for turned in _orientations(lattice):
            found = _decode(turned)
            if found is not None:
                return Reading(found.payload, found.confidence)
    return None


def find_unchanged(detail: np.ndarray) -> FoundMark | None:
    """Find a mark in (H,W) float32 detail of a picture that was neither resized nor turned since."""
    return _decode(whiten(detail).lattice())


def _lattices(evidence: Evidence) -> Iterator[np.ndarray]:
    """Yield the waves' (29,29) amplitudes at likely periods; a picture that was not resized needs no search."""
    yield evidence.lattice()
    detail = evidence.detail()
    for period_y, period_x in candidates(evidence):
        yield analyse(detail, period_y, period_x)


def _orientations(lattice: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the amplitudes of the picture as it is and mirrored, each in four rotations by 90 degrees."""
    for mirrored in (lattice, lattice[:, ::-1]):
        for turns in range(4):
            yield np.rot90(mirrored, turns)


def _decode(lattice: np.ndarray) -> FoundMark | None:
    """Decode (29,29) amplitudes.

    A shift of the picture rotates each wave's phase by an angle that is linear in its frequency. At the right shift the
    known waves add up to the highest crest.
    """
    ours = carriers()
    ky, kx = ours.frequencies.T
    values = lattice[ky + REACH, kx + REACH] * ours.phases.conj()
    known = np.arange(len(values)) >= ours.data
    agreement = superpose(values * known, _GRID, _GRID, _GRID)
    top, left = (int(i) for i in np.unravel_index(np.argmax(agreement), agreement.shape))
    chance = float(np.sqrt(np.mean(np.square(np.abs(values))) * known.sum() / 2))
    if agreement[top, left] <= _MIN_CREST * chance:
        return None
    y = (top + _vertex(agreement.take([top - 1, top, top + 1], 0, mode="wrap")[:, left])) / _GRID
    x = (left + _vertex(agreement.take([left - 1, left, left + 1], 1, mode="wrap")[top])) / _GRID
    message = decode(collect((values * shifts(y, x))[: ours.data]))
    return FoundMark(*message, (y, x)) if message else None


def _vertex(heights: np.ndarray) -> float:
    """Where between -0.5 and 0.5 the parabola through three heights at -1, 0 and 1 has its maximum."""
    before, here, after = (float(height) for height in heights)
    bend = before - 2 * here + after
    return 0.5 * (before - after) / bend if bend < 0 else 0.0
