"""Following one face of a live picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.face_clips import Actor, background, scene, still, walking

from reliableswap.faces.analysers.bundled import bundled_network
from reliableswap.faces.track.live import LiveFollower
from reliableswap.runtime.arrays import as_array_network
from reliableswap.swap.networks import Networks


class Counted:
    """The detector, with its calls counted."""

    def __init__(self, network: Any) -> None:
        self.network, self.count = as_array_network(network), 0

    def above(self, *given: Any) -> Any:
        self.count += 1
        return self.network.above(*given)


@pytest.fixture(scope="module")
def networks() -> Networks:
    return Networks(
        detector=Counted(bundled_network("detector")),
        landmarks=as_array_network(bundled_network("landmarks")),
    )


def test_a_face_is_found_once_and_then_followed(networks: Networks) -> None:
    follower, before = LiveFollower(networks), networks.detector.count
    for number, frame in enumerate(scene([Actor(1, walking(90, 220, 25))], 25)):
        face = follower(frame, number / 15)
        assert face is not None
        middle = face.points5.mean(0)
        assert abs(middle[0] - (90 + 130 * number / 24)) < 12, "no frame lags behind"
    assert follower.track == 1
    assert networks.detector.count - before <= 2 * 2, "two passes of each of at most two searches"


def test_a_face_that_comes_back_later_is_another_one(networks: Networks) -> None:
    follower = LiveFollower(networks)
    (shown,) = scene([Actor(1, still(160))], 1)
    assert follower(shown, 0.0) is not None
    for step in range(1, 20):
        assert follower(background(0), step / 10) is None
    assert follower(shown, 2.5) is not None
    assert follower.track == 2


def test_a_face_that_is_hidden_for_a_moment_stays_itself(networks: Networks) -> None:
    follower = LiveFollower(networks)
    (shown,) = scene([Actor(1, still(160))], 1)
    tracks = []
    for step in range(12):
        follower(background(0) if step in (5, 6) else shown, step / 10)
        tracks.append(follower.track)
    assert tracks == [1] * 12


def test_somebody_else_in_another_place_is_another_track(networks: Networks) -> None:
    follower = LiveFollower(networks)
    (one,), (other,) = scene([Actor(1, still(70))], 1), scene([Actor(2, still(250))], 1)
    assert follower(one, 0.0) is not None
    found = [follower(other, 0.3 + step / 10) for step in range(4)]
    assert found[-1] is not None
    assert abs(found[-1].points5.mean(0)[0] - 250) < 15
    assert follower.track == 2


def test_a_face_that_stands_still_hardly_trembles(networks: Networks) -> None:
    rng, follower = np.random.default_rng(0), LiveFollower(networks)
    (shown,) = scene([Actor(1, still(160))], 1)
    meshes = []
    for step in range(10):
        noisy = np.clip(shown + rng.normal(0, 6, shown.shape), 0, 255).astype(np.uint8)
        face = follower(noisy, step / 10)
        assert face is not None
        meshes.append(face.mesh)
    steps = np.linalg.norm(np.diff(np.stack(meshes)[2:, :, :2], axis=0), axis=2).mean()
    assert steps < 0.25, "pixels"
