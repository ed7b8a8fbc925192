"""Measure the bundled face networks on people they never saw, against targets for accuracy and speed.

    python benchmarks/faces.py --faces FOLDER --teachers FOLDER

The folders are those of `train_accelerate.py detector`. The people are those that training leaves out, by a hash of
their names. Detection is measured on mosaics of their photos, where the true boxes are known, and the teacher's figures
on the same pictures are printed for comparison.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from reliableswap.bundled import bundled
from reliableswap.faces.align import apply, crop, upright
from reliableswap.faces.analysers.bundled import BundledAnalyser
from reliableswap.faces.detect import SearchSettings, add_meshes, find_faces
from reliableswap.faces.face import Detection, eye_distance, five_points
from reliableswap.geometry.measures import eye_openings, mouth_opening
from reliableswap.models.detector import FaceDetector
from reliableswap.models.landmarks import MeshNet
from reliableswap.runtime.arrays import as_array_network
from reliableswap.runtime.torch_arrays import TorchArrayNetwork
from reliableswap.training.tasks.faces.detector import DetectorSettings, Mosaics, Tally, box_overlaps
from reliableswap.training.tasks.faces.labels import label_photos
from reliableswap.training.tasks.faces.landmarks import LandmarkCrops, LandmarksSettings
from reliableswap.training.tasks.faces.mosaic import mosaic
from reliableswap.training.tasks.faces.profile import rotated_to_yaw
from reliableswap.training.tasks.faces.teachers import Teachers


@dataclass(frozen=True)
class Target:
    """The value that a figure should reach: at least, or at most."""

    value: float
    at_least: bool = False

    def met(self, value: float) -> bool:
        return value >= self.value if self.at_least else value <= self.value

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.value:g}"


MIN_ACCURACY = Target(0.97, at_least=True)  # recall and precision


def line(name: str, value: float, target: Target | None = None) -> None:
    """Print a figure, its target and whether it is met."""
    met = target is None or target.met(value)
    wanted = "-" if target is None else str(target)
    print(f"{name:58s} {value:8.3f}   target {wanted:10s} {'met' if met else 'MISSED'}")


def rows_of(faces: Sequence[Detection]) -> np.ndarray:
    """(N,15) box, points, score"""
    rows = [np.concatenate([f.box, f.points5.ravel(), [f.score]]) for f in faces]
    return np.stack(rows) if rows else np.zeros((0, 15))


def found_in(answers: np.ndarray, box: np.ndarray) -> bool:
    """Whether one of the answers (N,15) overlaps the box by at least half."""
    return bool((box_overlaps(box, answers) >= 0.5).any())


def detection(
    detector: FaceDetector,
    landmarks: MeshNet,
    held_out: Mosaics,
    teachers: Teachers,
    pictures: int,
    size: int,
) -> None:
    """Print the detector's recall, precision and point error on mosaics."""
    ours, theirs, agreed = Tally(), Tally(), Tally()
    analyse = BundledAnalyser(detector, landmarks, SearchSettings(turns=(), fine_side=0))
    for i in range(pictures):
        rng = np.random.default_rng([1, i])
        chosen = rng.choice(len(held_out.indices), 2 + int(rng.integers(1, 11)))
        photos = [held_out.labelled(held_out.indices[c]) for c in chosen]
        image, truth = mosaic(photos, size, rng, strength=0.5, largest=0.9, roll_limit=45)
        found = rows_of(analyse(image))
        ours.add(found, truth)
        seen = teachers.detect(image)
        seen = seen[seen[:, 14] >= 0.6].astype(float)
        theirs.add(seen, truth)
        # A face that the teacher misses in this picture counts neither for nor against the detector.
        certain = [replace(face, certain=face.certain and found_in(seen, face.box)) for face in truth]
        agreed.add(found, certain)
    figures = ours.figures()
    print(
        f"{ours.faces} faces of at least 24 px, rotated by up to 45 degrees, in {pictures} pictures of {size} px"
    )
    for name in ("recall", "precision"):
        line(f"detector {name} at IoU 0.5", figures[name], MIN_ACCURACY)
    line("detector recall of the faces that the teacher finds", agreed.figures()["recall"], MIN_ACCURACY)
    line("detector points, mean error / face size", figures["point_error"])
    reference = ", ".join(f"{name} {value:.3f}" for name, value in theirs.figures().items())
    print(f"  the teacher on the same pictures: {reference}")


def recall_at_any_roll(detector: FaceDetector, held_out: Mosaics, photos: int) -> None:
    """Print the share of faces that are found, over twelve rolls of each."""
    found: list[bool] = []
    for c in np.random.default_rng(2).choice(len(held_out.indices), photos, replace=False):
        photo = held_out.labelled(held_out.indices[c])
        found += [rolled_face_found(detector, photo, roll) for roll in range(0, 360, 30)]
    line(f"faces found at any roll, {photos} photos x 12 rolls", float(np.mean(found)), MIN_ACCURACY)


def rolled_face_found(detector: FaceDetector, photo: Any, roll: float, side: int = 360) -> bool:
    """Whether the detector finds the photo's face after a rotation by `roll` degrees."""
    height, width = photo.pixels.shape[:2]
    centre = ((width - 1) / 2, (height - 1) / 2)
    matrix = cv2.getRotationMatrix2D(centre, roll, 160 / max(height, width) * 1.4)
    matrix[:, 2] += side / 2 - np.array([width, height]) / 2
    image = cv2.warpAffine(photo.pixels, matrix, (side, side), borderValue=(90, 90, 90))
    points = apply(matrix, photo.faces[0].points5)
    size = np.ptp(points, axis=0).max()
    distances = [
        np.linalg.norm(face.points5[2] - points[2]) for face in find_faces(TorchArrayNetwork(detector), image)
    ]
    return any(distance < size * 0.35 for distance in distances)


def meshes(detector: FaceDetector, landmarks: MeshNet, held_out: LandmarkCrops, photos: int) -> None:
    """Print the mesh's errors against the teacher's, and its jitter under noise."""
    rng = np.random.default_rng(3)
    order = rng.permutation(len(held_out.indices))[:photos].tolist()
    errors: dict[str, list[float]] = {"given points": [], "detected": [], "profile": []}
    jitter: list[float] = []
    openings: list[tuple[float, float]] = []
    for position in order:
        image, mesh = held_out.labelled(position, mirror=False)
        given = mesh_by_points(landmarks, image, mesh)
        errors["given points"].append(distance_of(given, mesh))
        openings.append(opening_errors(given, mesh))
        errors["profile"].append(mesh_error(landmarks, *rotated_to_yaw(image, mesh, 60.0)))
        unit, centre = eye_distance(mesh), mesh[:, :2].mean(0)
        found = add_meshes(
            TorchArrayNetwork(landmarks), image, find_faces(TorchArrayNetwork(detector), image), passes=2
        )
        near = [f for f in found if np.linalg.norm(f.mesh[:, :2].mean(0) - centre) < unit]
        if near:
            errors["detected"].append(distance_of(near[0].mesh, mesh))
        jitter.append(jitter_of(landmarks, image, mesh, held_out, rng))
    means = {name: 100 * float(np.mean(values)) for name, values in errors.items()}
    line(f"mesh error, % of eye distance, {len(order)} photos", means["given points"], Target(2))
    line(f"  with our own detector ({len(errors['detected'])} found)", means["detected"], Target(2))
    line("  heads rotated to 60 degrees of yaw (faces/profile.py)", means["profile"], Target(4))
    mouth, eyes = 100 * np.mean(openings, 0)
    line("  mouth opening, error in % of its width", float(mouth))
    line("  eye opening, error in % of its width", float(eyes))
    line("mesh jitter, % of eye distance, noise of 4 grey levels", 100 * float(np.mean(jitter)), Target(0.5))


def mesh_error(landmarks: MeshNet, image: np.ndarray, mesh: np.ndarray) -> float:
    """The mesh's error in eye distances, for a face that is located by the true mesh's five points."""
    return distance_of(mesh_by_points(landmarks, image, mesh), mesh)


def mesh_by_points(landmarks: MeshNet, image: np.ndarray, mesh: np.ndarray) -> np.ndarray:
    """(468,3) the network's mesh of a face that is located by the true mesh's five points."""
    face = Detection(np.zeros(4, np.float32), five_points(mesh), 1.0)
    return np.asarray(add_meshes(TorchArrayNetwork(landmarks), image, [face])[0].mesh)


def opening_errors(found: np.ndarray, mesh: np.ndarray) -> tuple[float, float]:
    """How far the openings of the mouth and of the eyes are off, in widths of the mouth and of an eye."""
    eyes = np.abs(eye_openings(found) - eye_openings(mesh)).mean()
    return abs(mouth_opening(found) - mouth_opening(mesh)), float(eyes)


def distance_of(found: np.ndarray, mesh: np.ndarray) -> float:
    """Mean distance in the picture of two meshes (468,3), in eye distances."""
    return float(np.linalg.norm((found - mesh)[:, :2], axis=1).mean()) / eye_distance(mesh)


def jitter_of(
    landmarks: MeshNet, image: np.ndarray, mesh: np.ndarray, held_out: LandmarkCrops, rng: np.random.Generator
) -> float:
    """How far the points of one face move under noise of 4 grey levels, in eye distances."""
    matrix = upright(five_points(mesh), held_out.size, held_out.scale)
    pixels = crop(image, matrix, held_out.size, cv2.BORDER_CONSTANT)
    noisy = [np.clip(pixels + rng.normal(0, 4, pixels.shape), 0, 255) for _ in range(8)]
    batch = torch.from_numpy(np.stack(noisy)).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.inference_mode():
        answers = landmarks(batch)[0][..., :2].numpy()
    spread = np.linalg.norm(answers - answers.mean(0), axis=-1).mean()
    return float(spread) / eye_distance(apply(matrix, mesh))


def speed(detector: FaceDetector, landmarks: MeshNet, held_out: Mosaics, repeats: int) -> None:
    """Print the median milliseconds of one detection and one mesh, on one core."""
    find, read = as_array_network(detector), as_array_network(landmarks)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    photo = held_out.photos[held_out.indices[0]]
    image = cv2.copyMakeBorder(cv2.resize(photo, (300, 300)), 90, 90, 170, 170, cv2.BORDER_REFLECT)
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        faces = find_faces(find, image)
        add_meshes(read, image, faces[:1])
        times.append((time.perf_counter() - started) * 1000)
    middle = statistics.median(times[repeats // 5 :])
    line("milliseconds, 640x480, detection and one mesh, one core", middle, Target(12))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", type=Path, required=True, help="folder of photos")
    parser.add_argument("--teachers", type=Path, required=True, help="folder of the teachers' ONNX files")
    parser.add_argument(
        "--labels", type=Path, default=Path("runs/labels"), help="folder of the teachers' outputs"
    )
    parser.add_argument("--flat_folders", default="", help="as for train_accelerate.py")
    parser.add_argument("--detector", type=Path, help="detector to measure (default: the bundled one)")
    parser.add_argument("--landmarks", type=Path, help="mesh network to measure (default: the bundled one)")
    parser.add_argument(
        "--pictures", type=int, default=300, help="mosaics for the detector (default: %(default)s)"
    )
    parser.add_argument("--photos", type=int, default=600, help="photos for the mesh (default: %(default)s)")
    arguments = parser.parse_args()
    # The files hold float16; the pipeline runs the networks in float32 with channels-last memory.
    detector = FaceDetector.from_pretrained(arguments.detector or bundled("detector")).float().eval()
    landmarks = MeshNet.from_pretrained(arguments.landmarks or bundled("landmarks")).float().eval()
    detector, landmarks = (n.to(memory_format=torch.channels_last) for n in (detector, landmarks))
    flat = [name for name in arguments.flat_folders.split(",") if name]
    labels = label_photos(arguments.faces, arguments.teachers, arguments.labels, flat)
    teachers = Teachers(arguments.teachers)
    shared = {
        "faces": arguments.faces,
        "teachers": arguments.teachers,
        "flat_folders": arguments.flat_folders,
    }
    held_out = Mosaics(DetectorSettings(**shared), labels, training=False)
    print(
        f"{detector.parameter_count:,} and {landmarks.parameter_count:,} parameters (targets: 500,000 and 1,000,000)"
    )
    detection(detector, landmarks, held_out, teachers, arguments.pictures, 512)
    recall_at_any_roll(detector, held_out, max(1, arguments.pictures // 10))
    crops = LandmarkCrops(
        LandmarksSettings(**shared), labels, landmarks.config["size"], landmarks.config["crop_scale"], False
    )
    meshes(detector, landmarks, crops, arguments.photos)
    speed(detector, landmarks, held_out, 60)


if __name__ == "__main__":
    main()
