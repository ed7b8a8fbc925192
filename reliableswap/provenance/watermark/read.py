"""Read the mark from detail: find the tile's size, orientation and beginning by the known waves, then decode."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .carriers import PERIOD, REACH, carriers, collect, waves
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
        lattice = _demodulate(evidence.detail, period_y, period_x)
        for turned in _orientations(lattice):
            values, clear = _align(turned)
            found = decode(collect(values)) if clear >= _CLEAR else None
            if found is not None:
                return Reading(*found)
    return None


def _periods(evidence: Evidence) -> Iterator[tuple[float, float]]:
    yield PERIOD, PERIOD  # a picture that was not resized needs no search
    yield from candidates(evidence)


def _demodulate(detail: np.ndarray, period_y: float, period_x: float) -> np.ndarray:
    """(29,29) complex amplitudes of the waves ky, kx = -14 to 14."""
    height, width = detail.shape
    across = np.concatenate(waves(width, period_x), 1)
    rows = detail @ across
    rows = rows[:, : REACH + 1] - 1j * rows[:, REACH + 1 :]
    cosines, sines = waves(height, period_y)
    up = np.concatenate(
        [(cosines + 1j * sines)[:, :0:-1], cosines - 1j * sines], 1
    ).T  # e^(-i ky y), ky -14 to 14
    half = up @ rows
    return np.concatenate([half[::-1, :0:-1].conj(), half], 1)


def _orientations(lattice: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the amplitudes of the picture as it is, mirrored, and in quarter turns of both."""
    for mirrored in (lattice, lattice[:, ::-1]):
        for turns in range(4):
            yield np.rot90(mirrored, turns)


def _align(lattice: np.ndarray) -> tuple[np.ndarray, float]:
    """(192,) values of the data carriers with their phases removed, and how clearly the known waves agree.

    A shift of the picture turns every wave's phase by an angle that is linear in its frequency. The shift at which the
    known waves agree best is the maximum of a Fourier transform.
    """
    ours = carriers()
    ky, kx = ours.frequencies.T
    values = lattice[ky + REACH, kx + REACH] * ours.phases.conj()
    known = slice(ours.data, None)
    spectrum = np.zeros((_GRID, _GRID), np.complex64)
    spectrum[ky[known], kx[known]] = values[known]
    agreement = np.fft.ifft2(spectrum).real * _GRID**2
    top, left = (int(i) for i in np.unravel_index(np.argmax(agreement), agreement.shape))
    chance = float(np.sqrt(np.sum(np.square(np.abs(values))) * (1 - ours.data / len(values)) / 2))
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
