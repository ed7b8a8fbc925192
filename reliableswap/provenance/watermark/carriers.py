"""The waves that carry the message: a lattice of spatial frequencies, each a wave whose period divides the tile.

Wave (ky, kx) is cos(2 pi (ky y + kx x) / period + phase). The message sets the phases of most waves; the phases of the
others are known and show where a tile begins.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass

import numpy as np

from .codec import SYMBOLS

PERIOD = 64.0  # pixels of a tile in a picture of at most FULL_AREA pixels
FULL_AREA = 3 << 19  # larger pictures are marked and read as if they were reduced to this many pixels
REACH = 14  # the largest |ky| and |kx|

_LOWEST = 3.5  # waves per tile; lower ones are more visible, and pictures hold most of their own energy there
_DATA = SYMBOLS  # carriers of data; each carries two signs, and each sign is carried twice
_STRIDE = 77  # spreads neighbouring signs over the frequencies
_SEED = "reliableswap-lattice-1"


@dataclass(frozen=True)
class Carriers:
    """(N,2) frequencies ky kx, (N,) complex phases; the first 192 carry data, in order of frequency.

    symbols: (192,2) which sign the real and the imaginary part of each data carrier hold.
    """

    frequencies: np.ndarray
    phases: np.ndarray
    symbols: np.ndarray

    @property
    def data(self) -> int:
        """How many carriers hold data; the others are known."""
        return len(self.symbols)


@functools.cache
def carriers() -> Carriers:
    """The carriers, which are the same for every picture."""
    chosen = sorted((_digest(ky, kx), ky, kx) for ky, kx in _half_plane())
    data = sorted(chosen[:_DATA], key=lambda entry: (entry[1] ** 2 + entry[2] ** 2, entry[0]))
    chosen = data + chosen[_DATA:]
    quarter = np.array([digest[-1] & 3 for digest, _, _ in chosen])
    slot = np.arange(2 * _DATA)
    place = np.where(slot < _DATA, slot, 2 * _DATA - 1 - slot)  # a sign's second place mirrors its first
    return Carriers(
        frequencies=np.array([(ky, kx) for _, ky, kx in chosen]),
        phases=np.exp(0.25j * np.pi * (2 * quarter + 1)),
        symbols=(_STRIDE * place % _DATA).reshape(-1, 2),
    )


def amplitudes(signs: np.ndarray) -> np.ndarray:
    """(N,) complex amplitudes of modulus 1 that carry the (192,) signs."""
    lattice = carriers()
    values = np.ones(len(lattice.phases), complex)
    pair = signs[lattice.symbols]
    values[: lattice.data] = (pair[:, 0] + 1j * pair[:, 1]) / np.sqrt(2)
    return values * lattice.phases


def shifts(y: float, x: float) -> np.ndarray:
    """(N,) complex factors that move the carriers back by y and x tiles."""
    ky, kx = carriers().frequencies.T
    return np.exp(2j * np.pi * (ky * y + kx * x))


def collect(values: np.ndarray) -> np.ndarray:
    """(192,) noisy signs from the data carriers' (192,) complex values with their phases removed."""
    lattice = carriers()
    parts = np.stack([values.real, values.imag], 1)
    return np.bincount(lattice.symbols.ravel(), parts.ravel(), SYMBOLS)


def superpose(amplitudes: np.ndarray, height: int, width: int, period: float) -> np.ndarray:
    """(H,W) float32 sum of the carriers with (N,) complex amplitudes."""
    ky, kx = carriers().frequencies.T
    spectrum = np.zeros((2 * REACH + 1, REACH + 1), np.complex64)
    spectrum[ky + REACH, kx] = amplitudes
    rows = _waves(height, period) @ spectrum
    across = _waves(width, period)[:, REACH:].T
    return np.concatenate([rows.real, -rows.imag], 1) @ np.concatenate([across.real, across.imag])


def analyse(detail: np.ndarray, period_y: float, period_x: float) -> np.ndarray:
    """(29,29) complex amplitudes of the waves ky, kx = -14 to 14 in (H,W) float32 detail; reverses `superpose`."""
    height, width = detail.shape
    across = _waves(width, period_x)[:, REACH:]
    rows = detail @ across.real - 1j * (detail @ across.imag)
    return with_opposites(_waves(height, period_y).conj().T @ rows)


def with_opposites(half: np.ndarray) -> np.ndarray:
    """(29,29) complex amplitudes of (29,15) ones; the opposite frequency has the conjugate."""
    return np.concatenate([half[::-1, :0:-1].conj(), half], 1)


@functools.lru_cache(maxsize=4)
def _waves(length: int, period: float) -> np.ndarray:
    """(length, 29) complex64 exp(2 pi i k y / period) along one axis, k = -14 to 14."""
    k = np.arange(-REACH, REACH + 1)
    return np.exp(2j * np.pi / period * np.outer(np.arange(length), k)).astype(np.complex64)


def _digest(ky: int, kx: int) -> bytes:
    return hashlib.sha256(f"{_SEED}:{ky},{kx}".encode()).digest()


def _half_plane() -> list[tuple[int, int]]:
    """Frequencies in the ring, one of each pair of opposite ones, without those of JPEG's block grid."""
    return [
        (ky, kx)
        for ky in range(-REACH, REACH + 1)
        for kx in range(REACH + 1)
        if (kx > 0 or ky > 0)
        and _LOWEST**2 <= ky**2 + kx**2 <= REACH**2
        and not (ky % 4 == 0 and kx % 4 == 0)
    ]
