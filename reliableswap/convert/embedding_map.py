"""Fit a linear map from one identity encoder's vectors to another's, on faces that both have encoded."""

from __future__ import annotations

import numpy as np

from reliableswap.errors import ReliableSwapError


def fit_map(ours: np.ndarray, theirs: np.ndarray, strength: float = 1e-2) -> np.ndarray:
    """(N,D) our vectors and (N,E) theirs of the same N faces -> (D,E) float32, so that ours @ map points like theirs.

    Ridge regression between unit vectors. Use thousands of faces of many people, and check `agreement` on held-out
    faces: a small encoder captures less than a large one, and what it misses shows in swaps.
    strength: of the ridge, as a share of the mean variance of ours.
    """
    a, b = _unit(ours), _unit(theirs)
    if len(a) != len(b):
        raise ReliableSwapError(
            f"{len(a)} of our vectors but {len(b)} of theirs; give both for the same faces"
        )
    if len(a) < 2 * a.shape[1]:
        raise ReliableSwapError(
            f"{len(a)} faces are too few for a map of {a.shape[1]}-d vectors; give at least {2 * a.shape[1]}, better "
            "thousands"
        )
    ridge = strength * float(np.mean((a**2).sum(0))) * np.eye(a.shape[1])
    return np.asarray(np.linalg.solve(a.T @ a + ridge, a.T @ b), np.float32)


def agreement(ours: np.ndarray, theirs: np.ndarray, embedding_map: np.ndarray) -> float:
    """Return the mean cosine of our mapped vectors (N,D) and theirs (N,E), for faces that the map was not fitted to."""
    return float((_unit(_unit(ours) @ embedding_map) * _unit(theirs)).sum(1).mean())


def _unit(vectors: np.ndarray) -> np.ndarray:
    found = np.asarray(vectors, np.float64)
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
