"""An aligned crop of a face with its mesh, as triplets hold it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reliableswap.faces.visibility import Covers

from .stored_covers import StoredCovers


@dataclass(frozen=True, eq=False)
class AlignedFace:
    """crop (P,P,3) uint8 and mesh (468,3) in the crop's pixels.

    covers and target_covers: what covers the face when it is a source (the stricter test) and when it is a target;
    None: not looked for yet. stored_covers: what is stored with the face about its covers, if anything.
    """

    crop: np.ndarray
    mesh: np.ndarray
    covers: Covers | None = None
    target_covers: Covers | None = None
    stored_covers: StoredCovers | None = None

    def inner(self, pad: int) -> AlignedFace:
        """The face without `pad` pixels of padding on each side, and without covers."""
        side = self.crop.shape[0] - pad
        mesh = self.mesh - np.array([pad, pad, 0], np.float32)
        return AlignedFace(np.ascontiguousarray(self.crop[pad:side, pad:side]), mesh)
