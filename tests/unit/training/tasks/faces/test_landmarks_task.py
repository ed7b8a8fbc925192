"""Which photos MeshNet's training draws."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reliableswap.errors import ReliableSwapError
from reliableswap.geometry.measures import eye_openings
from reliableswap.training.tasks.faces.labels import Labels, label_photos
from reliableswap.training.tasks.faces.landmarks import LandmarkCrops, LandmarksSettings

UPPER, LOWER = [159, 386], [145, 374]


@pytest.fixture
def labels(photos: Path) -> Labels:
    """All eyes are wide open, but those of one person to train on."""
    found = label_photos(photos, photos, photos / "labels", workers=1)
    meshes, mirrored = found.meshes.copy(), found.mirrored.copy()
    shut = found.rows(training=True)[3]
    for mesh in (meshes, mirrored):
        mesh[:, UPPER] = mesh[:, LOWER] - np.float32([0, 20, 0])
        mesh[shut, UPPER] = mesh[shut, LOWER]
    return replace(found, meshes=meshes, mirrored=mirrored)


def crops(photos: Path, labels: Labels, share: float) -> LandmarkCrops:
    settings = LandmarksSettings(
        faces=photos, teachers=photos, output_dir=photos, shut_eyes=share, profiles=0
    )
    return LandmarkCrops(settings, labels, size=64, scale=1.0, training=True)


def openings(samples: LandmarkCrops) -> list[float]:
    return [float(eye_openings(samples[i]["mesh"].numpy()).max()) for i in range(20)]


def test_shut_eyes_are_drawn_as_often_as_asked(photos: Path, labels: Labels) -> None:
    assert max(openings(crops(photos, labels, 1.0))) < 0.1
    usual = openings(crops(photos, labels, 0.0))
    assert sum(opening < 0.1 for opening in usual) < 8


def test_photos_without_shut_eyes_are_an_error_if_they_are_asked_for(photos: Path, labels: Labels) -> None:
    for mesh in (labels.meshes, labels.mirrored):
        mesh[:, UPPER] = mesh[:, LOWER] - np.float32([0, 20, 0])
    with pytest.raises(ReliableSwapError, match="leave out --shut_eyes"):
        crops(photos, labels, 0.5)
