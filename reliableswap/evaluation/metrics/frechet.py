"""The Fréchet distance between two sets of image features."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from reliableswap.errors import ReliableSwapError

from .intervals import Estimate

MIN_PICTURES = 16  # a covariance of fewer pictures is meaningless
_HALVES = 50


def frechet_distance(
    ones: Sequence[np.ndarray] | np.ndarray, others: Sequence[np.ndarray] | np.ndarray
) -> float:
    """Features (N,D), (M,D) -> the distance between their Gaussians, zero for equal sets.

    |m1 - m2|² + tr(C1 + C2 - 2 (C1^½ C2 C1^½)^½). The matrix roots are taken by eigenvalues: with fewer pictures than
    features the covariances are singular, and a general root (scipy.linalg.sqrtm) then returns complex numbers.
    """
    x, y = np.asarray(ones, np.float64), np.asarray(others, np.float64)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ReliableSwapError(
            f"the feature sets have shapes {x.shape} and {y.shape}; give (N, D) and (M, D)"
        )
    if min(len(x), len(y)) < MIN_PICTURES:
        raise ReliableSwapError(
            f"the sets have {len(x)} and {len(y)} pictures; a Fréchet distance needs at least {MIN_PICTURES} in each"
        )
    return max(0.0, _distance_to(y)(x))


def frechet_difference(
    ones: np.ndarray,
    others: np.ndarray,
    real: np.ndarray,
    groups: Sequence[str],
    seed: int = 0,
    halves: int = _HALVES,
) -> Estimate:
    """Features (N,D), (N,D) of the same pairs, real (M,D) -> distance of `ones` minus that of `others`, with interval.

    The interval comes from random halves of the pairs, drawn by whole groups (the frames of one video): a half deviates
    from all pairs as much as all pairs deviate from the population. A bootstrap would repeat pairs, which shrinks the
    covariances.
    """
    distance = _distance_to(real)
    labels = np.unique(np.asarray(groups), return_inverse=True)[1]
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(halves):
        drawn = rng.permutation(labels.max() + 1)[: (labels.max() + 1) // 2]
        half = np.isin(labels, drawn)
        values.append(distance(ones[half]) - distance(others[half]))
    value, reach = distance(ones) - distance(others), 1.96 * float(np.std(values, ddof=1))
    return Estimate(value, value - reach, value + reach, len(ones))


def _distance_to(real: np.ndarray) -> Callable[[np.ndarray], float]:
    """Return the function that gives the distance of a set (N,D) to this one (M,D)."""
    mean, covariance = real.mean(0), np.atleast_2d(np.cov(real, rowvar=False))
    root = _root(covariance)

    def distance(made: np.ndarray) -> float:
        other = np.atleast_2d(np.cov(made, rowvar=False))
        product = root @ other @ root
        shared = np.sqrt(np.clip(np.linalg.eigvalsh((product + product.T) / 2), 0, None)).sum()
        shift = ((made.mean(0) - mean) ** 2).sum()
        return float(shift + np.trace(covariance) + np.trace(other) - 2 * shared)

    return distance


def _root(matrix: np.ndarray) -> np.ndarray:
    """The square root of a symmetric matrix (D,D)."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return np.asarray((vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T)
