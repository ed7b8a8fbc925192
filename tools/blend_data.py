"""The data files of the blend room, made again from photos: topology.json, shape.json, looks.json.

    python train_accelerate.py blend-data --faces FOLDER --flat_folders NAMES --teachers FOLDER \\
        --attributes FILE --output_dir DIR

Everything is worked out from the teacher's meshes (see teachers.py) and, for looks, the photos' published attributes.
Only the training people count; the people held out give the figures, which are printed and written to figures.json.
Not worked out from photos: which mesh points outline which feature (RINGS in triangulate.py).
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reliableswap.errors import ReliableSwapError
from reliableswap.training.core.settings import TeacherSettings, setting
from reliableswap.training.tasks.faces.teachers import Labels, held_out, label_photos, read_rgb, split
from tools.look_classifiers import Classifier, Wearer, read_attributes, train_glasses, train_mouth
from tools.mean_face import laid_on, mean_face, mirror_map
from tools.person_shape import PersonFilter, departures, person_filter, separation
from tools.triangulate import RINGS, open_face, triangulate


@dataclass
class BlendDataSettings(TeacherSettings):
    attributes: Path = setting(
        Path("ffhq_attributes.json"), "FFHQ's attributes by photo name, for photos in the flat folders"
    )
    photos_per_person: int = setting(8, "photos of one person that count for the mean face and the shape")
    shape_modes: int = setting(20, "how many ways in which persons differ are kept")
    ridge: float = setting(10.0, "the penalty on the looks' weights")
    seed: int = setting(0, "the drawn covers and the held-out pairs follow from it")


def run(settings: BlendDataSettings) -> None:
    """Write the three data files and the figures to the output folder."""
    attributes = read_attributes(settings.attributes)
    labels = label_photos(settings.faces, settings.teachers, settings.labels_file)
    training = several_photos(labels, split(labels, True, settings.flat), settings)
    checking = several_photos(labels, split(labels, False, settings.flat), settings)

    mirror, mean, triangles = topology(labels.meshes[training], labels.mirrored[training])
    figures: dict[str, Any] = {"topology": topology_figures(labels, training, checking, mirror, mean)}
    filter = person_filter(
        departures(labels.meshes[training], mean), people(labels, training), mirror, settings.shape_modes
    )
    unseen = departures(labels.meshes[checking], mean)
    figures["shape"] = {
        "photos": len(training),
        "people": len(set(people(labels, training).tolist())),
        "largest_share": float(filter.shares[0]),
        "smallest_share": float(filter.shares[-1]),
        **separation(filter, unseen, people(labels, checking), settings.seed),
    }
    faces = wearers(labels, attributes, settings)
    glasses, figures["glasses"] = train_glasses(faces, mean, settings.ridge)
    mouth, figures["mouth"] = train_mouth(faces, mean, settings.ridge, settings.seed)

    settings.output_dir.mkdir(parents=True, exist_ok=True)
    files = {
        "topology.json": topology_json(triangles, mirror, mean),
        "shape.json": shape_json(filter),
        "looks.json": looks_json({"glasses": glasses, "mouth": mouth}),
        "figures.json": figures_json(figures),
    }
    for name, text in files.items():
        (settings.output_dir / name).write_text(text, "utf-8")
    print(files["figures.json"], end="")


def people(labels: Labels, indices: list[int]) -> np.ndarray:
    """(N,) the names of the people on those photos."""
    return np.array([Path(labels.photos[i]).parent.as_posix() for i in indices])


def several_photos(labels: Labels, indices: Any, settings: BlendDataSettings) -> list[int]:
    """The first few photos of every person that has several; in a flat folder nobody has."""
    of: dict[Path, list[int]] = {}
    for i in indices:
        folder = Path(labels.photos[i]).parent
        if folder.name not in settings.flat:
            of.setdefault(folder, []).append(i)
    chosen = [i for photos in of.values() if len(photos) > 1 for i in photos[: settings.photos_per_person]]
    if not chosen:
        raise ReliableSwapError(
            f"nobody has two photos with a face among {len(labels.photos)} below {settings.faces}, or only people "
            "who are held out or who are not; pass --faces with a sub-folder a person"
        )
    return chosen


def topology(meshes: np.ndarray, mirrored: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """mirror (468,), mean face (468,3), triangles (T,3) of meshes (N,468,3) of photos and of the photos mirrored."""
    mirror = mirror_map(meshes, mirrored)
    mean = mean_face(meshes, mirror)
    return mirror, mean, triangulate(open_face(laid_on(meshes, mean), mirror), mirror)


def topology_figures(
    labels: Labels, training: list[int], checking: list[int], mirror: np.ndarray, mean: np.ndarray
) -> dict[str, float]:
    """How far meshes are from the mean, in eye distances, and whether the people held out have the same twins."""
    error = {
        name: float(np.sqrt((departures(labels.meshes[indices], mean) ** 2).sum(2).mean()))
        for name, indices in (("training", training), ("held_out", checking))
    }
    again = mirror_map(labels.meshes[checking], labels.mirrored[checking])
    return {
        "photos": len(training),
        "photos_held_out": len(checking),
        **error,
        "same_twins_held_out": float((again == mirror).mean()),
    }


def wearers(labels: Labels, attributes: dict[str, Any], settings: BlendDataSettings) -> list[Wearer]:
    """The photos of the flat folders that have a mesh and attributes."""
    found = [
        (i, attributes[Path(photo).stem])
        for i, photo in enumerate(labels.photos)
        if Path(photo).parent.name in settings.flat and Path(photo).stem in attributes
    ]
    faces = [
        Wearer(
            read_rgb(settings.faces / labels.photos[i]),
            labels.meshes[i],
            known,
            held_out(labels.photos[i], settings.flat),
        )
        for i, known in found
        if not np.isnan(labels.meshes[i]).any()
    ]
    if not any(f.held_out for f in faces) or all(f.held_out for f in faces):
        raise ReliableSwapError(
            f"{len(faces)} photos with a face in the flat folders ({settings.flat_folders or 'none'}) have attributes "
            f"in {settings.attributes}, which leaves none to train on or none to check; pass --flat_folders with theirs"
        )
    return faces


def topology_json(triangles: np.ndarray, mirror: np.ndarray, mean: np.ndarray) -> str:
    rows = {
        "triangles": triangles.tolist(),
        "mirror": mirror.tolist(),
        "canonical": (np.round(mean, 4) + 0.0).tolist(),  # no minus zeros
    }
    lines = [f" {json.dumps(name)}: {_compact(value)}" for name, value in rows.items()]
    rings = ",\n".join(f" {json.dumps(name)}: {_compact(ring)}" for name, ring in RINGS.items())
    return "{\n" + ",\n".join([*lines, f' "regions": {{\n{rings}\n}}']) + "\n}\n"


def shape_json(filter: PersonFilter) -> str:
    data = {
        "modes": filter.analyse.shape[1],
        "analyse": _half_precision(filter.analyse),
        "synthesise": _half_precision(filter.synthesise),
    }
    return json.dumps(data, indent=1) + "\n"


def looks_json(looks: dict[str, Classifier]) -> str:
    data = {
        name: {"bias": round(look.bias, 4), "weights": _half_precision(look.weights)}
        for name, look in looks.items()
    }
    return json.dumps(data, indent=1) + "\n"


def figures_json(figures: dict[str, dict[str, float]]) -> str:
    rounded = {part: {name: round(value, 4) for name, value in of.items()} for part, of in figures.items()}
    return json.dumps(rounded, indent=1) + "\n"


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _half_precision(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values, "<f2").tobytes()).decode()
