"""Turn a person's tracklets into steady paths: close short gaps, drop brief appearances, smooth the points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from .packed import PackedMeshes
from .settings import TrackSettings
from .smooth import smoothed
from .tracklet import Tracklet

# Frames smoothed at a time, and extra frames on both sides: memory does not grow with the clip.
_PIECE, _MARGIN = 500, 40


@dataclass(frozen=True, eq=False)
class Path:
    """One face in consecutive frames from `first` on: meshes (N,468,3), presence (N,), lowered in bridged gaps."""

    first: int
    meshes: np.ndarray
    presence: np.ndarray
    score: float


def tracks(tracklets: Sequence[Tracklet], settings: TrackSettings) -> list[list[Tracklet]]:
    """Join a person's tracklets into tracks: chains within one shot and without a long gap."""
    chains: list[list[Tracklet]] = []
    for one in sorted(tracklets, key=lambda tracklet: tracklet.frames[0]):
        last = chains[-1][-1] if chains else None
        near = last is not None and one.frames[0] - last.frames[-1] <= settings.frames(settings.lost)
        if near and last is not None and last.shot == one.shot:
            chains[-1].append(one)
        else:
            chains.append([one])
    return chains


def paths(track: Sequence[Tracklet], shot: tuple[int, int], settings: TrackSettings) -> Iterator[Path]:
    """Yield the frames in which to change a track's face. shot: its first frame, and the one after its last."""
    frames = np.concatenate([one.frames for one in track]).astype(int)
    presence = np.concatenate([one.presence for one in track]).astype(np.float32)
    meshes = PackedMeshes.joined([one.meshes for one in track])
    score = max(one.score for one in track)
    for start, end in _runs(frames, meshes, settings):
        first, last = int(frames[start]), int(frames[end - 1])
        whole = first == shot[0] or last == shot[1] - 1
        if last - first + 1 < settings.frames(settings.shortest) and not whole:
            continue  # a face that is swapped only for a moment between hidden frames would flicker
        for begin in range(start, end, _PIECE):
            stop = min(begin + _PIECE, end)
            # Smooth some more frames on both sides, so that the pieces join without a seam.
            low, high = max(start, begin - _MARGIN), min(end, stop + _MARGIN)
            rows = slice(low, high)
            closed, seen = _bridged(frames[rows], meshes.stacked(rows), presence[rows])
            closed = smoothed(closed, settings.rate) if settings.smooth else closed
            kept = slice(
                frames[begin] - frames[low], (frames[stop] if stop < end else last + 1) - frames[low]
            )
            yield Path(int(frames[begin]), closed[kept], seen[kept], score)


def _runs(frames: np.ndarray, meshes: PackedMeshes, settings: TrackSettings) -> list[tuple[int, int]]:
    """Return the pieces (start, end) of a track between gaps that are too long or too wide to bridge."""
    longest = settings.frames(settings.bridge)
    edges = [0]
    for i in (np.flatnonzero(np.diff(frames) > 1) + 1).tolist():
        before, after = meshes[i - 1], meshes[i]
        size = float(np.ptp(before[:, :2], axis=0).max())
        moved = float(np.linalg.norm(after[:, :2].mean(0) - before[:, :2].mean(0)))
        if frames[i] - frames[i - 1] - 1 > longest or moved > size:
            edges.append(i)
    return list(zip(edges, [*edges[1:], len(frames)], strict=True))


def _bridged(frames: np.ndarray, meshes: np.ndarray, presence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return meshes and presence for every frame from the first to the last; interpolate missing ones."""
    wanted = np.arange(frames[0], frames[-1] + 1)
    if len(wanted) == len(frames):
        return meshes, presence
    after = np.clip(np.searchsorted(frames, wanted), 1, len(frames) - 1)
    before = after - 1
    share = ((wanted - frames[before]) / (frames[after] - frames[before])).astype(np.float32)
    mix = meshes[before] * (1 - share[:, None, None]) + meshes[after] * share[:, None, None]
    seen = np.interp(wanted, frames, presence).astype(np.float32)
    seen[~np.isin(wanted, frames)] *= 0.5
    return mix, seen
