"""A linear probe: logistic regression on standardised features with a fixed ridge penalty.

SciPy and scikit-learn have it too, but neither is a dependency, and Newton's method takes a dozen lines.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PENALTY = 1.0  # the mean loss plus half of this times the squared norm of the weights is minimised
_STEPS, _TOLERANCE = 25, 1e-6


@dataclass(frozen=True, eq=False)
class Probe:
    """weights, mean and scale: (D,) each."""

    weights: np.ndarray
    offset: float
    mean: np.ndarray
    scale: np.ndarray

    def score(self, features: np.ndarray) -> np.ndarray:
        """(N,D) -> (N,) log odds that these are results and not photos."""
        return np.asarray((features - self.mean) / self.scale @ self.weights + self.offset)


def fit(results: np.ndarray, photos: np.ndarray, penalty: float = PENALTY) -> Probe:
    """Features (N,D) of results and (M,D) of photos -> the probe; both sides weigh the same whatever N and M are."""
    features = np.concatenate([results, photos]).astype(np.float64)
    mean, scale = features.mean(0), np.maximum(features.std(0), 1e-6)
    x = np.column_stack([(features - mean) / scale, np.ones(len(features))])
    y = np.concatenate([np.ones(len(results)), np.zeros(len(photos))])
    sample_weights = np.where(y == 1, 0.5 / len(results), 0.5 / len(photos))
    ridge = np.full(x.shape[1], penalty)
    ridge[-1] = 1e-6  # hardly a penalty on the offset, but enough to keep the system non-singular
    w = np.zeros(x.shape[1])
    for _ in range(_STEPS):
        probability = 1 / (1 + np.exp(-np.clip(x @ w, -500, 500)))
        gradient = x.T @ (sample_weights * (probability - y)) + ridge * w
        hessian = (x * (sample_weights * probability * (1 - probability))[:, None]).T @ x + np.diag(ridge)
        step = np.linalg.solve(hessian, gradient)
        w -= step
        if float(np.abs(step).max()) < _TOLERANCE:
            break
    return Probe(w[:-1], float(w[-1]), mean, scale)


def auc(ones: np.ndarray, others: np.ndarray) -> float:
    """Scores (N,), (M,) -> the share of pairs in which the first is larger; a tie counts half. This is the AUC."""
    ordered = np.sort(others)
    below = np.searchsorted(ordered, ones, "left") + np.searchsorted(ordered, ones, "right")
    return float(below.mean() / (2 * len(others)))
