"""The truth set: rendered heads, whose swap has one right answer."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from support.evaluation_people import examiner

from benchmarks.synthetic_heads import render, truth
from benchmarks.synthetic_heads.heads import HeadModel, Person
from benchmarks.synthetic_heads.truth import Scene, make_set, picture_of
from reliableswap.errors import ReliableSwapError
from reliableswap.evaluation import measure
from reliableswap.evaluation.methods import UnchangedTarget
from reliableswap.evaluation.protocols import pairs as protocols
from reliableswap.evaluation.protocols.shots import Pair, Shot

# The truth


def test_the_nearer_triangle_wins_and_areas_are_right() -> None:
    near = [(10, 10, 1.0), (10, 50, 1.0), (50, 10, 1.0)]
    far = [(0, 0, 2.0), (0, 60, 2.0), (60, 60, 2.0), (60, 0, 2.0)]
    points = np.array(near + far)
    triangles = np.array([[3, 4, 5], [0, 1, 2], [3, 5, 6]])
    seen = render.rasterise(points, triangles, (64, 64))
    assert (seen.triangle == 1).sum() == 41 * 42 / 2  # whole pixels, edges included
    assert seen.covered.sum() == 61 * 61
    assert seen.depth[15, 15] == pytest.approx(1.0)
    assert seen.depth[55, 55] == pytest.approx(2.0)
    turned_away = render.rasterise(points, triangles[:, ::-1], (64, 64))
    assert not turned_away.covered.any()


def test_values_are_linear_inside_triangles_and_chunks_change_nothing(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    points = np.column_stack([rng.uniform(0, 80, (60, 2)), rng.uniform(1, 2, 60)])
    triangles = rng.integers(0, 60, (90, 3))
    whole = render.rasterise(points, triangles, (80, 80))
    monkeypatch.setattr(render, "_CHUNK", 700)
    assert np.array_equal(render.rasterise(points, triangles, (80, 80)).triangle, whole.triangle)
    y, x = np.nonzero(whole.covered)
    assert whole.spread(points[:, :2], triangles) == pytest.approx(np.column_stack([x, y]), abs=1e-6)


def test_light_from_everywhere_and_from_one_side(rng: np.random.Generator) -> None:
    normal = rng.normal(size=(200, 3))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    ambient = render.light_of(np.zeros((0, 3)) + 1, np.zeros((0, 3)), np.array([0.2, 0.4, 0.6]))
    assert render.shade(normal, ambient) == pytest.approx(np.tile([0.2, 0.4, 0.6], (200, 1)), abs=1e-5)
    one = render.light_of(np.array([[0, 0, 1.0]]), np.ones((1, 3)), np.zeros(3))
    # The second degree comes within a tenth of the cosine law.
    assert render.shade(normal, one)[:, 0] == pytest.approx(np.clip(normal[:, 2], 0, None), abs=0.1)


@lru_cache(maxsize=1)
def dome() -> HeadModel:
    """A smooth mask with the model's holes: enough of a head to be drawn."""
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
    names = sorted({name for e in truth._EXPRESSIONS for name in e})
    expression = np.zeros((len(names), len(points), 3), np.float32)
    return HeadModel(points, identity, expression, names, triangles[~(eye | lips)])


def test_a_truth_set_follows_its_seed_and_shares_the_scene(tmp_path: Path) -> None:
    table = make_set(dome(), tmp_path / "one", pairs=2, people=3, seed=4)
    make_set(dome(), tmp_path / "two", pairs=2, people=3, seed=4)
    files = sorted(p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*.png"))
    assert len(files) == 8
    assert all((tmp_path / "one" / f).read_bytes() == (tmp_path / "two" / f).read_bytes() for f in files)
    for pair in protocols.make_pairs("pairs", table):
        assert pair.truth is not None
        assert pair.reference is not None
        target, right = pair.target.read(), Shot(pair.truth, "").read()
        assert np.array_equal(target[:20, :20], right[:20, :20])  # the background is the scene's
        middle = np.abs(target[80:180, 80:180].astype(int) - right[80:180, 80:180]).mean()
        assert middle > 1
        assert not np.array_equal(pair.source.read(), pair.reference.read())
    with pytest.raises(ReliableSwapError, match="is not empty"):
        make_set(dome(), tmp_path / "one")


def test_the_same_person_in_the_same_scene_is_the_same_picture() -> None:
    rng = np.random.default_rng(0)
    who, scene = Person.drawn(rng), Scene.drawn(rng)
    image = picture_of(dome(), who, scene, 96)
    assert np.array_equal(image, picture_of(dome(), who, scene, 96))
    assert image.std() > 10


def test_a_perfect_answer_is_perfect(portraits: Path) -> None:
    source, target = portraits / "P001/studio_portrait.png", portraits / "P002/studio_portrait.png"
    pair = Pair("x", Shot(source, "a"), Shot(target, "b"), truth=target)
    found = measure.evaluate([UnchangedTarget()], [pair], examiner())
    value = {k: e.value for k, e in found.methods[0].estimates.items()}
    assert (value["truth_psnr"], value["truth_ssim"], value["truth_cos"]) == pytest.approx((100, 1, 1))
    assert value["truth_mesh"] == pytest.approx(0, abs=1e-6)


def test_a_missing_head_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(ReliableSwapError, match="there is no head model"):
        HeadModel.load(tmp_path / "none.npz")
    np.savez(tmp_path / "bad.npz", neutral=np.zeros((4, 3)))
    with pytest.raises(ReliableSwapError, match="lacks expression"):
        HeadModel.load(tmp_path / "bad.npz")
