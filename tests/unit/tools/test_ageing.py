"""The fit of the directions of age finds the planted changes, whatever else varies."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.people import portrait
from support.tool_faces import MEAN, posed

from reliableswap.data.photos import Photo
from reliableswap.errors import ReliableSwapError
from reliableswap.faces.ageing import COARSE, GRID
from tools.ageing import AgedFace, AgeingSettings, agreement, fit, labels_of, main, run

SIZE = 120


def people(rng: np.random.Generator, count: int) -> list[AgedFace]:
    """Faces of all ages; men are older."""
    meshes = posed(np.repeat(MEAN[None], count, 0), rng)
    found = []
    for n, mesh in enumerate(meshes):
        sex = int(rng.integers(2))
        years = int(rng.integers(20, 60)) + 20 * (1 - sex)
        flat = mesh.astype(np.float32)
        photo = Photo(f"{years}_{sex}_0_{n}.jpg", str(n), Path("none"))
        found.append(AgedFace(photo, _fitted(flat), years, sex, int(rng.integers(4))))
    return found


def _fitted(mesh: np.ndarray) -> np.ndarray:
    """The mesh moved into a picture of SIZE pixels."""
    low, high = mesh[:, :2].min(0), mesh[:, :2].max(0)
    scale = 0.8 * SIZE / (high - low).max()
    return ((mesh - (*low, 0)) * scale + (0.1 * SIZE, 0.1 * SIZE, 0)).astype(np.float32)


def test_a_stain_that_grows_with_age_is_found_and_one_that_men_have_is_not(rng: np.random.Generator) -> None:
    faces = people(rng, 150)

    def drawn(face: AgedFace) -> np.ndarray:
        """A grey face whose nose gets darker with age, and whose chin is dark in men."""
        y, x = np.mgrid[:SIZE, :SIZE]
        picture = np.full((SIZE, SIZE), 150.0)
        for point, amount in ((1, 0.8 * (face.years - 45)), (152, 30.0 * (face.sex == 0))):
            px, py = face.mesh[point, :2]
            picture -= amount * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * 8.0**2))
        return np.repeat(np.clip(picture, 0, 255).astype(np.uint8)[..., None], 3, 2)

    found = fit(faces, drawn)
    light = found.tone[..., 0]
    darkest = np.unravel_index(light.argmin(), light.shape)
    assert abs(darkest[1] - (GRID[1] - 1) / 2) < 8
    assert 60 < darkest[0] < 110  # the nose's height on the maps
    chin = np.abs(light[140:160, 70:90]).max()
    assert chin < 0.3 * abs(light.min())
    assert np.abs(found.tone[..., 1:]).max() < 0.05 * abs(light.min())
    assert np.array_equal(found.tone, found.tone[:, ::-1])
    assert found.gain.shape == (GRID[0] // COARSE, GRID[1] // COARSE, 3)
    assert np.linalg.norm(found.shape, axis=1).max() < 1e-3  # all have the mean face


def test_names_say_age_sex_and_group() -> None:
    assert labels_of("adults/31_1_2_20170104.jpg") == (31, 1, 2)
    assert labels_of("31_1_20170104.jpg.chip.jpg") is None
    assert labels_of("alice.jpg") is None
    assert agreement(np.ones(4), -np.ones(4)) == pytest.approx(-1)


def test_children_are_not_fitted_to_and_few_photos_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ReliableSwapError, match="give 18 or more"):
        run(dataclasses.replace(AgeingSettings(), youngest=12))
    for name in ("31_1_0_a.png", "12_0_0_b.png", "alice.png"):
        Image.fromarray(portrait(1, 160)).save(tmp_path / name)
    command = ["--faces", str(tmp_path), "--output", str(tmp_path / "ageing.json")]
    assert main([*command, "--meshes", str(tmp_path / "meshes.npz")]) == 2
    assert "only 1 photos in" in capsys.readouterr().err  # of an adult whose age is known
    assert np.load(tmp_path / "meshes.npz")["meshes"].shape == (2, 468, 3)
    assert not (tmp_path / "ageing.json").exists()
