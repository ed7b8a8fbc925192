"""Find what covers a face along a track, without flicker: `find_covers` for clips."""

from __future__ import annotations

from typing import Any

import numpy as np

from reliableswap.faces.face import five_points
from reliableswap.faces.glasses import Glasses, to_patch
from reliableswap.faces.parts import Parts
from reliableswap.faces.visibility import Covers, Decided, find_covers, scores

from .steady import Hysteresis, MaskSmoother, TrackSmoother

_GLASSES = (-0.4, -1.4)  # log odds at which glasses appear and disappear; a single photo is judged at -0.85
_FRAMES = 3  # consecutive frames that must agree


class SteadyCovers:
    """Finds what is in front of the faces of a clip, frame after frame.

    Glasses appear and disappear with hysteresis, the scores of mouth and beard are means over the last frames, and the
    maps of earlier frames are moved with the face before they are averaged. Nothing older than `window` frames counts:
    see `steady`.
    """

    def __init__(self, window: int = 12) -> None:
        self.window = window
        self._glasses = Hysteresis(*_GLASSES, count=_FRAMES, window=window)
        self._mouth = TrackSmoother(window, half_life=1.5)
        self._beard = TrackSmoother(window, half_life=4.0)
        self._maps = MaskSmoother(min(window, 4), half_life=1.0)
        self._glasses_mask = TrackSmoother(min(window, 4), half_life=1.0)

    def __call__(
        self,
        track: int,
        frame: int,
        picture: np.ndarray,
        mesh: np.ndarray,
        glasses_net: Any,
        parts: Parts | None = None,
    ) -> Covers:
        """Find the covers of a track's face of mesh (468,3) in a picture (H,W,3) uint8 around it; see find_covers."""
        glasses, mouth = scores(picture, mesh, parts)
        decided = Decided(self._glasses(track, frame, glasses), float(self._mouth(track, frame, mouth)))
        found = find_covers(picture, mesh, glasses_net, decided=decided, parts=parts)
        points = (five_points(mesh) + 0.5) * found.scale + found.shift
        maps = self._maps(track, frame, found.maps, points)
        # The glasses patch is aligned with the face already, so it need not be moved.
        mask = self._glasses_mask(track, frame, found.glasses.mask)
        bearded = float(self._beard(track, frame, found.bearded))
        return Covers(
            maps, found.scale, found.shift, Glasses(mask, to_patch(mesh)), found.by_network, bearded
        )
