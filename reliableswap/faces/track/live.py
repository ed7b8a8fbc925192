"""Follow one face in live video, without look-ahead: its mesh is read near its place in the last frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from reliableswap.faces.detect import SearchSettings, add_meshes, find_faces, overlaps
from reliableswap.faces.face import Detection, Face, eye_distance

_SEARCH = SearchSettings(sure=0.0, side=320, fine_side=0, turns=(), min_size=24.0)
_CONFIRM, _RETRY = 2.0, 0.25  # seconds between searches: while a face is followed, and while none is
_PAUSE = 1.5  # seconds without a frame or a face after which a face no longer counts as the one before
_ENTER, _LEAVE = 0.6, 0.35  # the mesh network's presence at which a face appears and disappears
_SAME = 0.3  # least overlap of a face with its last place, or with a detection that confirms it
_JUMP = 0.35  # of its size: a face that moves further between two frames is in doubt
# Motion in eye distances from which a frame's points count fully, and their weight at rest.
_STILL, _LEAST = 0.012, 0.45


@dataclass(eq=False)
class _Seen:
    face: Face
    time: float
    speed: np.ndarray  # (2,) pixels a second
    missed: int = 0  # consecutive searches


class LiveFollower:
    """Follows a face through frames as they arrive. track: a number that changes whenever the face may be another."""

    def __init__(self, networks: Any) -> None:
        self.networks, self.track = networks, 0
        self._seen: _Seen | None = None
        self._searched = -np.inf

    def __call__(self, pixels: np.ndarray, time: float) -> Face | None:
        """Return the face in a frame (H,W,3) uint8 at a time in seconds: the followed one, or else the largest."""
        seen = self._seen
        face = None if seen is None else self._follow(pixels, seen, time)
        wait = _RETRY if face is None else _CONFIRM
        if time - self._searched >= wait or (
            face is None and seen is not None and seen.time > self._searched
        ):
            face = self._search(pixels, face, time)
        if face is not None:
            self._keep(face, time)
        elif seen is not None and time - seen.time > _PAUSE:
            self._seen = None
        return None if face is None or self._seen is None else self._seen.face

    def _follow(self, pixels: np.ndarray, seen: _Seen, time: float) -> Face | None:
        """Read the face near its expected place."""
        passed = time - seen.time
        if passed > _PAUSE:
            return None
        expected = seen.face.shifted(*(seen.speed * min(passed, 0.2)))
        face = self._read(pixels, expected)
        if face is not None and _moved(expected, face) > _JUMP:
            face = self._read(pixels, face)  # read again: the crop missed the face
        return face

    def _read(
        self, pixels: np.ndarray, where: Detection, passes: int = 1, least: float = _LEAVE
    ) -> Face | None:
        (found,) = add_meshes(self.networks.landmarks, pixels, [where], passes)
        face = Face.from_mesh(found.mesh, where.score, found.presence)
        middle = face.points5.mean(0)
        inside = (middle >= 0).all() and (middle < pixels.shape[1::-1]).all()
        return face if inside and (face.presence or 0.0) >= least else None

    def _search(self, pixels: np.ndarray, face: Face | None, time: float) -> Face | None:
        """Search the frame: confirm the face that is followed, or find the largest one."""
        self._searched = time
        found = find_faces(self.networks.detector, pixels, _SEARCH)
        if face is not None and self._seen is not None:
            near = (
                bool(found) and float(overlaps(face.box, np.stack([one.box for one in found])).max()) > _SAME
            )
            self._seen.missed = 0 if near else self._seen.missed + 1
            if self._seen.missed < 2:
                return face
            self._seen = None
        return self._read(pixels, found[0], passes=2, least=_ENTER) if found else None

    def _keep(self, face: Face, time: float) -> None:
        """Store a face: steadied if it is near the one before, otherwise as the start of a new track."""
        before = self._seen
        near = before is not None and float(overlaps(before.face.box, face.box[None])[0]) > _SAME
        if before is None or not near or time - before.time > _PAUSE:
            self.track += 1
            self._seen = _Seen(face, time, np.zeros(2))
            return
        passed = max(time - before.time, 1e-3)
        mesh = _steadied(before.face.mesh, face.mesh)
        steady = Face.from_mesh(mesh, face.score, face.presence)
        speed = 0.7 * (steady.points5.mean(0) - before.face.points5.mean(0)) / passed
        self._seen = _Seen(steady, time, speed, before.missed)


def _moved(before: Face, after: Face) -> float:
    """Return how far a face moved, as a multiple of its size."""
    return float(np.linalg.norm(after.points5.mean(0) - before.points5.mean(0))) / max(before.size, 1e-6)


def _steadied(before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """(468,3) the mesh `now`, its points held back the more the less they moved, so that a still face stays still."""
    motion = np.linalg.norm(now[:, :2] - before[:, :2], axis=1, keepdims=True) / max(eye_distance(now), 1e-6)
    counts = np.clip(motion / _STILL, 0, 1)
    weight = _LEAST + (1 - _LEAST) * counts
    return np.asarray(before + weight * (now - before), np.float32)
