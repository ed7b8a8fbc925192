"""Compact storage for a clip's meshes: 16-bit offsets from each mesh's mean."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

POINTS = 468
_STEPS = 32767.0


class PackedMeshes:
    """A growing list of meshes (468,3), at half the size of float32 and accurate to 1/65000 of the face's extent."""

    def __init__(self) -> None:
        self._frames: list[np.ndarray] = []  # (4,) middle and step
        self._offsets: list[np.ndarray] = []  # (468,3) int16

    def __len__(self) -> int:
        return len(self._offsets)

    def append(self, mesh: np.ndarray) -> None:
        """Add a mesh (468,3)."""
        middle = mesh.mean(0)
        offsets = mesh - middle
        step = max(float(np.abs(offsets).max()), 1e-6) / _STEPS
        self._frames.append(np.array([*middle, step], np.float32))
        self._offsets.append(np.rint(offsets / step).astype(np.int16))

    def __getitem__(self, index: int) -> np.ndarray:
        """(468,3) float32."""
        frame = self._frames[index]
        return np.asarray(self._offsets[index] * frame[3] + frame[:3], np.float32)

    def stacked(self, rows: slice = slice(None)) -> np.ndarray:
        """(N,468,3) float32."""
        if not self._offsets[rows]:
            return np.zeros((0, POINTS, 3), np.float32)
        frames = np.stack(self._frames[rows])[:, None]
        return np.asarray(np.stack(self._offsets[rows]) * frames[..., 3:] + frames[..., :3], np.float32)

    @classmethod
    def joined(cls, parts: Sequence[PackedMeshes]) -> PackedMeshes:
        """Return the meshes of all parts, in order; they share memory with the parts."""
        packed = cls()
        for part in parts:
            packed._frames += part._frames
            packed._offsets += part._offsets
        return packed

    def ordered(self, order: Sequence[int]) -> PackedMeshes:
        """Return the same meshes in another order."""
        packed = PackedMeshes()
        packed._frames = [self._frames[i] for i in order]
        packed._offsets = [self._offsets[i] for i in order]
        return packed

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the content as two arrays, for a file."""
        if not self._offsets:
            return {
                "mesh_frames": np.zeros((0, 4), np.float32),
                "mesh_offsets": np.zeros((0, POINTS, 3), np.int16),
            }
        return {"mesh_frames": np.stack(self._frames), "mesh_offsets": np.stack(self._offsets)}

    @classmethod
    def of_arrays(cls, frames: np.ndarray, offsets: np.ndarray) -> PackedMeshes:
        """Restore the list from the result of `arrays`."""
        packed = cls()
        packed._frames, packed._offsets = list(frames), list(offsets)
        return packed
