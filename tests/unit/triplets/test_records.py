"""The record of one photo."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.triplet_people import aligned, photo

from reliableswap.data.photos import Photo
from reliableswap.data.records import Record
from reliableswap.faces.face import Face
from reliableswap.faces.glasses import bundled_glasses
from reliableswap.faces.visibility import find_covers, source_and_target_covers
from reliableswap.triplets.records import FaceKind


class Scaled:
    """An analyser that knows the mesh of a photo at any size, and notes the widths that it was given."""

    name = "scaled"

    def __init__(self, mesh: np.ndarray, width: int, score: float) -> None:
        self.mesh, self.width, self.score = mesh, width, score
        self.widths: list[int] = []

    def __call__(self, image: np.ndarray) -> list[Face]:
        self.widths.append(image.shape[1])
        return [Face.from_mesh(self.mesh, self.score).scaled(image.shape[1] / self.width)]


def record(folder: Path, margin: int, score: float, ending: str = "jpg") -> tuple[Record, list[int]]:
    """The record of a photo at least 1280 px wide, with grey margins, and the widths that the analyser was given."""
    image, mesh = photo(1, width=640.0)
    image = cv2.copyMakeBorder(image, 0, 0, margin, margin, cv2.BORDER_CONSTANT, value=(90, 90, 90))
    mesh = mesh + np.array([margin, 0, 0], np.float32)
    path = folder / f"photo.{ending}"
    cv2.imwrite(str(path), np.ascontiguousarray(image[..., ::-1]))
    analyser = Scaled(mesh, image.shape[1], score)
    kind = FaceKind("test", 128, 16, lambda: analyser, None)
    return kind(Photo(path.name, "somebody", path)), analyser.widths


def test_a_large_jpeg_is_analysed_at_reduced_size_with_about_the_same_record(tmp_path: Path) -> None:
    reduced, widths = record(tmp_path, 0, 0.95)
    whole, (width,) = record(tmp_path, 0, 0.95, "png")
    assert len(widths) == 1
    assert widths[0] == pytest.approx(width / 2, abs=1)
    assert reduced.entry is not None
    assert whole.entry is not None
    assert np.abs(reduced.entry["mesh"] - whole.entry["mesh"]).max() < 0.5
    assert np.abs(reduced.entry["crop"].astype(int) - whole.entry["crop"]).mean() < 2
    assert reduced.columns["enlargement"] == pytest.approx(whole.columns["enlargement"], rel=0.01)
    for name, most in {"sharpness": 0.03, "yaw": 0.5, "pitch": 0.5, "clipped": 0.01, "covered": 0.02}.items():
        assert abs(reduced.columns[name] - whole.columns[name]) < most, name


@pytest.mark.parametrize(("margin", "score"), [(0, 0.8), (3000, 0.95)])
def test_a_doubtful_or_small_face_is_analysed_at_full_size(tmp_path: Path, margin: int, score: float) -> None:
    _, (reduced, whole) = record(tmp_path, margin, score)
    assert whole >= 2 * reduced - 7


@pytest.mark.parametrize("change", ["nothing", "fringe", "dark", "mouth"])
def test_covers_as_source_and_target_are_those_found_one_by_one(change: str) -> None:
    face = aligned(2)
    crop, changes = face.crop.copy(), {"fringe": (0, face.mesh[9, 1]), "mouth": (face.mesh[2, 1], 128)}
    if change == "dark":
        crop[:] = 0
    elif change in changes:
        top, bottom = (int(row) for row in changes[change])
        crop[top:bottom] = (30, 20, 15)
    one: Callable = partial(find_covers, crop, face.mesh, bundled_glasses())
    for found, expected in zip(
        source_and_target_covers(crop, face.mesh, bundled_glasses()), (one(strict=True), one()), strict=True
    ):
        np.testing.assert_array_equal(found.maps, expected.maps)
        assert np.array_equal(found.shift, expected.shift)
