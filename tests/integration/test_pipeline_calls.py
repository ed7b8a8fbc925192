"""The pipeline's call as users of diffusers expect it: lists, tensors, output types, callbacks, prepared people."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.people import portrait

from reliableswap import ReliableSwapPipeline
from reliableswap.errors import NoFaceError, ReliableSwapError
from reliableswap.swap.job import FaceJob
from reliableswap.swap.steps.reshape import reshape


@pytest.fixture(scope="module")
def couple() -> np.ndarray:
    """Two portraits side by side; the face on the right is the larger one."""
    canvas = np.full((260, 520, 3), 128, np.uint8)
    for number, side, x in ((3, 256, 0), (4, 200, 280)):
        image = portrait(number, side)
        canvas[: image.shape[0], x : x + image.shape[1]] = image
    return canvas


@pytest.mark.slow
def test_lists_give_the_results_of_single_calls_in_their_order(
    pipe: ReliableSwapPipeline, tmp_path: Path
) -> None:
    targets = [portrait(2, 200), portrait(3, 260)]
    both = pipe(portrait(1, 200), targets)
    for index, target in enumerate(targets):
        alone = pipe(portrait(1, 200), target)
        assert np.array_equal(np.asarray(both.images[index]), np.asarray(alone.images[0]))
        assert both.reports[index].swapped == [0]
    assert both.save(tmp_path / "second.png", index=1).is_file()
    with pytest.raises(ReliableSwapError, match="there are 2 results; say which"):
        both.save(tmp_path / "one.png")


@pytest.mark.slow
def test_output_types_hold_the_same_picture(pipe: ReliableSwapPipeline) -> None:
    source, target = portrait(1, 200), portrait(2, 200)
    wanted = np.asarray(pipe(source, target).images[0])
    arrays = pipe(source, target, output_type="np").images
    tensors = pipe(source, torch.from_numpy(target.copy()).permute(2, 0, 1), output_type="pt").images
    assert arrays.shape == (1, *target.shape)
    assert tensors.shape == (1, 3, *target.shape[:2])
    assert np.array_equal(np.rint(arrays[0] * 255).astype(np.uint8), wanted)
    assert np.array_equal((tensors[0].permute(1, 2, 0) * 255).round().byte().numpy(), wanted)
    with pytest.raises(ReliableSwapError, match="unknown output_type 'jpg'"):
        pipe(source, target, output_type="jpg")


def test_results_of_different_sizes_come_as_a_list(pipe: ReliableSwapPipeline) -> None:
    images = pipe(portrait(1, 200), [portrait(2, 200), portrait(3, 160)], output_type="pt").images
    assert [max(one.shape) for one in images] == [200, 160]


def test_without_return_dict_a_tuple_comes_back(pipe: ReliableSwapPipeline) -> None:
    images, reports = pipe(portrait(1, 200), portrait(2, 200), return_dict=False)
    assert len(images) == len(reports) == 1


def test_the_callback_counts_faces(pipe: ReliableSwapPipeline, couple: np.ndarray) -> None:
    calls: list[tuple[int, int]] = []
    pipe(portrait(1, 200), couple, faces="all", callback=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 2), (2, 2)]


def test_all_goes_on_when_one_face_fails_and_says_why(
    pipe: ReliableSwapPipeline, couple: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails_on_the_right(job: FaceJob) -> FaceJob:
        if job.target.corner[0] > 200:
            raise NoFaceError("this face can't be swapped")
        return reshape(job)

    monkeypatch.setattr("reliableswap.pipelines.swapping.steps_of", lambda *_: (fails_on_the_right,))
    report = pipe(portrait(1, 200), couple, faces="all").report
    assert report.swapped == [1]
    assert report.faces[0].error == "this face can't be swapped"
    with pytest.raises(NoFaceError, match="can't be swapped"):
        pipe(portrait(1, 200), couple, faces=[0])


@pytest.mark.slow
def test_a_prepared_person_swaps_like_its_photo_and_is_not_analysed_again(
    pipe: ReliableSwapPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo, target = portrait(1, 260), portrait(2, 200)
    person = pipe.prepare(photo)
    first = pipe(person, target)
    assert np.array_equal(np.asarray(first.images[0]), np.asarray(pipe(photo, target).images[0]))
    looked_at: list[tuple[int, ...]] = []
    analyser = pipe.analyser

    class Watched:
        name = "watched"

        def __call__(self, image: np.ndarray) -> list:
            looked_at.append(image.shape)
            return analyser(image)

    monkeypatch.setattr(pipe, "analyser", Watched())
    again = pipe(person, target)
    assert looked_at == [target.shape]
    assert np.array_equal(np.asarray(first.images[0]), np.asarray(again.images[0]))


def test_several_photos_are_averaged(pipe: ReliableSwapPipeline) -> None:
    photos = [portrait(1, 260), portrait(1, 260, "amateur_selfie")]
    person, *single = (pipe.prepare(given) for given in (photos, *photos))
    assert float(np.linalg.norm(person.v_id)) == pytest.approx(1, abs=1e-3)
    apart = float((single[0].v_id * single[1].v_id).sum())
    assert all(float((person.v_id * one.v_id).sum()) > apart for one in single)
    assert pipe(person, portrait(2, 200)).report.swapped == [0]
    with pytest.raises(ReliableSwapError, match="at least one photo"):
        pipe.prepare([])


def test_the_photo_nearest_in_pose_lends_its_texture(pipe: ReliableSwapPipeline) -> None:
    subject = pipe.prepare(portrait(1, 260)).subjects[0]
    turn = np.array([[0.8, 0, -0.6], [0, 1, 0], [0.6, 0, 0.8]], np.float32)
    turned = replace(subject, face=replace(subject.face, mesh=subject.mesh @ turn))
    person = replace(pipe.prepare(portrait(1, 260)), subjects=(subject, turned))
    assert person.nearest_in_pose(subject.mesh) is subject
    assert person.nearest_in_pose(turned.mesh) is turned
