"""How well the bundled face networks do on people they never saw, and how fast, against the targets.

    python benchmarks/faces.py --faces FOLDER --teachers FOLDER

FOLDER holds the photos and the teachers that train_accelerate.py takes; the held-out people are a tenth, chosen
by a hash of their names. Pictures are mosaics of held-out photos; the truth is where the faces were put, and the
teacher's own figures on the same pictures stand beside ours.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

from reliableswap.bundled import bundled
from reliableswap.faces.align import apply, crop, upright
from reliableswap.faces.analysers.bundled import BundledAnalyser
from reliableswap.faces.detect import SearchSettings, add_meshes, find_faces
from reliableswap.faces.face import Detection, eye_distance, five_points
from reliableswap.models.detector import FaceDetector
from reliableswap.models.landmarks import MeshNet
from reliableswap.runtime.torch import compiled
from reliableswap.training.tasks.faces.detector import DetectorSettings, Mosaics, Tally, box_overlaps
from reliableswap.training.tasks.faces.labels import label_photos
from reliableswap.training.tasks.faces.landmarks import Crops, LandmarksSettings
from reliableswap.training.tasks.faces.mosaic import mosaic
from reliableswap.training.tasks.faces.profile import rotated_to_yaw
from reliableswap.training.tasks.faces.teachers import Teachers


def line(name: str, value: float, target: str, met: bool) -> None:
    print(f"{name:58s} {value:8.3f}   target {target:10s} {'met' if met else 'MISSED'}")


def rows_of(faces: list[Detection]) -> np.ndarray:
    """(N,15) box, points, score."""
    rows = [np.concatenate([f.box, f.points5.ravel(), [f.score]]) for f in faces]
    return np.stack(rows) if rows else np.zeros((0, 15))


def sees(answers: np.ndarray, box: np.ndarray) -> bool:
    return bool((box_overlaps(box, answers) >= 0.5).any())


def detection(
    detector: FaceDetector,
    landmarks: MeshNet,
    held_out: Mosaics,
    teachers: Teachers,
    pictures: int,
    size: int,
) -> None:
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
        # Against the teacher: what it does not see in this picture either is neither asked for nor held against us.
        agreed.add(found, [replace(face, certain=face.certain and sees(seen, face.box)) for face in truth])
    mine, reference = ours.figures(), theirs.figures()
    print(
        f"{ours.faces} faces of at least 24 px, rolls within 45 degrees, in {pictures} pictures of {size} px"
    )
    for name in ("recall", "precision"):
        line(f"detector {name} at IoU 0.5", mine[name], ">= 0.97", mine[name] >= 0.97)
    also = agreed.figures()["recall"]
    line("detector recall of the faces the teacher finds there", also, ">= 0.97", also >= 0.97)
    line("detector points, mean error / face size", mine["point_error"], "-", True)
    print("  the teacher on the same pictures: " + ", ".join(f"{k} {v:.3f}" for k, v in reference.items()))


def any_roll(detector: FaceDetector, held_out: Mosaics, photos: int) -> None:
    found, tried = 0, 0
    for c in np.random.default_rng(2).choice(len(held_out.indices), photos, replace=False):
        photo = held_out.labelled(held_out.indices[c])
        height, width = photo.pixels.shape[:2]
        for roll in range(0, 360, 30):
            side = 360
            turn = cv2.getRotationMatrix2D(
                ((width - 1) / 2, (height - 1) / 2), roll, 160 / max(height, width) * 1.4
            )
            turn[:, 2] += side / 2 - np.array([width, height]) / 2
            image = cv2.warpAffine(photo.pixels, turn, (side, side), borderValue=(90, 90, 90))
            centre = apply(turn, photo.faces[0].points5)[2]
            faces = find_faces(detector, image)
            size = np.ptp(apply(turn, photo.faces[0].points5), axis=0).max()
            found += any(np.linalg.norm(f.points5[2] - centre) < size * 0.35 for f in faces)
            tried += 1
    line(
        f"faces found at any roll, {photos} photos x 12 rolls",
        found / tried,
        ">= 0.97",
        found / tried >= 0.97,
    )


def meshes(detector: FaceDetector, landmarks: MeshNet, held_out: Crops, photos: int) -> None:
    rng = np.random.default_rng(3)
    by_yaw: dict[str, list[float]] = {"all": [], "60": [], "end": []}
    jitter: list[float] = []
    order = rng.permutation(len(held_out.indices))[:photos].tolist()
    size, scale = held_out.size, held_out.scale
    for position in order:
        image, mesh = held_out.labelled(position, mirror=False)
        unit = eye_distance(mesh)
        face = Detection(np.zeros(4, np.float32), five_points(mesh), 1.0)
        error = (
            float(np.linalg.norm((add_meshes(landmarks, image, [face])[0].mesh - mesh)[:, :2], axis=1).mean())
            / unit
        )
        side, side_mesh = rotated_to_yaw(image, mesh, 60.0)
        seen = add_meshes(landmarks, side, [Detection(np.zeros(4, np.float32), five_points(side_mesh), 1.0)])[
            0
        ].mesh
        by_yaw["60"].append(
            float(np.linalg.norm((seen - side_mesh)[:, :2], axis=1).mean()) / eye_distance(side_mesh)
        )
        by_yaw["all"].append(error)
        found = add_meshes(landmarks, image, find_faces(detector, image), passes=2)
        centre = mesh[:, :2].mean(0)
        near = [f for f in found if np.linalg.norm(f.mesh[:, :2].mean(0) - centre) < unit]
        if near:
            by_yaw["end"].append(float(np.linalg.norm((near[0].mesh - mesh)[:, :2], axis=1).mean()) / unit)
        matrix = upright(face.points5, size, scale)
        pixels = crop(image, matrix, size, cv2.BORDER_CONSTANT)
        noisy = [np.clip(pixels + rng.normal(0, 4, pixels.shape), 0, 255) for _ in range(8)]
        batch = torch.from_numpy(np.stack(noisy)).permute(0, 3, 1, 2).float() / 127.5 - 1
        with torch.inference_mode():
            answers = landmarks(batch)[0][..., :2].numpy()
        spread = np.linalg.norm(answers - answers.mean(0), axis=-1).mean()
        jitter.append(float(spread) / eye_distance(apply(matrix, mesh)))
    whole, end, profile = (100 * np.mean(by_yaw[k]) for k in ("all", "end", "60"))
    line(f"mesh error, % of eye distance, {len(order)} photos", whole, "<= 2", whole <= 2)
    line(f"  behind our own detector ({len(by_yaw['end'])} found)", end, "<= 2", end <= 2)
    line("  heads rotated to 60 degrees of yaw (faces/profile.py)", profile, "<= 4", profile <= 4)
    line(
        "mesh jitter, % of eye distance, noise of 4 grey levels",
        100 * np.mean(jitter),
        "<= 0.5",
        np.mean(jitter) <= 0.005,
    )


def speed(detector: FaceDetector, landmarks: MeshNet, held_out: Mosaics, repeats: int) -> None:
    detector, landmarks = compiled(detector), compiled(landmarks)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    photo = held_out.photos[held_out.indices[0]]
    image = cv2.copyMakeBorder(cv2.resize(photo, (300, 300)), 90, 90, 170, 170, cv2.BORDER_REFLECT)
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        faces = find_faces(detector, image)
        add_meshes(landmarks, image, faces[:1])
        times.append((time.perf_counter() - started) * 1000)
    middle = statistics.median(times[repeats // 5 :])
    line("milliseconds, 640x480, detection and one mesh, one core", middle, "<= 12", middle <= 12)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", type=Path, required=True)
    parser.add_argument("--teachers", type=Path, required=True)
    parser.add_argument(
        "--labels", type=Path, default=Path("runs/labels.npz"), help="the teachers' answers, kept here"
    )
    parser.add_argument("--flat_folders", default="", help="as for train_accelerate.py")
    parser.add_argument("--detector", type=Path, help="another detector than the bundled one")
    parser.add_argument("--landmarks", type=Path, help="another mesh than the bundled one")
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--photos", type=int, default=600)
    arguments = parser.parse_args()
    # float32 and channels last are how the pipeline runs them; the files are float16
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
    any_roll(detector, held_out, max(1, arguments.pictures // 10))
    crops = Crops(
        LandmarksSettings(**shared), labels, landmarks.config["size"], landmarks.config["crop_scale"], False
    )
    meshes(detector, landmarks, crops, arguments.photos)
    speed(detector, landmarks, held_out, 60)


if __name__ == "__main__":
    main()
