"""The largest face of a photo: its crop, its identity vector, and numbers that our own networks measure of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import SimpleNamespace
from typing import Any, ClassVar

import cv2
import numpy as np
import pyarrow as pa

from reliableswap.bundled import bundled
from reliableswap.data.encoders import EncoderChoice
from reliableswap.data.photos import Photo, read_photo
from reliableswap.data.records import Record, analyser_label
from reliableswap.faces import glasses
from reliableswap.faces.align import align, apply, crop, upright
from reliableswap.faces.analysers.bundled import BundledAnalyser
from reliableswap.faces.face import Face
from reliableswap.faces.glasses import bundled_glasses
from reliableswap.faces.looks import GLASSES
from reliableswap.faces.parts import SIZE as PARTS_SIDE
from reliableswap.faces.parts import Parts, bundled_visibility, find_parts
from reliableswap.geometry import regions
from reliableswap.geometry.measures import frontal, mouth_opening, pose_of
from reliableswap.imaging.colour import to_lab
from reliableswap.safety.age import age_nets, open_age_network

SIDE = 128
TEMPLATE = "head_512"  # wide enough for hair, with little background
_FORMAT = 1  # version of the records; another number invalidates all existing ones
_SMALLEST = 40.0  # pixels from cheek to cheek
_INSIDE = 0.8  # least share of the crop that lies within the photo
# Crop for the network of age and gender: its side in pixels, and in sizes of the face.
_AGE_SIDE, _FACE_IN_CROP = 224, 1.2
_AGE_OUTPUTS = ["age_pred/Softmax:0", "gender_pred/Sigmoid:0"]
_FEWEST = 40  # pixels of hair or skin that it takes to measure a colour

MEASURES = (
    "years", "male", "glasses", "dark_lenses", "beard", "smile", "mouth", "yaw", "pitch", "roll",
    "hair", "hair_l", "hair_a", "hair_b", "skin_l", "skin_a", "skin_b", "probe",
)  # fmt: skip


@dataclass(frozen=True)
class DescribedKind:
    """Records of photos: the crop (128,128,3) and the identity vector (128,) of the largest face, and its measures."""

    columns: ClassVar[Mapping[str, pa.DataType]] = dict.fromkeys(MEASURES, pa.float32())
    entry: ClassVar[np.dtype] = np.dtype([("crop", "u1", (SIDE, SIDE, 3)), ("v_id", "<f4", (128,))])

    @cached_property
    def recipe(self) -> str:
        return json.dumps([_FORMAT, SIDE, TEMPLATE, analyser_label(self._analyser)])

    @cached_property
    def _analyser(self) -> BundledAnalyser:
        return BundledAnalyser()

    @cached_property
    def _encoder(self) -> Any:
        return EncoderChoice(bundled("identity")).load()

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the networks: another process loads its own."""
        return {}

    def __call__(self, photo: Photo) -> Record:
        image = read_photo(photo)
        faces = self._analyser(image)
        if not faces:
            return Record(None, {}, "no face", "the analyser found no face")
        face = faces[0]
        if regions.face_width(face.mesh) < _SMALLEST:
            return Record(None, {}, "small", f"the face is narrower than {_SMALLEST:.0f} pixels")
        seen, matrix = align(image, face.points5, SIDE, TEMPLATE)
        inside = cv2.warpAffine(np.ones(image.shape[:2], np.float32), matrix, (SIDE, SIDE))
        if float(inside.mean()) < _INSIDE:
            return Record(None, {}, "cut off", "the crop reaches beyond the photo's edge")
        gate = age_nets().estimate(_GateSubject(image, face))
        if gate.may_be_minor:
            return Record(None, {}, "may be a minor", "the face may be that of a person under 18")
        entry = np.zeros((), self.entry)
        entry["crop"] = seen
        entry["v_id"] = self._encoder([align(image, face.points5, SIDE)[0]])[0]
        return Record(entry, {**measured(image, face), "probe": gate.probe})


class _GateSubject:
    """A face in the form that the age gate takes, without identity vectors."""

    def __init__(self, pixels: np.ndarray, face: Face) -> None:
        self.pixels, self.face = pixels, face
        self.networks = SimpleNamespace(identity=None, fixer=None, probe=None)
        self.v_id, self.v_fix = np.zeros((1, 0), np.float32), None


def measured(image: np.ndarray, face: Face) -> dict[str, float | None]:
    """Measure all of MEASURES, except the gate's `probe`, of a face in a picture (H,W,3) uint8."""
    years, male = years_and_gender(image, face)
    parts = find_parts(image, face.mesh, bundled_visibility())
    yaw, pitch, roll = pose_of(face.mesh)
    found: dict[str, float | None] = {"years": years, "male": male, "yaw": yaw, "pitch": pitch, "roll": roll}
    found |= {"smile": smile_of(face.mesh), "mouth": mouth_opening(face.mesh)}
    found |= _glasses(image, face)
    found |= _hair_and_skin(image, face, parts)
    return found


def years_and_gender(image: np.ndarray, face: Face) -> tuple[float, float]:
    """The apparent age, and the probability of a man, by the age gate's second network."""
    matrix = upright(face.points5, _AGE_SIDE)
    factor = _AGE_SIDE / (_FACE_IN_CROP * face.size) / float(np.sqrt(np.linalg.det(matrix[:, :2])))
    middle = (_AGE_SIDE - 1) / 2
    matrix = factor * matrix + np.array([[0, 0, middle * (1 - factor)]] * 2)
    view = crop(image, matrix, _AGE_SIDE)[None].astype(np.float32)
    session = _age_session()
    chances, male = session.run(_AGE_OUTPUTS, {session.get_inputs()[0].name: view})
    return float((chances @ np.arange(100)).mean()), float(male.mean())


@lru_cache(maxsize=1)
def _age_session() -> Any:
    return open_age_network()


def _glasses(image: np.ndarray, face: Face) -> dict[str, float | None]:
    """glasses: the log odds of glasses. dark_lenses: how much of the eyes frames and dark lenses cover."""
    score = GLASSES.score(image, face.mesh)
    if score < -2:
        return {"glasses": score, "dark_lenses": 0.0}
    worn = glasses.find(image, face.mesh, bundled_glasses()).on(image.shape[:2])
    eyes = regions.eyes(face.mesh, image.shape[:2], 1.5)
    return {"glasses": score, "dark_lenses": float((worn * eyes).sum() / max(float(eyes.sum()), 1.0))}


def _hair_and_skin(image: np.ndarray, face: Face, parts: Parts) -> dict[str, float | None]:
    """Share of the crop that is hair, share of the lower face that is beard or hair, and mean Lab of hair and skin."""
    seen = crop(image, parts.matrix, PARTS_SIDE)
    mesh = apply(parts.matrix, face.mesh)
    lab = to_lab(seen)
    hair, skin = parts.of("hair"), parts.of("skin")
    lower = regions.lower_face(mesh, seen.shape[:2]) * (1 - regions.lips(mesh, seen.shape[:2]))
    oval = regions.oval(mesh, seen.shape[:2])
    beard = parts.of("beard", "hair")
    found: dict[str, float | None] = {
        "hair": float((hair * (1 - oval)).mean()),
        "beard": float((beard * lower).sum() / max(float(lower.sum()), 1.0)),
    }
    for name, where in (("hair", (hair > 0.7) & (oval < 0.5)), ("skin", (skin > 0.8) & (oval > 0.5))):
        colour = np.median(lab[where], axis=0) if int(where.sum()) >= _FEWEST else [None] * 3
        found |= {
            f"{name}_{axis}": None if v is None else float(v) for axis, v in zip("lab", colour, strict=True)
        }
    return found


def smile_of(mesh: np.ndarray) -> float:
    """How far the corners of the mouth lie above the middle of the lips, in mouth widths, seen from the front."""
    flat = frontal(mesh)[:, :2]
    width = float(np.linalg.norm(flat[291] - flat[61]))
    middle = (flat[13, 1] + flat[14, 1]) / 2
    return float((middle - (flat[61, 1] + flat[291, 1]) / 2) / max(width, 1e-6))
