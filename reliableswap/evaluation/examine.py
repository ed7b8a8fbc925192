"""Find the face in a picture and run every judge on it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from reliableswap.errors import NoFaceError, ReliableSwapError
from reliableswap.faces.analysers.base import FaceAnalyser
from reliableswap.faces.detect import overlaps
from reliableswap.faces.face import Detection, Face

from .judges.base import Judge
from .metrics.features import Features
from .protocols.shots import Pair, Shot
from .results import ExaminedFace
from .work import Instruments, Work

THUMBNAIL_SIZE = 160  # pixels on each side
_MIN_OVERLAP = 0.3  # minimum `overlaps` of a face in two neighbouring frames
_LOG_EVERY = 200  # photos

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Examiner:
    """Find faces with one analyser and run the judges on them.

    lower: a judge of the lower face; features: image features for the Fréchet distances.
    """

    analyser: FaceAnalyser
    judge: Judge
    lower: Judge | None = None
    features: Features | None = None
    _meshes: dict[Shot, np.ndarray] = field(default_factory=dict, repr=False)

    def examine(self, image: np.ndarray, name: str, near: Face | None = None) -> ExaminedFace:
        """Examine the face of a picture (H,W,3) uint8 that is nearest to `near`, or the largest one."""
        face = self._find(image, name, near)
        return ExaminedFace(
            face=face,
            vector=self.judge.embed(image, face),
            lower=self.lower.embed(image, face) if self.lower else None,
            features=self.features(image, face) if self.features else None,
            thumbnail=thumbnail(image, face),
        )

    def mesh_of(self, shot: Shot, near: Face) -> np.ndarray:
        """Return the mesh (468,3) of the face in a neighbouring frame; raise NoFaceError unless it overlaps `near`."""
        if shot not in self._meshes:
            face = self._find(shot.read(), str(shot.path), near)
            if float(overlaps(near.box, face.box[None])[0]) < _MIN_OVERLAP:
                raise NoFaceError(f"no face near the same place in frame {shot.frame} of {shot.path}")
            self._meshes[shot] = face.mesh
        return self._meshes[shot]

    def features_of(self, shots: Sequence[Shot]) -> list[np.ndarray]:
        """Return the features of the shots' faces; skip shots without a face."""
        found: list[np.ndarray] = []
        if self.features is None:
            return found
        for shot in shots:
            with contextlib.suppress(ReliableSwapError):
                image = shot.read()
                found.append(self.features(image, self._find(image, str(shot.path))))
        return found

    def find_all(self, shots: Sequence[Shot]) -> dict[Shot, Face]:
        """Return the shots' faces; skip shots without a face."""
        found: dict[Shot, Face] = {}
        for shot in shots:
            with contextlib.suppress(ReliableSwapError):
                found[shot] = self._find(shot.read(), str(shot.path))
        return found

    def _find(self, image: np.ndarray, name: str, near: Face | None = None) -> Face:
        faces = self.analyser(image)
        if not faces:
            raise NoFaceError(f"no face in {name}")
        if near is None:
            return faces[0]
        return min(faces, key=lambda one: float(np.linalg.norm(_centre(one) - _centre(near))))


def examine_pairs(pairs: Sequence[Pair], work: Work) -> tuple[dict[Shot, ExaminedFace], dict[Shot, str]]:
    """Examine all sources, targets and references; return the faces, and the reasons for shots without one."""
    wanted = list(dict.fromkeys(s for p in pairs for s in (p.source, p.target, p.reference) if s is not None))
    faces: dict[Shot, ExaminedFace] = {}
    problems: dict[Shot, str] = {}
    examined = work(_examined, wanted, lambda shot: (shot,))
    for number, (shot, found) in enumerate(zip(wanted, examined, strict=True), 1):
        if isinstance(found, str):
            problems[shot] = found
        else:
            faces[shot] = found
        if number % _LOG_EVERY == 0 or number == len(wanted):
            logger.info("examined %d of %d photos", number, len(wanted))
    return faces, problems


def _examined(instruments: Instruments, shot: Shot) -> ExaminedFace | str:
    """A task: the face of a shot, or why there is none."""
    try:
        return instruments.examiner.examine(shot.read(), str(shot.path))
    except ReliableSwapError as error:
        return str(error)


def thumbnail(image: np.ndarray, face: Detection) -> bytes:
    """Return a small JPEG of the head."""
    centre, side = _centre(face), 1.4 * face.size
    scale = THUMBNAIL_SIZE / side
    if scale < 0.5:
        # Average first: warpAffine would sample a large photo so sparsely that edges become jagged.
        image = cv2.resize(image, None, fx=2 * scale, fy=2 * scale, interpolation=cv2.INTER_AREA)
        centre, scale = (centre + 0.5) * 2 * scale - 0.5, 0.5
    shift = (THUMBNAIL_SIZE - 1) / 2 - scale * centre
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    size = (THUMBNAIL_SIZE, THUMBNAIL_SIZE)
    grey = (128, 128, 128)  # a replicated border would look like a fault of the method
    small = cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderValue=grey)
    return cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()


def _centre(face: Detection) -> np.ndarray:
    return np.asarray((face.box[:2] + face.box[2:]) / 2, np.float64)
