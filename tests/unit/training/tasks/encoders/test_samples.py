"""Samples of the encoders' trainings, and the teacher's vectors."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from reliableswap.data.crops import CROP, Crops, Shown
from reliableswap.data.encoders import EncoderChoice
from reliableswap.data.mapped import MappedRows
from reliableswap.faces.align import FIXER_WINDOW, IDENTITY_WINDOW
from reliableswap.training.tasks.encoders.identity import IdentitySettings
from reliableswap.training.tasks.encoders.samples import WHOLE, Pool, Samples, degraded_window
from reliableswap.training.tasks.encoders.settings import parse_triple
from reliableswap.training.tasks.encoders.teacher import teacher_features


@pytest.mark.slow
def test_the_teacher_is_asked_once(crops: Crops, teacher: Path, features: np.ndarray) -> None:
    assert np.allclose(np.linalg.norm(features[crops.found], axis=1), 1, atol=1e-5)
    assert not features[~crops.found].any()
    (kept,) = crops.folder.glob("teacher-*.npy")
    before = kept.stat().st_mtime_ns
    assert np.array_equal(teacher_features(crops, EncoderChoice(teacher), 1), features)
    assert kept.stat().st_mtime_ns == before


def test_samples_follow_from_seed_and_position(crops: Crops, features: np.ndarray) -> None:
    def samples(seed: int) -> Samples:
        pool = Pool(crops, crops.rows(True), features)
        return Samples([pool], [1.0], IDENTITY_WINDOW, IdentitySettings(seed=seed))

    one, same, other = samples(3), samples(3), samples(4)
    for i in (0, 7, 10**9):
        assert torch.equal(one[i]["image"], same[i]["image"])
        assert torch.equal(one[i]["features"], same[i]["features"])
    assert any(not torch.equal(one[i]["image"], other[i]["image"]) for i in range(4))
    assert one[0]["image"].shape == (112, 112, 3)
    drawn = {one[i]["features"].numpy().tobytes() for i in range(80)}
    assert drawn == {features[row].tobytes() for row in crops.rows(True)}  # all of them, and nobody held out


def test_a_person_counts_by_the_root_of_their_photos(tmp_path: Path) -> None:
    shown = [Shown("often", True, False)] * 16 + [Shown("once", True, False)]
    nothing = MappedRows([], np.zeros((17, 2), np.int64))
    pool = Pool(Crops(tmp_path, shown, np.ones(17, bool), nothing, ""), np.arange(17))
    rng = np.random.default_rng(0)
    often = np.mean([pool.draw(rng) < 16 for _ in range(2000)])
    assert often == pytest.approx(4 / 5, abs=0.03)


def test_a_clean_view_is_the_window_itself_and_others_are_not(rng: np.random.Generator) -> None:
    crop = cv2.GaussianBlur(rng.integers(0, 256, (CROP, CROP, 3), np.uint8), (0, 0), 3)
    assert np.array_equal(degraded_window(crop, FIXER_WINDOW, rng, 0.0), crop[FIXER_WINDOW])
    for window, shape in ((FIXER_WINDOW, (56, 56, 3)), (IDENTITY_WINDOW, (112, 112, 3)), (WHOLE, crop.shape)):
        view = degraded_window(crop, window, rng, 1.0)
        assert view.shape == shape
        assert not np.array_equal(view, crop[window])


def test_misaligned_views_stay_over_their_window() -> None:
    """A bright spot in the middle of the fixer's window stays near the middle of what is seen of it."""
    rows, columns = FIXER_WINDOW
    crop = np.zeros((CROP, CROP, 3), np.uint8)
    y, x = (rows.start + rows.stop - 1) / 2, (columns.start + columns.stop - 1) / 2
    cv2.circle(crop, (round(x), round(y)), 4, (255, 255, 255), -1)
    moved = []
    for seed in range(60):
        grey = degraded_window(crop, FIXER_WINDOW, np.random.default_rng(seed), 1.0).mean(2)
        bright = grey > (grey.min() + grey.max()) / 2
        moved.append(np.argwhere(bright).mean(0) - 27.5)
    assert np.abs(np.mean(moved, 0)).max() < 1.0
    assert 0.7 < np.std(moved, 0).mean() < 3.0


def test_three_numbers() -> None:
    assert parse_triple("0.485,0.456, 0.406", "mean") == (0.485, 0.456, 0.406)
