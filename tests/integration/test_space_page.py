"""The page without a browser: what it offers, and what its events do."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import gradio as gr
import numpy as np
import pytest
import torch
from support.space_page import as_file

from reliableswap import ReliableSwapPipeline
from reliableswap.errors import ReliableSwapError
from reliableswap.media import Picture, read_picture
from reliableswap.space import consent, files, limits
from reliableswap.space.app.choosing import LEAVE_ALONE
from reliableswap.space.app.making import figure_rows
from reliableswap.space.app.photo import show_faces
from reliableswap.space.work import Worker


def test_the_boxes_on_the_page_are_not_ticked(page: gr.Blocks) -> None:
    boxes = [block for block in page.blocks.values() if isinstance(block, gr.Checkbox) and block.visible]
    assert len(boxes) == 4
    assert all(box.value is False and box.label == consent.STATEMENT for box in boxes)


@pytest.fixture(scope="module")
def worker(pipe: ReliableSwapPipeline) -> Worker:
    return Worker(pipe)


def figure_pictures(worker: Worker) -> list[str]:
    return [panel.picture for row in figure_rows(worker).values() for panel in row]


def test_the_page_runs_on_the_quickest_runtime_that_is_installed() -> None:
    quickest = "openvino" if find_spec("openvino") else "cpu"
    assert Worker().pipe.place == ("cuda:0" if torch.cuda.is_available() else quickest)


def test_neural_is_offered_with_a_generator(worker: Worker) -> None:
    assert worker.engines == ["auto", "blend", "neural"]
    assert figure_pictures(worker)[-5:] == ["a", "network", "ab", "source", "a"]


def test_neural_is_not_offered_without_a_generator(pipe: ReliableSwapPipeline, pictures: list[str]) -> None:
    bare = Worker(ReliableSwapPipeline(pipe.detector, pipe.landmarks))
    assert bare.engines == ["auto", "blend"]
    assert "network" not in figure_pictures(bare)
    with pytest.raises(ReliableSwapError, match="needs a generator"):
        bare.swap({0: read_picture(pictures[0])}, read_picture(pictures[1]), {0: 0}, "neural", {})


@pytest.mark.slow
def test_the_figure_has_the_networks_answer(worker: Worker, pictures: list[str]) -> None:
    triplet = worker.triplet(*(read_picture(picture) for picture in pictures[:2]))
    assert triplet.network is not None
    assert triplet.network.shape == triplet.a.shape
    assert not np.array_equal(triplet.network, triplet.ab)


@pytest.mark.slow
def test_the_figure_has_a_source_surrogate_of_the_first_person(worker: Worker, pictures: list[str]) -> None:
    photos = [read_picture(picture) for picture in pictures[:2]]
    triplet = worker.triplet(*photos)
    assert triplet.source.shape == triplet.a.shape
    assert np.abs(triplet.source.astype(int) - triplet.a).mean() > 5
    assert np.array_equal(triplet.source, worker.triplet(*photos).source)
    person, other = (worker.pipe.prepare(one).v_id for one in (triplet.a, triplet.b))
    shown = worker.pipe.prepare(triplet.source).v_id
    assert float((shown * person).sum()) > float((shown * other).sum()) + 0.3


def cards(worker: Worker, photo: Picture) -> tuple[str, list[gr.Column], list[Any], list[gr.Dropdown]]:
    """What the page shows for a target photo when there are two sources."""
    target = as_file(files.publish(photo, "target.png", None))
    gallery = [{"image": {"path": "x"}}, {"image": {"path": "y"}}]
    message, *rest = show_faces(worker, target, gallery)
    columns, crops, choices = (rest[i * limits.MAX_FACES : (i + 1) * limits.MAX_FACES] for i in range(3))
    return message, columns, crops, choices


def test_each_face_gets_a_card(worker: Worker, couple: str) -> None:
    message, columns, crops, choices = cards(worker, read_picture(couple))
    assert message == "2 faces found, the largest first."
    assert [column.visible for column in columns] == [True, True] + [False] * (limits.MAX_FACES - 2)
    assert crops[0].shape == crops[1].shape
    assert [choice.value for choice in choices][:3] == [0, 1, LEAVE_ALONE]


@pytest.mark.filterwarnings("ignore:no face found")
def test_a_photo_without_a_face_has_no_cards(worker: Worker) -> None:
    message, columns, _, _ = cards(worker, Picture(np.full((99, 99, 3), 128, np.uint8)))
    assert message.startswith("no face found in me.png")
    assert not any(column.visible for column in columns)
