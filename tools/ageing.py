"""Fit the directions of age, faces/ageing.json, to photos of adults whose names begin with age, sex and group.

    python -m tools.ageing --faces FOLDER [--meshes MESHES.npz]

Names are those of UTKFace: AGE_SEX_GROUP_*.jpg. Every face is warped onto the maps of faces/ageing.py, minus its mean
tone. Each pixel gets a linear regression over age, with sex, group, pose, mouth and smile as further terms. So do the
logarithm of the fine structure in each octave, and the mesh without pose, of which only the person's part counts. A
face and its mirror image have the same age, so the directions are made symmetric. A tenth of the photos is held out,
and the figures say how well directions fitted to these alone agree. Photos of people under 20 are left out.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

import reliableswap
from reliableswap.data.photos import Photo, list_photos
from reliableswap.data.splits import holds_out
from reliableswap.errors import ReliableSwapError
from reliableswap.faces.ageing import COARSE, GRID, OCTAVES, map_places, packed
from reliableswap.faces.analysers.bundled import BundledAnalyser
from reliableswap.geometry import regions
from reliableswap.geometry.measures import frontal, pose_of
from reliableswap.geometry.raster import Raster, rasterise
from reliableswap.geometry.shape import person_modes
from reliableswap.geometry.topology import POINTS, topology
from reliableswap.imaging import colour
from reliableswap.media import read_picture
from reliableswap.pipelines.image import ReliableSwapPipeline
from reliableswap.training.core.settings import setting
from tools.command import run_command

logger = logging.getLogger(__name__)

_MIDDLE = 45.0  # years, about the photos' mean
_MAX_YAW = 25.0  # degrees; the far cheek of a face that is turned further is stretched
_NEAR = 6.0  # sigma in pixels of the maps over which fine structure is averaged


@dataclass
class AgeingSettings:
    """Settings of the fit."""

    faces: Path = setting(Path("utkface_adults"), "folder of photos named AGE_SEX_GROUP_*")
    meshes: Path | None = setting(None, "cache file for the faces' meshes")
    output: Path = setting(Path(reliableswap.__file__).parent / "faces/ageing.json", "file to write")
    youngest: int = setting(20, "leave out photos of people younger than this; at least 18")
    oldest: int = setting(80, "leave out photos of people older than this")
    tone: float = setting(3.3, "factor by which the measured change of tone is exaggerated")
    gain: float = setting(6.0, "factor by which the measured growth of fine structure is exaggerated")
    shape: float = setting(3.0, "factor by which the measured change of shape is exaggerated")


@dataclass(frozen=True, eq=False)
class AgedFace:
    """A photo, the mesh (468,3) of its face, and the labels in its name."""

    photo: Photo
    mesh: np.ndarray
    years: int
    sex: int
    group: int

    @property
    def terms(self) -> list[float]:
        """The regression terms other than age."""
        face = frontal(self.mesh)
        yaw, pitch, _ = (angle / 30 for angle in pose_of(self.mesh))
        smile = float(np.linalg.norm(face[61] - face[291])) - 0.6
        groups = [float(self.group == n) for n in range(1, 5)]
        return [1.0, float(self.sex), *groups, smile, regions.mouth_opening(self.mesh), yaw, pitch, yaw * yaw]


@dataclass(frozen=True, eq=False)
class Directions:
    """The measured change per year: tone (H,W,3), gain (h,w,octaves), shape (468,3)."""

    tone: np.ndarray
    gain: np.ndarray
    shape: np.ndarray


def labels_of(name: str) -> tuple[int, int, int] | None:
    """Age, sex and group of a photo by its name; None for names of another kind."""
    parts = name.rsplit("/", 1)[-1].split("_")[:3]
    if len(parts) < 3 or not all(part.isascii() and part.isdigit() for part in parts):
        return None
    age, sex, group = (int(part) for part in parts)
    return age, sex, group


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_command(run, AgeingSettings, "ageing", __doc__, argv)


def run(settings: AgeingSettings) -> str:
    """Write the file; return the figures as JSON."""
    if settings.youngest < 18:
        raise ReliableSwapError(
            f"--youngest is {settings.youngest}; only adults are used, so give 18 or more"
        )
    faces = read_faces(settings)
    training = [one for one in faces if not holds_out(one.photo.identity)]
    others = [one for one in faces if holds_out(one.photo.identity)]
    if min(len(training), len(others)) < 30:
        raise ReliableSwapError(
            f"only {len(faces)} photos in {settings.faces} show a frontal face of an age in the range; give a folder "
            "of some hundred photos named AGE_SEX_GROUP_*"
        )
    found, again = fit(training, pixels_of), fit(others, pixels_of)
    text = ageing_json(found, settings)
    settings.output.write_text(text, "utf-8")
    figures = {
        "photos": len(training),
        "photos_held_out": len(others),
        "mean_age": round(float(np.mean([one.years for one in training])), 1),
        "kilobytes": round(len(text) / 1000, 1),
        **{
            f"{name}_agrees": round(agreement(getattr(found, name), getattr(again, name)), 3)
            for name in ("tone", "gain", "shape")
        },
    }
    return json.dumps(figures, indent=1) + "\n"


def read_faces(settings: AgeingSettings) -> list[AgedFace]:
    """Read the faces to fit: those of known age, in the range, seen from the front."""
    photos = [photo for photo in list_photos(settings.faces) if labels_of(photo.name)]
    kept: dict[str, np.ndarray] = {}
    if settings.meshes is not None and settings.meshes.is_file():
        with np.load(settings.meshes) as known:
            kept = dict(zip(known["names"].tolist(), known["meshes"], strict=True))
    pipe: ReliableSwapPipeline | None = None
    for photo in photos:
        if photo.name in kept:
            continue
        pipe = pipe or ReliableSwapPipeline.bundled()
        found = BundledAnalyser(pipe.detector, pipe.landmarks)(read_picture(photo.path).pixels)
        kept[photo.name] = found[0].mesh if found else np.full((POINTS, 3), np.nan, np.float32)
        if len(kept) % 100 == 0:
            logger.info("%d of %d faces", len(kept), len(photos))
    if settings.meshes is not None and pipe is not None:
        np.savez(settings.meshes, names=np.array(list(kept)), meshes=np.stack(list(kept.values())))
    faces = []
    for photo in photos:
        labels, mesh = labels_of(photo.name), kept[photo.name]
        if labels is None or np.isnan(mesh).any():
            continue
        if settings.youngest <= labels[0] <= settings.oldest and abs(pose_of(mesh)[0]) < _MAX_YAW:
            faces.append(AgedFace(photo, mesh, *labels))
    return faces


def pixels_of(face: AgedFace) -> np.ndarray:
    """(H,W,3) uint8 the photo."""
    return read_picture(face.photo.path).pixels


def fit(faces: Sequence[AgedFace], pixels: Callable[[AgedFace], np.ndarray]) -> Directions:
    """Fit the directions to these faces, and make them symmetric."""
    terms = np.array([[(one.years - _MIDDLE), *one.terms] for one in faces])
    # Row 0 of the pseudo-inverse: the weight of each photo in the slope over age.
    weights = np.linalg.lstsq(terms, np.eye(len(terms)), rcond=None)[0][0]
    raster, skin = map_raster(), map_skin()
    inside = raster.covered.reshape(GRID).astype(np.float32)
    tone = np.zeros((*GRID, 3))
    gain = np.zeros((GRID[0] // COARSE, GRID[1] // COARSE, len(OCTAVES)))
    for weight, lab in zip(weights, maps_of(faces, pixels, raster), strict=True):
        tone += weight * (lab - lab[skin].mean(0))
        gain += weight * structure(lab[..., 0], inside)
    # No change outside the face, and no shift of the mean.
    tone = (tone - tone[skin].mean(0)) * inside[..., None]
    analyse, synthesise = person_modes()
    forms = np.array([frontal(one.mesh) for one in faces]) - topology().canonical
    shape = (synthesise @ (analyse.T @ (weights @ forms.reshape(len(faces), -1)))).reshape(POINTS, 3)
    mirrored = shape[topology().mirror] * (-1, 1, 1)
    return Directions(
        (tone + tone[:, ::-1]) / 2, np.maximum((gain + gain[:, ::-1]) / 2, 0), (shape + mirrored) / 2
    )


def map_raster() -> Raster:
    """The mean face on the maps."""
    return rasterise(_map_mesh(), GRID)


def map_skin() -> np.ndarray:
    """(H,W) bool the mean face's skin on the maps, without its edge."""
    return np.asarray(regions.eroded(regions.skin(_map_mesh(), GRID), 3) > 0)


def _map_mesh() -> np.ndarray:
    return np.column_stack([map_places(), topology().canonical[:, 2]]).astype(np.float32)


def maps_of(
    faces: Sequence[AgedFace], pixels: Callable[[AgedFace], np.ndarray], raster: Raster
) -> Iterator[np.ndarray]:
    """Yield (H,W,3) Lab of each face on the maps."""
    for face in faces:
        places = raster.picture(face.mesh[:, :2], outside=-2)
        yield colour.to_lab(cv2.remap(pixels(face), places, None, cv2.INTER_LINEAR))


def structure(light: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """(h,w,octaves) the logarithm of the fine structure's amplitude near each place of the maps."""
    found, before = [], light
    for sigma in OCTAVES:
        after = _local(light, inside, sigma)
        strength = _local(np.square(before - after), inside, _NEAR)
        small = cv2.resize(strength, (GRID[1] // COARSE, GRID[0] // COARSE), interpolation=cv2.INTER_AREA)
        found.append(0.5 * np.log(np.maximum(small, 1e-3)))
        before = after
    return np.dstack(found)


def _local(plane: np.ndarray, inside: np.ndarray, sigma: float) -> np.ndarray:
    mass = cv2.GaussianBlur(inside, (0, 0), sigma)
    return np.asarray(cv2.GaussianBlur(plane * inside, (0, 0), sigma) / np.maximum(mass, 1e-3), np.float32)


def ageing_json(found: Directions, settings: AgeingSettings) -> str:
    """The text of faces/ageing.json. The maps are symmetric, so only their left half is stored."""
    parts = {
        "tone": settings.tone * found.tone[:, : GRID[1] // 2],
        "gain": settings.gain * found.gain[:, : GRID[1] // COARSE // 2],
        "shape": settings.shape * found.shape,
    }
    return json.dumps({name: packed(values) for name, values in parts.items()}, indent=1) + "\n"


def agreement(one: np.ndarray, other: np.ndarray) -> float:
    """The cosine of two directions."""
    return float((one * other).sum() / max(float(np.linalg.norm(one) * np.linalg.norm(other)), 1e-12))


if __name__ == "__main__":
    sys.exit(main())
