"""The settings of the first pass over a clip."""

from __future__ import annotations

from dataclasses import dataclass

from reliableswap.errors import ReliableSwapError


@dataclass(frozen=True)
class TrackSettings:
    """How faces are found and followed in a clip. Durations are in seconds.

    rate: frames per second. search: time between two searches of the whole frame. side: its longer side in a search.
    score: the least score of a detection that starts a track; known_score: of one that confirms a track.
    evidence: log odds, from detections, presence and steadiness together, below which a followed object is no face.
    enter, leave: the mesh network's presence at which a hidden face counts as seen again, and a seen one as hidden.
    bridge: a face hidden for up to this long is interpolated. lost: for how long a hidden face is looked for.
    shortest: faces seen for less are dropped, unless their shot is as short. same: least cosine of one person's faces.
    smooth: whether to smooth points in time. max_faces: follow at most so many, the largest first.
    """

    rate: float = 25.0
    search: float = 0.2
    side: int = 640
    score: float = 0.6
    known_score: float = 0.3
    evidence: float = 3.5
    enter: float = 0.6
    leave: float = 0.35
    bridge: float = 0.25
    lost: float = 1.0
    shortest: float = 0.2
    same: float = 0.35
    smooth: bool = True
    max_faces: int = 12

    def __post_init__(self) -> None:
        if not self.rate > 0:
            raise ReliableSwapError(f"rate is {self.rate} frames per second; give a positive number")
        if not 0 <= self.leave <= self.enter <= 1:
            raise ReliableSwapError(
                f"enter is {self.enter} and leave is {self.leave}; give 0 <= leave <= enter <= 1"
            )

    def frames(self, seconds: float) -> int:
        """Return a duration in frames, at least 1."""
        return max(1, round(seconds * self.rate))
