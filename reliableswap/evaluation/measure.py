"""Measure every method on the same pairs."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from reliableswap.errors import NoFaceError, RefusedError, ReliableSwapError
from reliableswap.faces.face import eye_distance
from reliableswap.geometry import measures
from reliableswap.media import read_picture

from .examine import Examiner, examine_pairs
from .methods import Method
from .metrics import pixels, steadiness
from .metrics.best import best_methods
from .metrics.retrieval import add_retrieval
from .metrics.seams import seams
from .metrics.summary import add_frechet_distances, add_identity_variance, frechet_differences, summarise
from .natural.natural import Natural, add_told_from_photos, view_photos
from .natural.views import Viewer
from .protocols.shots import Pair, Shot
from .results import Evaluation, ExaminedFace, MethodResult, PairResult
from .work import Instruments, LocalWork, Work

_LOG_EVERY = 50  # pairs

logger = logging.getLogger(__name__)


def evaluate(
    methods: Sequence[Method],
    pairs: Sequence[Pair],
    examiner: Examiner,
    seed: int = 0,
    others: Sequence[Shot] = (),
    natural: Natural | None = None,
    work: Work | None = None,
) -> Evaluation:
    """Measure every metric of every method on the same pairs.

    others: real photos that no pair uses, for the Fréchet distance; seed: of the bootstrap and of the probes' folds;
    natural: viewer and photos for "told from photos", None to leave it out; work: where to measure, with the same
    methods and examiner (default: in this process).
    """
    work = work or LocalWork(Instruments(examiner, methods, None if natural is None else natural.viewer))
    faces, problems = examine_pairs(pairs, work)
    left_out = {
        pair.name: problems[shot] for pair in pairs for shot in (pair.target, pair.source) if shot in problems
    }
    kept = [pair for pair in pairs if pair.name not in left_out]
    if not kept:
        reason = next(iter(left_out.values()))
        raise ReliableSwapError(
            f"none of the {len(pairs)} pairs can be measured: {reason}; give photos that show faces"
        )
    kept = [replace(p, reference=None) if p.reference in problems else p for p in kept]
    real = [one for found in work(_features, others, lambda shot: (shot,)) for one in found]
    if real:
        logger.info("examined %d photos that no pair uses", len(real))
    photos = None if natural is None else view_photos(natural, kept, faces, work, seed)
    results = [_measure(number, method, kept, faces, work) for number, method in enumerate(methods)]
    for result in results:
        add_retrieval(result.pairs, faces)
        add_identity_variance(result.pairs)
        summarise(result, seed)
        add_frechet_distances(result, faces, real)
        if photos is not None:
            add_told_from_photos(result, photos, seed)
    return Evaluation(
        kept,
        faces,
        results,
        left_out,
        _calibration(kept, faces),
        frechet_differences(results, faces, real, seed),
        others=len(real),
        real_photos=0 if photos is None else len(photos.views),
        real_people=0 if photos is None else photos.people,
        best=best_methods(results, seed, [] if photos is None else photos.plan.photos),
    )


@dataclass(frozen=True, eq=False)
class _PairItem:
    """A pair to measure: the method's index, the pair, and the faces in its photos."""

    method: int
    pair: Pair
    faces: dict[Shot, ExaminedFace]


def _measure(
    number: int, method: Method, pairs: Sequence[Pair], faces: dict[Shot, ExaminedFace], work: Work
) -> MethodResult:
    items = [_PairItem(number, pair, {shot: faces[shot] for shot in _shots(pair)}) for pair in pairs]
    results = []
    for count, result in enumerate(work(_measured, items, lambda item: _shots(item.pair)), 1):
        results.append(result)
        if count % _LOG_EVERY == 0 or count == len(pairs):
            logger.info("%s: %d of %d pairs", method.name, count, len(pairs))
    return MethodResult(method.name, method.control, results)


def _shots(pair: Pair) -> list[Shot]:
    """The pair's photos, its target last."""
    return [shot for shot in (pair.reference, pair.source, pair.target) if shot is not None]


def _measured(instruments: Instruments, item: _PairItem) -> PairResult:
    """A task: measure one pair."""
    method = instruments.methods[item.method]
    return measure_pair(method, item.pair, item.faces, instruments.examiner, instruments.viewer)


def _features(instruments: Instruments, shot: Shot) -> list[np.ndarray]:
    """A task: the features of a photo's face, if it shows one."""
    return instruments.examiner.features_of([shot])


def measure_pair(
    method: Method,
    pair: Pair,
    faces: dict[Shot, ExaminedFace],
    examiner: Examiner,
    viewer: Viewer | None = None,
) -> PairResult:
    """Make and measure one result; if that fails or a safety gate refuses it, record the reason."""
    target, source = faces[pair.target], faces[pair.source]
    photo = pair.target.read()
    try:
        made = method.result(pair, pair.target)
        image = fit_to_target(made.pixels, photo.shape)
        same_size = image.shape == photo.shape
        face = examiner.examine(image, "the result", target.face if same_size else None)
    except RefusedError as error:
        return PairResult(pair, {}, str(error), refused=True)
    except ReliableSwapError as error:
        return PairResult(pair, {"failed": 1.0}, str(error))
    metrics = {"failed": 0.0}
    if made.milliseconds is not None:
        metrics["milliseconds"] = made.milliseconds
    if made.on_time is not None:
        metrics["on_time"] = float(made.on_time)
    metrics |= _identity_metrics(face, source, target)
    if pair.reference is not None:
        metrics["cos_reference"] = float(face.vector @ faces[pair.reference].vector)
    metrics |= mesh_metrics(image, face.mesh, photo, target.mesh, source.mesh)
    if same_size:
        outside = ~pixels.face_region(target.mesh, photo.shape[:2])
        metrics["ssim"] = pixels.ssim(image, photo, outside)
        metrics["psnr"] = pixels.psnr(image, photo, outside)
        metrics["seam"], metrics["seam_high"] = seams(image, face.mesh, photo, target.mesh)
        if pair.truth is not None:
            metrics |= _truth_metrics(image, face, pair.truth, target, examiner)
        if pair.clip is not None:
            metrics["unswapped"] = float(steadiness.is_unswapped(image, photo, target.mesh))
            metrics |= _flicker(method, pair, image, photo, target, examiner)
    return PairResult(pair, metrics, face=face, views=None if viewer is None else viewer(image, face.face))


def _identity_metrics(face: ExaminedFace, source: ExaminedFace, target: ExaminedFace) -> dict[str, float]:
    to_source, to_target = float(face.vector @ source.vector), float(face.vector @ target.vector)
    metrics = {"cos_source": to_source, "cos_target": to_target, "copied": float(to_target > to_source)}
    if face.lower is not None and source.lower is not None:
        metrics["lower_cos_source"] = float(face.lower @ source.lower)
    return metrics


def mesh_metrics(
    image: np.ndarray, mesh: np.ndarray, photo: np.ndarray, target: np.ndarray, source: np.ndarray
) -> dict[str, float]:
    """Compare a result (image, mesh) with its target (photo, mesh) and its source's mesh; meshes are (468,3)."""
    gaze = measures.gaze_of(image, mesh) - measures.gaze_of(photo, target)
    eyelids = measures.eye_openings(mesh) - measures.eye_openings(target)
    return {
        "pose": measures.pose_error(mesh, target),
        "expression": measures.expression_error(mesh, target),
        "gaze": float(np.linalg.norm(gaze)),
        "eyelid": float(np.abs(eyelids).mean()),
        "mouth": abs(measures.mouth_opening(mesh) - measures.mouth_opening(target)),
        "shape_source": measures.shape_distance(mesh, source),
    }


def _truth_metrics(
    image: np.ndarray, face: ExaminedFace, path: Path, target: ExaminedFace, examiner: Examiner
) -> dict[str, float]:
    truth = read_picture(path).pixels
    if truth.shape != image.shape:
        raise ReliableSwapError(
            f"{path} differs in size from its target; give a ground-truth picture of the same size"
        )
    region = pixels.face_region(target.mesh, image.shape[:2])
    metrics = {
        "truth_psnr": pixels.psnr(image, truth, region),
        "truth_ssim": pixels.ssim(image, truth, region),
    }
    with contextlib.suppress(NoFaceError):  # the pixel metrics hold even if no face is found in the truth
        correct = examiner.examine(truth, str(path), target.face)
        offset = np.linalg.norm(face.mesh[:, :2] - correct.mesh[:, :2], axis=1).mean()
        metrics["truth_cos"] = float(face.vector @ correct.vector)
        metrics["truth_mesh"] = float(offset) / eye_distance(correct.mesh)
    return metrics


def _flicker(
    method: Method,
    pair: Pair,
    image: np.ndarray,
    photo: np.ndarray,
    target: ExaminedFace,
    examiner: Examiner,
) -> dict[str, float]:
    """Compare a frame with its two neighbours.

    Return {} if one is missing, has no result or no face, or shows the face elsewhere, as after a cut.
    """
    if not pair.target.frame:
        return {}
    neighbours = [replace(pair.target, frame=pair.target.frame + step) for step in (-1, 1)]
    try:
        before, after = (fit_to_target(method.result(pair, one).pixels, photo.shape) for one in neighbours)
        target_before, target_after = (one.read() for one in neighbours)
        meshes = [examiner.mesh_of(one, target.face) for one in neighbours]
    except ReliableSwapError:
        return {}
    if not before.shape == after.shape == photo.shape:
        return {}
    frames = np.stack([before, image, after])
    targets = np.stack([target_before, photo, target_after])
    return {"flicker": steadiness.flicker(frames, targets, np.stack([meshes[0], target.mesh, meshes[1]]))}


def _calibration(pairs: Sequence[Pair], faces: dict[Shot, ExaminedFace]) -> dict[str, float]:
    """Return the judge's mean cosines on real photos, the scale by which to read an unfamiliar judge."""
    different = [float(faces[p.source].vector @ faces[p.target].vector) for p in pairs]
    found = {"cosine of source and target": float(np.mean(different))}
    known = [(faces[p.source], faces[p.reference]) for p in pairs if p.reference is not None]
    if known:
        found["cosine of two photos of one person"] = float(np.mean([a.vector @ b.vector for a, b in known]))
    return found


def fit_to_target(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Resize a result (h,w,3) to its target's shape (H,W,3) if the aspect ratios agree; else return it unchanged."""
    height, width = shape[:2]
    if image.shape == shape or abs(image.shape[1] * height / (image.shape[0] * width) - 1) > 0.02:
        return image
    shrinks = image.shape[0] > height
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
