"""Choose the views of a followed face whose identity vectors determine who it is."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from reliableswap.faces.align import IDENTITY_WINDOW, align, to_planes
from reliableswap.faces.face import Face

from .settings import TrackSettings
from .tracklet import Tracklet, View

_LEAST_PRESENCE = 0.7
_CHECK = 1.0  # seconds between two views of a well-known face
_CLEARLY = (
    0.2  # a view whose cosine is further below `same` than this shows another person; allows for poor views
)


class ViewChooser:
    """Takes views of followed faces: several when a tracklet is new, then better ones and one per second."""

    def __init__(self, networks: Any, settings: TrackSettings) -> None:
        self.networks, self.settings = networks, settings
        self._last: dict[int, int] = {}  # tracklet -> frame

    def __call__(self, tracklet: Tracklet, frame: int, face: Face, pixels: np.ndarray) -> View | None:
        """Return a view of the face in a frame (H,W,3) uint8, or None if it would add nothing."""
        if (face.presence or 0.0) < _LEAST_PRESENCE and tracklet.views:
            return None
        crop = align(pixels, face.points5)[0][IDENTITY_WINDOW]
        quality = quality_of(face, crop)
        due = frame - self._last.get(tracklet.number, -(10**9)) >= self.settings.frames(_CHECK)
        if not due and not tracklet.wants(quality):
            return None
        self._last[tracklet.number] = frame
        return View(frame, quality, self._embed(crop), crop.copy(), face.box)

    def is_another(self, tracklet: Tracklet, view: View) -> bool:
        """Whether a view certainly shows another person than the tracklet's other views."""
        known = tracklet.vector
        if known is None or view.vector is None or len(tracklet.views) < 2:
            return False
        sure = view.quality > 0.5 * tracklet.views[0].quality
        return sure and float(known @ view.vector) < self.settings.same - _CLEARLY

    def _embed(self, crop: np.ndarray) -> np.ndarray | None:
        identity = self.networks.identity
        if identity is None:
            return None
        (vector,) = identity(to_planes(crop))
        flat = vector[0]
        return np.asarray(flat / max(float(np.linalg.norm(flat)), 1e-9), np.float32)


def quality_of(face: Face, crop: np.ndarray) -> float:
    """Return in 0..1 how well an aligned crop (112,112,3) shows who it is: how large, sharp and frontal the face is."""
    width = max(float(np.linalg.norm(face.mesh[234, :2] - face.mesh[454, :2])), 1e-6)
    turned = abs(float(face.mesh[234, 2] - face.mesh[454, 2])) / width
    sharp = float(cv2.Laplacian(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), cv2.CV_32F).std())
    size = min(1.0, face.size / 112)
    return (face.presence or 0.0) * size * np.exp(-turned) * min(1.0, 0.3 + sharp / 30)
