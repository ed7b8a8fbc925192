"""Smoothing: without jitter where the truth is still, without lag where it moves."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from benchmarks.track_smoothing import METHODS, figures, truth_of, with_jitter
from reliableswap.faces.track import TrackSettings
from reliableswap.faces.track.packed import PackedMeshes
from reliableswap.faces.track.paths import paths
from reliableswap.faces.track.smooth import smoothed, wobble
from reliableswap.faces.track.tracklet import Tracklet


@pytest.fixture(scope="module", autouse=True)
def _short() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmarks.track_smoothing.SECONDS", 6.0)
        yield


def test_jitter_shrinks_and_blinks_lips_and_shakes_stay() -> None:
    raw, ours = figures(METHODS["as seen"]), figures(METHODS["by part (ours)"])
    assert ours["still"] < 0.5 * raw["still"]
    assert ours["all"] < 0.75 * raw["all"]
    assert ours["shake"] < 1.3 * raw["shake"]
    assert 95 < ours["blink"] < 105
    assert 95 < ours["lips"] < 105


def test_the_figures_reveal_lag_and_lost_blinks() -> None:
    lagging = figures(METHODS["one-euro"])
    assert lagging["shake"] > 5
    assert lagging["blink"] < 80


def test_a_smooth_motion_is_left_as_it_is() -> None:
    truth = truth_of("sway")
    assert np.abs(smoothed(truth, 25.0) - truth).max() < 0.5


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
def test_few_frames(count: int) -> None:
    meshes = with_jitter(truth_of("still"))[:count].astype(np.float32)
    made = smoothed(meshes, 25.0)
    assert made.shape == meshes.shape
    assert np.abs(made - meshes).max() < 4


def test_wobble_measures_changes_of_shape_only() -> None:
    assert wobble(truth_of("shake")) < 1e-3
    assert 0.001 < wobble(with_jitter(truth_of("still"))) < 0.01


def test_long_tracks_are_smoothed_in_pieces_that_fit_together(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = with_jitter(truth_of("sway")).astype(np.float32)
    tracklet = Tracklet(0, 1)
    missing = {40, 60, 61, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109}
    for frame, mesh in enumerate(seen):
        if frame not in missing:
            tracklet.add(frame, mesh, 0.9)

    def frames() -> dict[int, np.ndarray]:
        shot = (0, len(seen))
        return {
            path.first + i: mesh
            for path in paths([tracklet], shot, TrackSettings())
            for i, mesh in enumerate(path.meshes)
        }

    whole = frames()
    assert sorted(whole) == [i for i in range(len(seen)) if not 100 <= i < 110]
    monkeypatch.setattr("reliableswap.faces.track.paths._PIECE", 50)
    pieces = frames()
    assert sorted(pieces) == sorted(whole)
    assert max(np.abs(pieces[i] - whole[i]).max() for i in whole) < 0.4
    plain = next(paths([tracklet], (0, len(seen)), TrackSettings(smooth=False)))
    assert np.abs(plain.meshes[:20] - seen[:20]).max() < 0.02


def test_packed_meshes_are_exact_to_a_hundredth_of_a_pixel() -> None:
    packed, meshes = PackedMeshes(), truth_of("sway")[:5].astype(np.float32)
    for mesh in meshes:
        packed.append(mesh)
    assert np.abs(packed.stacked() - meshes).max() < 0.01
    assert np.array_equal(packed[3], packed.stacked()[3])
    assert np.array_equal(packed.ordered([4, 0])[0], packed[4])
    again = PackedMeshes.of_arrays(*packed.arrays().values())
    assert np.array_equal(again.stacked(), packed.stacked())
    assert PackedMeshes().stacked().shape == (0, 468, 3)
