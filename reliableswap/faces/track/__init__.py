"""Find, track, identify and steady the faces of a clip. `find_faces` is the first pass over a clip."""

from .clip import ClipFaces, ClipPerson, FaceNumbers, TrackedFace, find_faces
from .covers import SteadyCovers
from .settings import TrackSettings
from .steady import Hysteresis, MaskSmoother, TrackSmoother

__all__ = [
    "ClipFaces",
    "ClipPerson",
    "FaceNumbers",
    "Hysteresis",
    "MaskSmoother",
    "SteadyCovers",
    "TrackSettings",
    "TrackSmoother",
    "TrackedFace",
    "find_faces",
]
