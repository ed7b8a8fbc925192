"""Find and follow the faces of a clip, frame by frame, and collect them as tracklets."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reliableswap.faces.detect import SearchSettings, add_meshes, find_faces, overlaps
from reliableswap.faces.face import Detection, Face

from .cuts import CutFinder
from .settings import TrackSettings
from .tracklet import Tracklet, box_of
from .views import ViewChooser

_MATCH = 0.3  # least overlap of a detection with a followed face that it confirms
_SLIPPED = 0.5  # overlap with its detection below which a followed mesh is read again
_SAME_PLACE = 0.6  # two followed faces that overlap more than this are one
_PART_OF = 0.4  # most overlap of a new face with a known one; one that lies inside another overlaps it by 0.5
_TOUCH = 0.1  # two faces that overlap more than this may be confused when they separate
_SURE = 0.8  # presence below which the frame is searched
_TRUSTED = 0.7  # mean score of searches above which a followed face is trusted
_JUMP, _GROWTH = 0.35, 1.3  # of its size: a face that moves further, or grows by a larger factor, is in doubt
_UNCONFIRMED = 4  # a followed face is dropped after so many consecutive searches that miss it
_INSIDE = 0.4  # share of a mesh that has to lie in the frame
_SMALLEST = 12.0  # pixels


@dataclass(eq=False)
class _Followed:
    """A face that is being followed. hidden: frames since it was last seen."""

    tracklet: Tracklet
    face: Face
    speed: np.ndarray  # (2,) pixels a frame
    hidden: int = 0
    unconfirmed: int = 0
    touched: bool = False

    @property
    def seen(self) -> bool:
        return self.hidden == 0

    @property
    def trusted(self) -> bool:
        """Whether searches find this face as well as real ones. Only trusted faces trigger extra searches."""
        scores = self.tracklet.searched
        return not scores or sum(scores) > _TRUSTED * len(scores)

    def expected(self) -> Face:
        """Return the face at its expected place in the next frame."""
        return self.face.shifted(*self.speed) if self.seen else self.face


@dataclass(eq=False)
class _PastFrame:
    """A frame kept until the next search: a face found then is followed back into it."""

    number: int
    pixels: np.ndarray
    boxes: list[np.ndarray] = field(default_factory=list)


class Follower:
    """Processes the frames (H,W,3) uint8 of a clip in order; `tracklets` holds what was found so far."""

    def __init__(self, networks: Any, settings: TrackSettings) -> None:
        self.networks, self.settings = networks, settings
        self.tracklets: list[Tracklet] = []
        self.shots = 0
        self._starts: list[int] = []
        self.frame = -1
        self._cuts = CutFinder()
        self._chooser = ViewChooser(networks, settings)
        self._live: list[_Followed] = []
        self._every = settings.frames(settings.search)
        self._past: deque[_PastFrame] = deque(maxlen=self._every - 1)
        self._searched = -(10**9)
        self._turned = -(10**9)

    def __call__(self, pixels: np.ndarray) -> None:
        """Process the next frame."""
        self.frame += 1
        cut = self._cuts(pixels)
        if cut:
            self.shots += 1
            self._starts.append(self.frame)
            self._live.clear()
            self._past.clear()
        doubt = self._follow(pixels)
        since = self.frame - self._searched
        just_lost = any(one.hidden == 1 and one.trusted for one in self._live)
        searched = cut or just_lost or since >= self._every or (doubt and since >= 2)
        if searched:
            self._search(pixels)
        self._merge_and_split()
        self._record(pixels, searched)
        self._past.append(
            _PastFrame(self.frame, pixels, [box_of(one.face.mesh) for one in self._live if one.seen])
        )

    def shot_frames(self) -> dict[int, tuple[int, int]]:
        """Map each shot to its first frame and the one after its last."""
        ends = [*self._starts[1:], self.frame + 1]
        return dict(enumerate(zip(self._starts, ends, strict=True), 1))

    def _follow(self, pixels: np.ndarray) -> bool:
        """Read the mesh of every followed face near its last place; return whether one of them is in doubt."""
        expected = [one.expected() for one in self._live]
        doubt = False
        for live, face in zip(self._live, self._read(pixels, expected), strict=True):
            if live.seen and _jumped(live.expected(), face):
                face = self._read(pixels, [face])[0]  # read again: the crop missed the face
                doubt = doubt or live.trusted
            self._update(live, face, pixels.shape)
            doubt = doubt or (live.trusted and (not live.seen or (face.presence or 0.0) < _SURE))
        ended = self.settings.frames(self.settings.lost)
        self._live = [one for one in self._live if one.hidden <= ended]
        return doubt

    def _read(self, pixels: np.ndarray, faces: Sequence[Detection], passes: int = 1) -> list[Face]:
        """Read the faces' meshes in this frame; points and box follow from the mesh."""
        found = add_meshes(self.networks.landmarks, pixels, faces, passes)
        return [Face.from_mesh(one.mesh, one.score, one.presence) for one in found]

    def _update(self, live: _Followed, face: Face, shape: tuple[int, ...]) -> None:
        """Update the face from this frame, or count it as hidden."""
        presence = face.presence or 0.0
        least = self.settings.leave if live.seen else self.settings.enter
        if presence < least or not _inside(face, shape):
            live.hidden += 1
            live.speed = np.zeros(2)
            return
        if live.hidden:
            self._reappear(live, face)
        else:
            live.speed = 0.7 * (_middle(face) - _middle(live.face))
        live.face, live.hidden = face, 0

    def _reappear(self, live: _Followed, face: Face) -> None:
        """Handle a hidden face that is seen again: continue its tracklet only if it is certainly the same face."""
        near = float(overlaps(live.face.box, face.box[None])[0]) > _SLIPPED
        if live.hidden > self.settings.frames(self.settings.bridge) or not near or live.touched:
            self._split_tracklet(live)
        live.speed = np.zeros(2)

    def _search(self, pixels: np.ndarray) -> None:
        """Search the whole frame: confirm and correct the followed faces, and begin to follow new ones."""
        settings = self.settings
        self._searched = self.frame
        detections = find_faces(self.networks.detector, pixels, self._search_settings(settings.known_score))
        if not self._live and not any(one.score >= settings.score for one in detections):
            detections = self._search_turned(pixels)
        free = list(detections)
        for live in sorted(self._live, key=lambda one: -(one.face.presence or 0.0)):
            match = _nearest(live.face.box, free)
            if live.seen:
                live.tracklet.searched.append(match.score if match else 0.0)
            if match is None:
                live.unconfirmed += 1
                continue
            free.remove(match)
            self._confirm(live, match, pixels)
        self._live = [one for one in self._live if one.unconfirmed < _UNCONFIRMED]
        for new in free:
            if new.score >= settings.score and len(self._live) < settings.max_faces:
                self._start_following(new, pixels)

    def _search_settings(self, score: float, turns: tuple[int, ...] = ()) -> SearchSettings:
        return SearchSettings(
            score=score, sure=0.0, side=self.settings.side, fine_side=0, turns=turns, min_size=_SMALLEST
        )

    def _search_turned(self, pixels: np.ndarray) -> list[Detection]:
        """Search the turned frame, at most once a second."""
        if self.frame - self._turned < self.settings.frames(1.0):
            return []
        self._turned = self.frame
        wanted = self._search_settings(self.settings.score, SearchSettings.turns)
        return find_faces(self.networks.detector, pixels, wanted)

    def _confirm(self, live: _Followed, detection: Detection, pixels: np.ndarray) -> None:
        """Confirm a followed face by a detection; if its mesh has slipped, read it again from the detection."""
        live.unconfirmed = 0
        live.tracklet.score = max(live.tracklet.score, detection.score)
        slipped = float(overlaps(detection.box, live.face.box[None])[0]) < _SLIPPED
        if not (slipped or not live.seen or (live.face.presence or 0.0) < _SURE):
            return
        (again,) = self._read(pixels, [detection], passes=2)
        if not live.seen:
            self._update(live, again, pixels.shape)
        elif (again.presence or 0.0) > (live.face.presence or 0.0) and _inside(again, pixels.shape):
            # The face was read in this frame before, so add the correction to its speed.
            live.speed, live.face = live.speed + 0.7 * (_middle(again) - _middle(live.face)), again

    def _start_following(self, detection: Detection, pixels: np.ndarray) -> None:
        """Start to follow a new face, also backwards through the frames since the last search."""
        (face,) = self._read(pixels, [detection], passes=2)
        taken = [one.face.box for one in self._live]
        if (face.presence or 0.0) < self.settings.enter or not _inside(face, pixels.shape):
            return
        for box in (detection.box, face.box):  # a mouth within a face is not a face
            if taken and float(overlaps(box, np.stack(taken)).max()) > _PART_OF:
                return
        tracklet = self._new_tracklet(detection.score)
        tracklet.searched.append(detection.score)
        earlier, now = [], face
        for past in reversed(self._past):
            (before,) = self._read(past.pixels, [now])
            known = past.boxes and float(overlaps(before.box, np.stack(past.boxes)).max()) > _TOUCH
            bad = (before.presence or 0.0) < self.settings.enter or not _inside(before, past.pixels.shape)
            if known or bad or _jumped(now, before):
                break
            earlier.append((past, before))
            now = before
        for past, one in reversed(earlier):
            past.boxes.append(one.box)
            tracklet.add(past.number, one.mesh, one.presence or 0.0)
        speed = 0.7 * (_middle(face) - _middle(earlier[0][1])) if earlier else np.zeros(2)
        self._live.append(_Followed(tracklet, face, speed))

    def _merge_and_split(self) -> None:
        """Merge followed faces at the same place. Begin new tracklets for faces that touched and separate: they may
        have been confused."""
        self._live.sort(key=lambda one: (one.seen, one.face.presence or 0.0), reverse=True)
        kept: list[_Followed] = []
        for live in self._live:
            others = [one for one in kept if one.seen]
            shared = (
                overlaps(live.face.box, np.stack([o.face.box for o in others])) if others else np.zeros(0)
            )
            if live.seen and (shared > _SAME_PLACE).any():
                others[int(shared.argmax())].touched = True
                continue
            for other, overlap in zip(others, shared, strict=True):
                if overlap > _TOUCH:
                    live.touched = other.touched = True
            kept.append(live)
        self._live = kept
        for live in kept:
            if live.touched and live.seen and not self._touches(live):
                self._split_tracklet(live)

    def _touches(self, live: _Followed) -> bool:
        others = [one.face.box for one in self._live if one is not live]
        return bool(others) and float(overlaps(live.face.box, np.stack(others)).max()) > _TOUCH

    def _record(self, pixels: np.ndarray, searched: bool) -> None:
        for live in self._live:
            if not live.seen:
                continue
            if searched:
                view = self._chooser(live.tracklet, self.frame, live.face, pixels)
                if view is not None and self._chooser.is_another(live.tracklet, view):
                    self._split_tracklet(live)
                if view is not None:
                    live.tracklet.keep(view)
            live.tracklet.add(self.frame, live.face.mesh, live.face.presence or 0.0)

    def _split_tracklet(self, live: _Followed) -> None:
        """Begin a new tracklet for a followed face, which may be another face from here on."""
        score = live.tracklet.score
        live.tracklet = self._new_tracklet(score)
        live.touched = False

    def _new_tracklet(self, score: float = 0.0) -> Tracklet:
        self.tracklets.append(Tracklet(len(self.tracklets), self.shots, score))
        return self.tracklets[-1]


def _nearest(box: np.ndarray, detections: Sequence[Detection]) -> Detection | None:
    """Return the detection that overlaps a box most, if the overlap is large enough."""
    if not detections:
        return None
    shared = overlaps(box, np.stack([one.box for one in detections]))
    best = int(shared.argmax())
    return detections[best] if shared[best] > _MATCH else None


def _middle(face: Face) -> np.ndarray:
    return np.asarray(face.points5.mean(0), np.float64)


def _jumped(before: Face, after: Face) -> bool:
    """Whether a face moved or grew more than is plausible from one frame to the next."""
    size = max(before.size, 1e-6)
    moved = float(np.linalg.norm(_middle(after) - _middle(before))) / size
    growth = max(after.size / size, size / max(after.size, 1e-6))
    return moved > _JUMP or growth > _GROWTH


def _inside(face: Face, shape: tuple[int, ...]) -> bool:
    """Whether enough of the face lies in the frame."""
    x, y = face.mesh[:, 0], face.mesh[:, 1]
    inside = (x >= 0) & (y >= 0) & (x < shape[1]) & (y < shape[0])
    return face.size >= _SMALLEST and float(inside.mean()) >= _INSIDE
