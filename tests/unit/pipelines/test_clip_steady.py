"""Steadying along the tracks of a clip, with the same result from whichever frame swapping starts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from support.face_clips import Actor, scene, walking
from support.people import portrait

from reliableswap import ReliableSwapPipeline
from reliableswap.faces.track import TrackedFace
from reliableswap.pipelines.clip_steady import ClipSteady, TargetVectors
from reliableswap.pipelines.clip_swap import FrameSwapper
from reliableswap.pipelines.people import person_of
from reliableswap.swap.job import FaceJob
from reliableswap.swap.networks import Networks
from reliableswap.swap.settings import SwapSettings
from reliableswap.swap.subject import Subject

RNG = np.random.default_rng(0)


def face_at(frame: int, track: int = 1) -> Any:
    return SimpleNamespace(frame=frame, track=track)


def test_decisions_of_steps_are_steadied_by_name_track_and_size() -> None:
    steady, noisy = ClipSteady(), 5 + RNG.standard_normal(60)
    made = [float(steady.of(face_at(i))("cover", np.array([value]))[0]) for i, value in enumerate(noisy)]
    assert np.std(made[10:]) < 0.85 * np.std(noisy[10:])
    assert steady.of(face_at(60))("expression", np.array([9.0])) == 9
    assert steady.of(face_at(60, track=2))("cover", np.array([9.0])) == 9
    assert steady.of(face_at(60))("cover", np.array([9.0, 9.0])).tolist() == [9, 9]


def test_a_single_picture_is_not_steadied() -> None:
    subject = Subject.of_crop(portrait(1, 64), np.zeros((468, 3), np.float32), Networks())
    job = FaceJob.start(subject, Any, SwapSettings(), Networks())  # type: ignore[arg-type]
    value = np.ones(3)
    assert job.steadied("a", value) is value


def test_a_target_has_one_identity_vector_in_all_frames() -> None:
    def looked(v_id: list[float], v_fix: list[float]) -> Any:
        return SimpleNamespace(v_id=np.array([v_id], np.float32), v_fix=np.array([v_fix], np.float32))

    vectors = TargetVectors()
    vectors.add(1, looked([2.0, 0.0], [1.0, 0.0]))
    vectors.add(1, looked([0.0, 2.0], [1.0, 0.0]))
    plain = Subject.of_crop(portrait(1, 64), np.zeros((468, 3), np.float32), Networks())
    covers: Any = object()
    subject = vectors.on(plain.with_results(covers=covers), 1)
    np.testing.assert_allclose(subject.v_id, np.full((1, 2), 2**0.5), rtol=1e-5)
    np.testing.assert_allclose(subject.v_fix, [[1.0, 0.0]], atol=1e-6)
    assert subject.covers is covers
    assert "covers" not in plain.__dict__
    assert vectors.on(plain, 2) is plain


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "people"), [("blend", 2), ("neural", 1)])
def test_frames_do_not_depend_on_the_first_frame_of_a_segment(
    pipe: ReliableSwapPipeline, engine: str, people: int
) -> None:
    networks, count = pipe.networks(), ClipSteady().run_up + 2
    actors = [Actor(4, walking(220, 190, count)), Actor(1, walking(90, 130, count))]
    frames = scene(actors[:people], count)
    faces = []
    for number, pixels in enumerate(frames):
        found = sorted(pipe.analyser(pixels), key=lambda face: float(face.box[0]))
        faces.append([TrackedFace(number, track, track, face) for track, face in enumerate(found, 1)])
    assert [len(one) for one in faces] == [people] * count
    with torch.inference_mode():
        sources = {
            number: person_of(portrait(other), networks, pipe.analyser) for number, other in ((1, 2), (2, 3))
        }

    def swapped(first: int) -> list[np.ndarray]:
        swapper = FrameSwapper("clip", sources, engine, SwapSettings(), networks, ClipSteady())
        return [swapper(frames[i], faces[i]).pixels for i in range(first, count)]

    whole, late = swapped(0), swapped(1)
    assert np.array_equal(late[-1], whole[-1])
    alone = swapped(count - 1)  # without a run-up
    assert not np.array_equal(alone[-1], whole[-1])
    unsteady = FrameSwapper("clip", sources, engine, SwapSettings(), networks)
    assert unsteady.run_up == 0
    frame, _, again = (unsteady(frames[i], faces[i]).pixels for i in (count - 1, 0, count - 1))
    assert np.array_equal(frame, again)
    assert not np.array_equal(frame, whole[-1])
