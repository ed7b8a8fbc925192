"""Find near-duplicates, by the aligned face: the same photo re-encoded, resized or cropped differently."""

from __future__ import annotations

import itertools

import cv2
import numpy as np

from reliableswap.errors import ReliableSwapError

_SIDE = 16
BITS = _SIDE * _SIDE
_PAIRS_AT_A_TIME = 1 << 18  # pairs of hashes compared at once


def perceptual_hash(crop: np.ndarray) -> np.ndarray:
    """(4,) uint64, a bit for each of 16x16 cells of an aligned crop: whether its right neighbour is brighter."""
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    cells = cv2.resize(grey, (_SIDE + 1, _SIDE), interpolation=cv2.INTER_AREA).astype(np.int16)
    return np.packbits(cells[:, 1:] > cells[:, :-1]).view(np.uint64)


def duplicates(hashes: np.ndarray, quality: np.ndarray, bits: int) -> np.ndarray:
    """(N,) whether a photo's hash, of hashes (N,4), is within `bits` bits of that of a better photo that is kept.

    Two hashes that differ in at most b bits agree in at least one of any b + 1 pieces, so only photos with a common
    piece are compared. Pieces have eight bits or more, so b is at most 31.
    """
    if not 0 <= bits < BITS // 8:
        raise ReliableSwapError(f"duplicate_bits is {bits}; choose 0 to {BITS // 8 - 1}")
    double = np.zeros(len(hashes), bool)
    # Best first, and by position where quality is equal.
    order = np.lexsort((np.arange(len(hashes)), -quality))
    # Of equal hashes only the best can be kept, and it stands for all of them: they have the same neighbours.
    first = np.unique(np.ascontiguousarray(hashes[order]).view("V32").ravel(), return_index=True)[1]
    double[order] = True
    best = order[np.sort(first)]
    double[best] = False
    for better, worse in _near_pairs(hashes[best], bits):
        if not double[best[better]]:
            double[best[worse]] = True
    return double


def _near_pairs(hashes: np.ndarray, bits: int) -> list[tuple[int, int]]:
    """The pairs (i, j), i < j, of hashes that differ in at most `bits` bits, sorted by j."""
    found = np.zeros(0, np.int64)
    edges = np.linspace(0, BITS, bits + 2).astype(int)
    for start, stop in itertools.pairwise(edges):
        key = _piece(hashes, start, stop)
        order = np.argsort(key, kind="stable")
        key = key[order]
        left, step, parts = np.arange(len(key)), 1, [found]
        while len(left := left[: np.searchsorted(left, len(key) - step)]):
            left = left[key[left] == key[left + step]]
            for some in np.array_split(left, len(left) // _PAIRS_AT_A_TIME + 1):
                i, j = order[some], order[some + step]
                close = np.bitwise_count(hashes[i] ^ hashes[j]).sum(1) <= bits
                low, high = np.minimum(i, j)[close], np.maximum(i, j)[close]
                parts.append(high * len(hashes) + low)
            step += 1
        found = np.unique(np.concatenate(parts))
    return [(int(pair % len(hashes)), int(pair // len(hashes))) for pair in found]


def _piece(hashes: np.ndarray, start: int, stop: int) -> np.ndarray:
    """(N,) uint64, the bits from start to stop of each hash, of which at most the first 56."""
    stop = min(stop, start + 56)
    columns = (
        np.ascontiguousarray(hashes).view(np.uint8).reshape(-1, BITS // 8)[:, start // 8 : -(-stop // 8)]
    )
    key = np.zeros(len(hashes), np.uint64)
    for column in columns.T:
        key = key << np.uint64(8) | column
    return key >> np.uint64(-stop % 8) & np.uint64((1 << (stop - start)) - 1)
