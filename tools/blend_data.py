"""Fit the blend engine's data files to photos: geometry/topology.json, geometry/shape.json and faces/looks.json.

    python -m tools.blend_data --faces FOLDER --flat-folders NAMES --teachers FOLDER --attributes FILE

Everything is computed from the teacher's meshes and, for the looks, from the photos' published attributes. Only the
training people are used; the held-out people give the figures, which are printed as JSON. The one thing that is not
computed is which mesh points outline which feature (RINGS in triangulate.py).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import reliableswap
from reliableswap.data.splits import holds_out
from reliableswap.errors import ReliableSwapError
from reliableswap.media import read_picture
from reliableswap.training.core.settings import TeacherSettings, setting
from reliableswap.training.tasks.faces.labels import Labels, label_photos
from tools.command import run_command
from tools.data_files import figures_json, looks_json, shape_json, topology_json
from tools.look_classifiers import LookPhoto, read_attributes, train_glasses, train_mouth
from tools.mean_face import aligned, mean_face, mirror_map
from tools.person_shape import deviations, person_filter, separation
from tools.triangulate import open_face, triangulate


@dataclass
class BlendDataSettings(TeacherSettings):
    """Settings of the fits."""

    output_dir: Path = setting(
        Path(reliableswap.__file__).parent, "folder whose geometry/ and faces/ the files are written to"
    )
    labels: Path | None = setting(Path("labels"), "folder of the teachers' outputs")
    attributes: Path = setting(
        Path("ffhq_attributes.json"), "FFHQ's attributes by photo name, for photos in the flat folders"
    )
    photos_per_person: int = setting(8, "photos per person used for the mean face and the shape")
    shape_modes: int = setting(20, "number of modes of the shape filter")
    ridge: float = setting(10.0, "ridge penalty on the looks' weights")
    seed: int = setting(0, "random seed of the drawn covers and the held-out pairs")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_command(run, BlendDataSettings, "blend_data", __doc__, argv)


def run(settings: BlendDataSettings) -> str:
    """Write the three data files; return the figures as JSON."""
    attributes = read_attributes(settings.attributes)
    labels = label_photos(settings.faces, settings.teachers, settings.labels_folder, settings.flat)
    training, checking = (several_photos(labels, part, settings) for part in (True, False))
    mirror, mean, triangles = topology(labels.meshes[training], labels.mirrored[training])
    filter = person_filter(
        deviations(labels.meshes[training], mean), people(labels, training), mirror, settings.shape_modes
    )
    photos = look_photos(labels, attributes, settings)
    glasses, glasses_figures = train_glasses(photos, mean, settings.ridge)
    mouth, mouth_figures = train_mouth(photos, mean, settings.ridge, settings.seed)
    files = {
        "geometry/topology.json": topology_json(triangles, mirror, mean),
        "geometry/shape.json": shape_json(filter),
        "faces/looks.json": looks_json({"glasses": glasses, "mouth": mouth}),
    }
    for name, text in files.items():
        path = settings.output_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    unseen = deviations(labels.meshes[checking], mean)
    shape_figures = {
        "photos": len(training),
        "people": len(set(people(labels, training).tolist())),
        "largest_share": float(filter.shares[0]),
        "smallest_share": float(filter.shares[-1]),
        **separation(filter, unseen, people(labels, checking), settings.seed),
    }
    figures: dict[str, Any] = {
        "topology": topology_figures(labels, training, checking, mirror, mean),
        "shape": shape_figures,
        "glasses": glasses_figures,
        "mouth": mouth_figures,
    }
    return figures_json(figures)


def people(labels: Labels, indices: Sequence[int]) -> np.ndarray:
    """(N,) names of the people on these photos."""
    return np.array([labels.photos[i].identity for i in indices])


def several_photos(labels: Labels, training: bool, settings: BlendDataSettings) -> list[int]:
    """Choose the first few photos of every person with several. Flat folders have one photo of each person."""
    by_person: dict[str, list[int]] = {}
    for i in labels.rows(training):
        photo = labels.photos[i]
        if Path(photo.name).parent.name not in settings.flat:
            by_person.setdefault(photo.identity, []).append(i)
    chosen = [
        i for photos in by_person.values() if len(photos) > 1 for i in photos[: settings.photos_per_person]
    ]
    if not chosen:
        part = "training" if training else "held-out"
        raise ReliableSwapError(
            f"none of the {part} people has two photos with a face among the {len(labels.photos)} in "
            f"{settings.faces}; pass --faces with a sub-folder per person"
        )
    return chosen


def topology(meshes: np.ndarray, mirrored: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Meshes (N,468,3) of photos and of the mirrored photos -> mirror (468,), mean face (468,3), triangles (T,3)."""
    mirror = mirror_map(meshes, mirrored)
    mean = mean_face(meshes, mirror)
    return mirror, mean, triangulate(open_face(aligned(meshes, mean), mirror), mirror)


def topology_figures(
    labels: Labels, training: list[int], checking: list[int], mirror: np.ndarray, mean: np.ndarray
) -> dict[str, float]:
    """Deviations from the mean in eye distances, and the share of points whose twin is the same for held-out people."""
    error = {
        name: float(np.sqrt((deviations(labels.meshes[indices], mean) ** 2).sum(2).mean()))
        for name, indices in (("training", training), ("held_out", checking))
    }
    again = mirror_map(labels.meshes[checking], labels.mirrored[checking])
    return {
        "photos": len(training),
        "photos_held_out": len(checking),
        **error,
        "same_twins_held_out": float((again == mirror).mean()),
    }


def look_photos(labels: Labels, attributes: dict[str, Any], settings: BlendDataSettings) -> list[LookPhoto]:
    """The photos of the flat folders that have a mesh and attributes."""
    photos = [
        LookPhoto(
            read_picture(photo.path).pixels,
            labels.meshes[i],
            attributes[photo.identity],
            holds_out(photo.identity),
        )
        for i, photo in enumerate(labels.photos)
        if Path(photo.name).parent.name in settings.flat
        and photo.identity in attributes
        and not np.isnan(labels.meshes[i]).any()
    ]
    if not any(photo.held_out for photo in photos) or all(photo.held_out for photo in photos):
        raise ReliableSwapError(
            f"{len(photos)} photos with a face in the flat folders ({settings.flat_folders or 'none'}) have attributes "
            f"in {settings.attributes}, which leaves none to train on or none to check; pass --flat_folders with the "
            "folders whose photos they name"
        )
    return photos


if __name__ == "__main__":
    sys.exit(main())
