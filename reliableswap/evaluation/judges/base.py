"""The interface of a judge of identity."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from reliableswap.faces.face import Detection


class Judge(Protocol):
    """A face in a photo (H,W,3) uint8 -> (D,) float64 of length one."""

    name: str

    def embed(self, image: np.ndarray, face: Detection) -> np.ndarray: ...


def unit(vector: Any) -> np.ndarray:
    """Any array of D numbers -> (D,) float64 of length one."""
    flat = np.asarray(vector, np.float64).reshape(-1)
    return np.asarray(flat / max(float(np.linalg.norm(flat)), 1e-12))
