"""The benchmark of rendered heads: swaps whose correct result is known."""

from __future__ import annotations

import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from benchmarks.synthetic_heads.model import HeadModel
from benchmarks.synthetic_heads.render import render
from benchmarks.synthetic_heads.scene import EXPRESSIONS, Person, Scene
from benchmarks.synthetic_heads.shading import light_of, shade
from benchmarks.synthetic_heads.truth_set import make_set
from reliableswap.errors import ReliableSwapError
from reliableswap.evaluation.protocols.pairs import make_pairs
from reliableswap.evaluation.protocols.shots import Shot


@pytest.fixture
def normals(rng: np.random.Generator) -> np.ndarray:
    directions = rng.normal(size=(200, 3))
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


def test_ambient_light_is_the_same_from_everywhere(normals: np.ndarray) -> None:
    light = light_of(np.ones((0, 3)), np.zeros((0, 3)), np.array([0.2, 0.4, 0.6]))
    assert shade(normals, light) == pytest.approx(np.tile([0.2, 0.4, 0.6], (200, 1)), abs=1e-5)


def test_light_from_one_side_follows_the_cosine_law(normals: np.ndarray) -> None:
    light = light_of(np.array([[0, 0, 1.0]]), np.ones((1, 3)), np.zeros(3))
    # Spherical harmonics of degree 2 approximate the cosine to within 0.1.
    assert shade(normals, light)[:, 0] == pytest.approx(np.clip(normals[:, 2], 0, None), abs=0.1)


@lru_cache(maxsize=1)
def dome() -> HeadModel:
    """A minimal head to render: a smooth dome with the openings of the model's eyes and mouth."""
    x, y = np.meshgrid(np.linspace(-9, 9, 73), np.linspace(-16, 12, 113))
    z = 11 * np.sqrt(np.clip(1 - (x / 10) ** 2 - ((y + 2) / 17) ** 2, 0, 1)) - 1.5
    points = np.stack([x, y, z], -1).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(112), np.arange(72), indexing="ij")
    a = (i * 73 + j).ravel()
    triangles = np.concatenate([np.stack([a, a + 1, a + 74], 1), np.stack([a, a + 74, a + 73], 1)])
    middle = points[triangles].mean(1)
    eye = ((np.abs(middle[:, 0]) - 3.25) / 1.2) ** 2 + ((middle[:, 1] - 3.55) / 0.7) ** 2 < 1
    lips = (middle[:, 0] / 2.3) ** 2 + ((middle[:, 1] + 3.4) / 0.5) ** 2 < 1
    rng = np.random.default_rng(5)
    identity = np.zeros((100, len(points), 3), np.float32)
    identity[:, :, 2] = rng.normal(0, 0.1, (100, 1)) * np.cos(points[:, 0] / 3)
    names = sorted({name for e in EXPRESSIONS for name in e})
    expression = np.zeros((len(names), len(points), 3), np.float32)
    return HeadModel(points, identity, expression, names, triangles[~(eye | lips)])


@pytest.fixture(scope="module")
def truth_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_set(dome(), tmp_path_factory.mktemp("heads") / "set", pairs=1, people=2, seed=4, size=96)


def test_equal_seeds_give_equal_pictures(truth_set: Path, tmp_path: Path) -> None:
    make_set(dome(), tmp_path / "again", pairs=1, people=2, seed=4, size=96)
    files = sorted(p.relative_to(truth_set.parent) for p in truth_set.parent.rglob("*.png"))
    assert len(files) == 4
    assert all((truth_set.parent / f).read_bytes() == (tmp_path / "again" / f).read_bytes() for f in files)


def test_the_truth_is_another_person_in_the_targets_scene(truth_set: Path) -> None:
    for pair in make_pairs("pairs", truth_set):
        assert pair.truth is not None
        target, truth = pair.target.read(), Shot(pair.truth, "").read()
        assert np.array_equal(target[:8, :8], truth[:8, :8])  # the background is the scene's
        assert np.abs(target[30:68, 30:68].astype(int) - truth[30:68, 30:68]).mean() > 1


def test_the_reference_is_another_picture_of_the_source(truth_set: Path) -> None:
    for pair in make_pairs("pairs", truth_set):
        assert pair.reference is not None
        assert pair.reference.person == pair.source.person
        assert not np.array_equal(pair.source.read(), pair.reference.read())


def test_a_set_needs_a_new_folder_and_two_people(truth_set: Path, tmp_path: Path) -> None:
    with pytest.raises(ReliableSwapError, match="is not empty"):
        make_set(dome(), truth_set.parent)
    with pytest.raises(ReliableSwapError, match="make at least 2"):
        make_set(dome(), tmp_path / "new", people=1)


def test_the_same_person_in_the_same_scene_is_the_same_picture() -> None:
    rng = np.random.default_rng(0)
    person, scene = Person.random(rng), Scene.random(rng)
    image = render(dome(), person, scene, 96)
    assert np.array_equal(image, render(dome(), person, scene, 96))
    assert image.std() > 10


def test_a_missing_or_incomplete_head_model_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ReliableSwapError, match="no head model at"):
        HeadModel.load(tmp_path / "none.npz")
    np.savez(tmp_path / "bad.npz", neutral=np.zeros((4, 3)))
    with pytest.raises(ReliableSwapError, match="lacks expression"):
        HeadModel.load(tmp_path / "bad.npz")


def test_a_model_without_holes_is_reported() -> None:
    closed = HeadModel(dome().neutral, dome().identity, dome().expression, [], dome().triangles[:100])
    with pytest.raises(ReliableSwapError, match="no holes for eyes and lips"):
        closed.rims()


def test_the_command_reports_a_missing_model(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "benchmarks.synthetic_heads",
        str(tmp_path / "no.npz"),
        "-o",
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[3], check=False)
    assert done.returncode == 2
    assert "no head model at" in done.stderr
