"""Soft thresholds."""

from __future__ import annotations

import numpy as np


def rising(value: np.ndarray | float, limits: tuple[float, float]) -> np.ndarray:
    """Zero below the limits, one above them, and linear between."""
    low, high = limits
    return np.asarray(np.clip((value - low) / (high - low), 0, 1), np.float32)
