"""Near-duplicates: the same photo twice, re-encoded, resized or re-cropped. Told by the aligned face."""

from __future__ import annotations

from collections import defaultdict

import cv2
import numpy as np

from reliableswap.errors import ReliableSwapError

_SIDE = 16
BITS = _SIDE * _SIDE


def perceptual_hash(crop: np.ndarray) -> np.ndarray:
    """(4,) uint64: for each of 16x16 cells of an aligned crop, whether the next one to the right is brighter."""
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    cells = cv2.resize(grey, (_SIDE + 1, _SIDE), interpolation=cv2.INTER_AREA).astype(np.int16)
    return np.packbits(cells[:, 1:] > cells[:, :-1]).view(np.uint64)


def duplicates(hashes: np.ndarray, quality: np.ndarray, bits: int) -> np.ndarray:
    """(N,) whether each photo, hash (N,4), is within `bits` of a better one that is kept.

    Two hashes that differ in at most b bits agree in one of any b + 1 pieces, so only photos that share a piece are
    compared. Pieces are never shorter than eight bits, which bounds b at 31.
    """
    if not 0 <= bits < BITS // 8:
        raise ReliableSwapError(f"duplicate_bits is {bits}; choose 0 to {BITS // 8 - 1}")
    text = np.unpackbits(np.ascontiguousarray(hashes).view(np.uint8).reshape(-1, BITS // 8), axis=1)
    pieces = [np.packbits(piece, axis=1) for piece in np.array_split(text, bits + 1, axis=1)]
    kept: list[dict[bytes, list[int]]] = [defaultdict(list) for _ in pieces]
    double = np.zeros(len(hashes), bool)
    # Best first; equal quality by position, so that the answer does not depend on the sort.
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
