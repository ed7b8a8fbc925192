"""Probabilities from a network's logits."""

from __future__ import annotations

import numpy as np


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """(...) logits -> probabilities of the same shape, float32."""
    return np.asarray(0.5 + 0.5 * np.tanh(np.float32(0.5) * logits), np.float32)


def softmax(logits: np.ndarray, axis: int) -> np.ndarray:
    """(...) logits -> probabilities of the same shape, which add up to one along the axis."""
    powers = np.exp(logits - logits.max(axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis, keepdims=True), np.float32)
