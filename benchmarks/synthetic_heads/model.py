"""The morphable head model: ICT FaceKit's face area (MIT licence) as an .npz file.

Its arrays are `neutral` (P,3), `identity` (100,P,3), `expression` (57,P,3), `expression_names` and `faces` (T,3).
Lengths are centimetres; y points up and z out of the face.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reliableswap.errors import ReliableSwapError


@dataclass(frozen=True, eq=False)
class HeadModel:
    """A mean face and its linear directions of identity and expression."""

    neutral: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    expression_names: list[str]
    triangles: np.ndarray

    @classmethod
    def load(cls, path: Path) -> HeadModel:
        """Read the .npz file."""
        if not path.is_file():
            raise ReliableSwapError(f"no head model at {path}; give ICT FaceKit's face area as .npz")
        with np.load(path, allow_pickle=False) as data:
            wanted = {"neutral", "identity", "expression", "expression_names", "faces"}
            if not wanted <= set(data.files):
                lacking = ", ".join(sorted(wanted - set(data.files)))
                raise ReliableSwapError(
                    f"{path} lacks {lacking}; benchmarks/synthetic_heads/model.py describes the file"
                )
            return cls(
                data["neutral"].astype(np.float64),
                data["identity"].astype(np.float32),
                data["expression"].astype(np.float32),
                [str(name) for name in data["expression_names"]],
                data["faces"].astype(np.int64),
            )

    def points(self, shape: np.ndarray, expression: dict[str, float]) -> np.ndarray:
        """Shape (100,) in standard deviations, expression by name in 0..1 -> (P,3) points in centimetres."""
        points = self.neutral + np.tensordot(shape, self.identity[: len(shape)], 1)
        for name, weight in expression.items():
            points = points + weight * self.expression[self.expression_names.index(name)]
        return np.asarray(points)

    def rims(self) -> dict[str, np.ndarray]:
        """Return the model's holes, `left_eye`, `right_eye` and `lips`, as point numbers in order along their edge."""
        named: dict[str, np.ndarray] = {}
        for ring in _open_edges(self.triangles):
            x, y, _ = self.neutral[ring].mean(0)
            if y > 1 and 1 < abs(x) < 6:
                named["left_eye" if x > 0 else "right_eye"] = np.array(ring)
            elif abs(x) < 0.5 and -6 < y < -1 and len(ring) < 150:
                named["lips"] = np.array(ring)
        if len(named) != 3:
            raise ReliableSwapError(
                "the head model has no holes for eyes and lips; give ICT FaceKit's face area"
            )
        return named


def _open_edges(triangles: np.ndarray) -> Iterator[list[int]]:
    """Yield the point numbers along every edge that belongs to one triangle only, one list per ring."""
    edges = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), 1)
    found, times = np.unique(edges, axis=0, return_counts=True)
    neighbours: dict[int, list[int]] = {}
    for a, b in found[times == 1].tolist():
        neighbours.setdefault(a, []).append(b)
        neighbours.setdefault(b, []).append(a)
    while neighbours:
        ring = [min(neighbours)]
        while following := [p for p in neighbours.pop(ring[-1]) if p in neighbours]:
            ring.append(following[0])
        yield ring
