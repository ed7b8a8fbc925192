"""The classifiers of glasses and covered mouths."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from support.tool_faces import MEAN

from reliableswap.errors import ReliableSwapError
from reliableswap.faces import looks
from tools.look_classifiers import (
    LookPhoto,
    draw_cover,
    mirrored_features,
    read_attributes,
    symmetric_regression,
)


def test_mirrored_features_are_the_features_of_the_mirrored_patch(rng: np.random.Generator) -> None:
    patch = cv2.GaussianBlur(rng.uniform(0, 255, (32, 64)).astype(np.float32), (0, 0), 2).astype(np.uint8)
    mirrored = looks.features(np.ascontiguousarray(patch[:, ::-1]))
    np.testing.assert_allclose(mirrored_features(looks.features(patch)[None])[0], mirrored, atol=1e-4)


@pytest.mark.slow
def test_regression_finds_the_odds_and_is_symmetric(rng: np.random.Generator) -> None:
    samples = rng.normal(0, 1, (400, 896))
    samples[:, [800, 815]] *= 12  # two cells that are each other's mirror
    labels = samples[:, 800] + samples[:, 815] > 0
    found = symmetric_regression(samples[:300], labels[:300], 1.0)
    assert ((found(samples[300:]) > 0) == labels[300:]).mean() > 0.85
    np.testing.assert_allclose(found(mirrored_features(samples)), found(samples), atol=1e-9)
    strict = symmetric_regression(samples[:300], labels[:300], 1000.0)
    assert np.linalg.norm(strict.weights) < 0.5 * np.linalg.norm(found.weights)
    with pytest.raises(ReliableSwapError, match="same label"):
        symmetric_regression(samples[:300], np.ones(300, bool), 1.0)


def test_every_kind_of_cover_changes_a_mouth_and_stays_a_patch(rng: np.random.Generator) -> None:
    picture = cv2.resize(rng.integers(0, 255, (16, 16, 3), np.uint8), (128, 128))
    face = LookPhoto(picture, (MEAN * 40 + (64, 50, 0)).astype(np.float32), {}, False)
    mouth = looks.MOUTH.patch(picture, face.mesh, MEAN)
    assert mouth.shape == (32, 64, 3)
    for seed in range(12):
        cover = draw_cover(mouth, face, MEAN, np.random.default_rng(seed))
        assert cover.shape == mouth.shape
        assert cover.dtype == np.uint8
        assert np.abs(cover.astype(int) - mouth).mean() > 1
        assert np.array_equal(cover, draw_cover(mouth, face, MEAN, np.random.default_rng(seed)))


@pytest.mark.parametrize("text", ["[]", "{", '{"1": {"glasses": "NoGlasses"}}', '{"1": 3}'])
def test_an_invalid_attribute_file_is_a_one_line_error(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ReliableSwapError, match=r"occlusion\.mouthOccluded") as caught:
        read_attributes(tmp_path / "a.json")
    assert "\n" not in str(caught.value)
    with pytest.raises(ReliableSwapError, match="--attributes"):
        read_attributes(tmp_path / "none.json")
