"""Turn the tracklets of a clip into its people and its table of faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .follow import Follower
from .packed import PackedMeshes
from .paths import paths, tracks
from .people import cluster, is_false_positive
from .settings import TrackSettings
from .tracklet import Tracklet, View


@dataclass(frozen=True, eq=False)
class Rows:
    """A table with one row per face and frame, ordered by frame: columns (N,) and N meshes."""

    frame: np.ndarray
    track: np.ndarray
    person: np.ndarray
    score: np.ndarray
    presence: np.ndarray
    meshes: PackedMeshes


@dataclass(frozen=True, eq=False)
class UnnumberedPerson:
    """A person without a number yet."""

    tracklets: list[Tracklet]
    seen: int
    best: View
    vector: np.ndarray

    @property
    def thumbnail(self) -> np.ndarray:
        """(112,112,3) uint8 the crop of the best view."""
        assert self.best.crop is not None, "the best view of a tracklet keeps its crop"
        return self.best.crop


def gather(follower: Follower, settings: TrackSettings) -> tuple[Rows, list[UnnumberedPerson]]:
    """Return the table of faces, and the people in the order of their numbers."""
    shots = follower.shot_frames()
    tracklets = [one for one in follower.tracklets if one.frames]
    groups = [
        group
        for group in cluster(tracklets, settings)
        if _lasts(group, shots, settings) and not is_false_positive(group, settings)
    ]
    people = [_unnumbered_person(group) for group in groups if any(one.views for one in group)]
    people.sort(key=lambda one: (-one.seen, one.tracklets[0].frames[0]))
    return _rows(people, shots, settings), people


def _lasts(group: Sequence[Tracklet], shots: dict[int, tuple[int, int]], settings: TrackSettings) -> bool:
    """Whether a person is seen for `shortest`, or for at least half of a shot."""
    if sum(len(one.frames) for one in group) >= settings.frames(settings.shortest):
        return True
    return any(2 * len(one.frames) >= shots[one.shot][1] - shots[one.shot][0] for one in group)


def _unnumbered_person(group: list[Tracklet]) -> UnnumberedPerson:
    group = sorted(group, key=lambda one: one.frames[0])
    best = max((view for one in group for view in one.views), key=lambda view: view.quality)
    vectors = [(view.quality, view.vector) for one in group for view in one.views if view.vector is not None]
    vectors = sorted(vectors, key=lambda pair: -pair[0])[:10]
    mean = np.asarray(sum(q * v for q, v in vectors), np.float32) if vectors else np.zeros(0, np.float32)
    vector = mean / max(float(np.linalg.norm(mean)), 1e-9)
    return UnnumberedPerson(group, sum(len(one.frames) for one in group), best, vector)


def _rows(
    people: Sequence[UnnumberedPerson], shots: dict[int, tuple[int, int]], settings: TrackSettings
) -> Rows:
    columns: list[tuple[int, int, int, float, float]] = []
    meshes = PackedMeshes()
    number = 0
    for person, one in enumerate(people, 1):
        for track in tracks(one.tracklets, settings):
            for path in paths(track, shots[track[0].shot], settings):
                for i, mesh in enumerate(path.meshes):
                    columns.append((path.first + i, number, person, path.score, float(path.presence[i])))
                    meshes.append(mesh)
            number += 1
    order = sorted(range(len(columns)), key=lambda i: columns[i][:1] + columns[i][2:3])
    frame, track_, person_, score, presence = (
        np.array([columns[i][k] for i in order], kind)
        for k, kind in enumerate((np.int64, np.int32, np.int32, np.float32, np.float32))
    )
    return Rows(frame, track_, person_, score, presence, meshes.ordered(order))
