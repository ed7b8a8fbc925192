"""What covers a face along a track, without flicker: `find_covers` for clips."""

from __future__ import annotations

from typing import Any

import numpy as np

from reliableswap.faces.face import five_points
from reliableswap.faces.glasses import Glasses, to_patch
from reliableswap.faces.parts import Parts
from reliableswap.faces.visibility import Covers, Decided, find_covers, scores

from .steady import Hysteresis, MaskSmoother, TrackSmoother

_GLASSES = (-0.4, -1.4)  # log odds at which glasses come and go; a photo alone is judged at -0.85
_FRAMES = 3  # so many in a row have to say so


class SteadyCovers:
    """Finds what is in front of the faces of a clip, frame after frame.

    Glasses come and go with hysteresis, the mouth's score and what is known of a beard are means over the last frames,
    and maps of earlier frames move with the face before the mean is taken. Nothing older than `window` frames counts:
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
        """The covers of a track's face with a mesh (468,3) in a picture (H,W,3) uint8 around it; see find_covers."""
        glasses, mouth = scores(picture, mesh, parts)
        decided = Decided(self._glasses(track, frame, glasses), float(self._mouth(track, frame, mouth)))
        found = find_covers(picture, mesh, glasses_net, decided=decided, parts=parts)
        points = (five_points(mesh) + 0.5) * found.scale + found.shift
        maps = self._maps(track, frame, found.maps, points)
        # The patch of glasses is aligned with the face already, so it needs no moving.
        mask = self._glasses_mask(track, frame, found.glasses.mask)
        bearded = float(self._beard(track, frame, found.bearded))
        return Covers(maps, found.scale, found.shift, Glasses(mask, to_patch(mesh)), found.told, bearded)
