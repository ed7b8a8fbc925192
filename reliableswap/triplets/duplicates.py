"""Find near-duplicates, by the aligned face: the same photo re-encoded, resized or cropped differently."""

from __future__ import annotations

from collections import defaultdict

import cv2
import numpy as np

from reliableswap.errors import ReliableSwapError

_SIDE = 16
BITS = _SIDE * _SIDE


def perceptual_hash(crop: np.ndarray) -> np.ndarray:
    """(4,) uint64, a bit for each of 16x16 cells of an aligned crop: whether its right neighbour is brighter."""
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    cells = cv2.resize(grey, (_SIDE + 1, _SIDE), interpolation=cv2.INTER_AREA).astype(np.int16)
    return np.packbits(cells[:, 1:] > cells[:, :-1]).view(np.uint64)


def duplicates(hashes: np.ndarray, quality: np.ndarray, bits: int) -> np.ndarray:
    """(N,) whether a photo, by hashes (N,4), differs by at most `bits` bits from a better photo that is kept.

    Two hashes that differ in at most b bits agree in at least one of any b + 1 pieces, so only photos with a common
    piece are compared. Pieces have eight bits or more, so b is at most 31.
    """
    if not 0 <= bits < BITS // 8:
        raise ReliableSwapError(f"duplicate_bits is {bits}; choose 0 to {BITS // 8 - 1}")
    text = np.unpackbits(np.ascontiguousarray(hashes).view(np.uint8).reshape(-1, BITS // 8), axis=1)
    pieces = [np.packbits(piece, axis=1) for piece in np.array_split(text, bits + 1, axis=1)]
    kept: list[dict[bytes, list[int]]] = [defaultdict(list) for _ in pieces]
    double = np.zeros(len(hashes), bool)
    # Best first, and by position where quality is equal.
    for photo in np.lexsort((np.arange(len(hashes)), -quality)):
        keys = [piece[photo].tobytes() for piece in pieces]
        near = sorted({other for table, key in zip(kept, keys, strict=True) for other in table.get(key, ())})
        if near:
            distance = np.bitwise_count(hashes[near] ^ hashes[photo]).sum(1)
            double[photo] = bool((distance <= bits).any())
        if not double[photo]:
            for table, key in zip(kept, keys, strict=True):
                table[key].append(int(photo))
    return double
