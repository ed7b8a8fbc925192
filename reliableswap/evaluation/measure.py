"""Measuring methods over a protocol's pairs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from reliableswap.errors import NoFaceError, ReliableSwapError
from reliableswap.evaluation.judges.identity import Judge
from reliableswap.evaluation.metrics import pixels
from reliableswap.evaluation.metrics.frechet import Features
from reliableswap.evaluation.metrics.summary import frechet_differences, retrieve, steadiness, summarise
from reliableswap.evaluation.protocols.shots import Pair, Shot
from reliableswap.faces.analysers.base import FaceAnalyser
from reliableswap.faces.face import Face, eye_distance
from reliableswap.geometry import measures as geometry

from .methods import Method
from .results import Evaluation, MethodResult, Row, Subject

THUMBNAIL = 160  # pixels a side


@dataclass(frozen=True, eq=False)
class Examiner:
    """Finds a face and asks every judge about it."""

    analyser: FaceAnalyser
    judge: Judge
    lower: Judge | None = None
    features: Features | None = None

    def __call__(self, image: np.ndarray, name: str, near: Face | None = None) -> Subject:
        """The face nearest to `near`, or the largest."""
        face = self._face(image, name, near)
        return Subject(
            face=face,
            vector=self.judge.embed(image, face),
            lower=self.lower.embed(image, face) if self.lower else None,
            features=self.features(image, face) if self.features else None,
            thumbnail=thumbnail(image, face),
        )

    def features_in(self, image: np.ndarray, name: str) -> np.ndarray:
        """What a Fréchet distance needs of a photo, and nothing else."""
        assert self.features is not None
        return self.features(image, self._face(image, name))

    def _face(self, image: np.ndarray, name: str, near: Face | None = None) -> Face:
        faces = self.analyser(image)
        if not faces:
            raise NoFaceError(f"no face in {name}")
        if near is None:
            return faces[0]
        return min(faces, key=lambda one: float(np.linalg.norm(_middle(one) - _middle(near))))


def evaluate(
    methods: Sequence[Method],
    pairs: Sequence[Pair],
    examiner: Examiner,
    seed: int = 0,
    say: Callable[[str], None] = lambda text: None,
    others: Sequence[Shot] = (),
) -> Evaluation:
    """Every figure of every method over the same pairs; others: real photos that no pair makes anything of."""
    subjects, problems = _examine_shots(pairs, examiner, say)
    left_out = {
        pair.name: problems[shot] for pair in pairs for shot in (pair.target, pair.source) if shot in problems
    }
    kept = [pair for pair in pairs if pair.name not in left_out]
    if not kept:
        raise ReliableSwapError(
            f"none of the {len(pairs)} pairs can be measured: {next(iter(left_out.values()))}"
        )
    kept = [replace(p, reference=None) if p.reference in problems else p for p in kept]
    real = _examine_others(others, examiner, say)
    results = []
    for method in methods:
        rows = []
        for number, pair in enumerate(kept, 1):
            rows.append(_row(method, pair, subjects, examiner))
            if number % 50 == 0 or number == len(kept):
                say(f"{method.name}: {number} of {len(kept)} pairs")
        results.append(MethodResult(method.name, method.control, rows))
    for result in results:
        retrieve(result.rows, subjects)
        steadiness(result.rows)
        summarise(result, subjects, real, seed)
    differences = frechet_differences(results, subjects, real, seed)
    return Evaluation(kept, subjects, results, left_out, _calibration(kept, subjects), differences, len(real))


def _examine_shots(
    pairs: Sequence[Pair], examiner: Examiner, say: Callable[[str], None]
) -> tuple[dict[Shot, Subject], dict[Shot, str]]:
    """The faces of all sources, targets and references; and why some have none."""
    wanted = dict.fromkeys(s for p in pairs for s in (p.source, p.target, p.reference) if s is not None)
    subjects: dict[Shot, Subject] = {}
    problems: dict[Shot, str] = {}
    for number, shot in enumerate(wanted, 1):
        try:
            subjects[shot] = examiner(shot.read(), str(shot.path))
        except ReliableSwapError as error:
            problems[shot] = str(error)
        if number % 200 == 0 or number == len(wanted):
            say(f"looked at {number} of {len(wanted)} photos")
    return subjects, problems


def _examine_others(
    others: Sequence[Shot], examiner: Examiner, say: Callable[[str], None]
) -> list[np.ndarray]:
    """The features of their faces; photos without one are passed over."""
    found: list[np.ndarray] = []
    if examiner.features is None:
        return found
    for shot in others:
        with contextlib.suppress(ReliableSwapError):
            found.append(examiner.features_in(shot.read(), str(shot.path)))
    if others:
        say(f"looked at {len(found)} other photos")
    return found


def _row(method: Method, pair: Pair, subjects: dict[Shot, Subject], examiner: Examiner) -> Row:
    target, source = subjects[pair.target], subjects[pair.source]
    photo = pair.target.read()
    row = Row(pair)
    try:
        made = method.make(pair, pair.target)
        image = as_target(made.pixels, photo.shape)
        same = image.shape == photo.shape
        row.subject = subject = examiner(image, "the result", target.face if same else None)
    except ReliableSwapError as error:
        row.failure = str(error)
        row.figures["failed"] = 1.0
        return row
    figures = row.figures
    figures["failed"] = 0.0
    if made.milliseconds is not None:
        figures["milliseconds"] = made.milliseconds
    figures["cos_source"] = float(subject.vector @ source.vector)
    figures["cos_target"] = float(subject.vector @ target.vector)
    figures["copied"] = float(figures["cos_target"] > figures["cos_source"])
    if pair.reference is not None:
        figures["cos_reference"] = float(subject.vector @ subjects[pair.reference].vector)
    if subject.lower is not None and source.lower is not None:
        figures["lower_cos_source"] = float(subject.lower @ source.lower)
    figures |= mesh_figures(image, subject.mesh, photo, target.mesh, source.mesh)
    if same:
        outside = ~pixels.face_region(target.mesh, photo.shape[:2])
        figures["ssim"] = pixels.ssim(image, photo, outside)
        figures["psnr"] = pixels.psnr(image, photo, outside)
        if pair.truth is not None:
            figures |= _truth_figures(image, subject, pair, target, examiner)
        if pair.clip is not None:
            _add_flicker(row, method, image, photo, target.mesh)
    return row


def mesh_figures(
    image: np.ndarray, mesh: np.ndarray, photo: np.ndarray, target: np.ndarray, source: np.ndarray
) -> dict[str, float]:
    """Pose, expression and shape of a result (image, mesh) against its target (photo, mesh) and source mesh."""
    gaze = geometry.gaze_of(image, mesh) - geometry.gaze_of(photo, target)
    eyelids = geometry.eye_openings(mesh) - geometry.eye_openings(target)
    return {
        "pose": geometry.pose_error(mesh, target),
        "expression": geometry.expression_error(mesh, target),
        "gaze": float(np.linalg.norm(gaze)),
        "eyelid": float(np.abs(eyelids).mean()),
        "mouth": abs(geometry.mouth_opening(mesh) - geometry.mouth_opening(target)),
        "shape_source": geometry.shape_distance(mesh, source),
    }


def _truth_figures(
    image: np.ndarray, subject: Subject, pair: Pair, target: Subject, examiner: Examiner
) -> dict[str, float]:
    assert pair.truth is not None
    truth = Shot(pair.truth, pair.source.person).read()
    if truth.shape != image.shape:
        raise ReliableSwapError(f"{pair.truth} is not of its target's size; make the truth pixel by pixel")
    region = pixels.face_region(target.mesh, image.shape[:2])
    figures = {
        "truth_psnr": pixels.psnr(image, truth, region),
        "truth_ssim": pixels.ssim(image, truth, region),
    }
    with contextlib.suppress(NoFaceError):  # an unseen truth still has pixels
        right = examiner(truth, str(pair.truth), target.face)
        off = np.linalg.norm(subject.mesh[:, :2] - right.mesh[:, :2], axis=1).mean()
        figures["truth_cos"] = float(subject.vector @ right.vector)
        figures["truth_mesh"] = float(off) / eye_distance(right.mesh)
    return figures


def _add_flicker(row: Row, method: Method, image: np.ndarray, photo: np.ndarray, mesh: np.ndarray) -> None:
    """A neighbour that can't be had leaves this frame's flicker unknown, and nothing else."""
    shot = row.pair.target
    assert shot.frame is not None
    with contextlib.suppress(ReliableSwapError):
        beside = [replace(shot, frame=shot.frame + step) for step in (-1, 1)]
        before, after = (as_target(method.make(row.pair, one).pixels, photo.shape) for one in beside)
        theirs = [one.read() for one in beside]
        if before.shape == after.shape == photo.shape:
            region = pixels.face_region(mesh, photo.shape[:2])
            frames = np.stack([before, image, after])
            row.figures["flicker"] = pixels.flicker(frames, np.stack([theirs[0], photo, theirs[1]]), region)


def _calibration(pairs: Sequence[Pair], subjects: dict[Shot, Subject]) -> dict[str, float]:
    """What the judge says of real photos: without it, nobody can read a cosine of a judge they do not know."""
    facts = {
        "cosine of source and target": float(
            np.mean([subjects[p.source].vector @ subjects[p.target].vector for p in pairs])
        )
    }
    known = [(subjects[p.source], subjects[p.reference]) for p in pairs if p.reference is not None]
    if known:
        facts["cosine of two photos of one person"] = float(np.mean([a.vector @ b.vector for a, b in known]))
    return facts


def as_target(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(H,W,3) the result at its target's size if it has its proportions; another crop stays as it is."""
    height, width = shape[:2]
    if image.shape == shape or abs(image.shape[1] * height / (image.shape[0] * width) - 1) > 0.02:
        return image
    shrinks = image.shape[0] > height
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def thumbnail(image: np.ndarray, face: Face) -> bytes:
    """A small JPEG of the head."""
    middle, side = _middle(face), 1.4 * face.size
    scale = THUMBNAIL / side
    if scale < 0.5:
        # Averaged first: a large photo seen at a tenth of its size would be full of jags.
        image = cv2.resize(image, None, fx=2 * scale, fy=2 * scale, interpolation=cv2.INTER_AREA)
        middle, scale = (middle + 0.5) * 2 * scale - 0.5, 0.5
    shift = (THUMBNAIL - 1) / 2 - scale * middle
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    size = (THUMBNAIL, THUMBNAIL)
    grey = (128, 128, 128)  # a crop's edge drawn on would look like a method's mistake
    small = cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderValue=grey)
    return cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()


def _middle(face: Face) -> np.ndarray:
    return np.asarray((face.box[:2] + face.box[2:]) / 2, np.float64)
