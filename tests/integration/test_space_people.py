"""The page with trained people, whose tiny decoders output noise."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from support.clips import Made
from support.face_clips import Actor, scene, walking
from support.person_runs import tiny_people
from support.space_page import as_file, close, connect, served

from reliableswap import ReliableSwapPipeline
from reliableswap.media import read_picture
from reliableswap.provenance import read_mark
from reliableswap.space import build, consent, files
from reliableswap.space.app.choosing import LEAVE_ALONE, PHOTOS, show_person
from reliableswap.space.app.photo import load_example
from reliableswap.space.clips import ClipPart, clip_facts, last_step, swap_people
from reliableswap.space.handlers import swap_faces
from reliableswap.space.people import PEOPLE, Trained
from reliableswap.space.work import Worker

STRENGTHS = (1.0, 0.5, 1.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def worker(pipe: ReliableSwapPipeline, tmp_path_factory: pytest.TempPathFactory) -> Worker:
    """A worker with a pipeline of its own, and with the people that the environment names."""
    folder = tmp_path_factory.mktemp("people")
    tiny_people(pipe).save_pretrained(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(PEOPLE, str(folder))
        return Worker(ReliableSwapPipeline.bundled())


@pytest.fixture(scope="module")
def with_people(worker: Worker) -> Iterator[gr.Blocks]:
    page = served(build(worker.pipe))
    yield page
    close(page)


@pytest.fixture(scope="module")
def caller(with_people: gr.Blocks) -> Client:
    return connect(with_people)


def person_choices(page: gr.Blocks) -> list[gr.Dropdown]:
    return [
        one
        for one in page.blocks.values()
        if isinstance(one, gr.Dropdown) and one.elem_id in ("person", "clip-person")
    ]


def parameters(client: Client, endpoint: str) -> dict[str, bool]:
    """The endpoint's parameters, and whether each may be left out."""
    facts: Any = client.view_api(return_format="dict", print_info=False)
    told = facts["named_endpoints"][endpoint]["parameters"]
    return {one["parameter_name"]: one["parameter_has_default"] for one in told}


def test_both_tabs_offer_the_people(worker: Worker, with_people: gr.Blocks, caller: Client) -> None:
    assert worker.trained == ["alice", "bob"]
    assert [one.value for one in person_choices(with_people)] == [PHOTOS, PHOTOS]
    assert [name for name, _ in person_choices(with_people)[0].choices] == ["Photos", "alice", "bob"]
    for endpoint in ("/swap", "/video"):
        told = parameters(caller, endpoint)
        assert told["person"]
        assert told["source"]
        assert not told["agreed"]


def test_without_people_nothing_is_offered(page: gr.Blocks, client: Client) -> None:
    assert not person_choices(page)
    for endpoint in ("/swap", "/video"):
        told = parameters(client, endpoint)
        assert "person" not in told
        assert not told["source"]


def test_the_page_follows_the_choice(worker: Worker) -> None:
    portrait, sources, engine, face, other = show_person(worker, "alice", None, LEAVE_ALONE, LEAVE_ALONE)
    assert (portrait.visible, sources.visible, engine.visible) == (True, False, False)
    assert worker.portrait("alice").shape == (128, 128, 3)
    assert (engine.value, face.value, other.value) == ("auto", 0, LEAVE_ALONE)
    portrait, sources, engine, face, _ = show_person(worker, PHOTOS, None, 0, LEAVE_ALONE)
    assert (portrait.visible, sources.visible, engine.visible) == (False, True, True)
    assert face.value == LEAVE_ALONE
    with pytest.raises(gr.Error, match="no decoder for 'carol'"):
        show_person(worker, "carol", None)


def test_loading_an_example_keeps_the_chosen_person(worker: Worker) -> None:
    event: Any = SimpleNamespace(index=0)
    _, _, face, other, *_ = load_example("alice", event)
    assert face.choices == other.choices == [("Leave alone", LEAVE_ALONE), ("alice", 0)]
    assert (face.value, other.value) == (0, LEAVE_ALONE)


@pytest.mark.slow
def test_a_face_is_swapped_by_name(caller: Client, pictures: list[str]) -> None:
    path, report = caller.predict(
        target=handle_file(pictures[1]), agreed=True, person="alice", api_name="/swap"
    )
    assert report["engine"] == "person"
    assert report["faces"][0]["source"] == "alice"
    mark = read_mark(path)
    assert mark is not None
    assert mark.details["engine"] == "person"
    assert mark.details["consent"] == consent.STATEMENT


def test_invalid_calls_are_reported(caller: Client, pictures: list[str]) -> None:
    photo = handle_file(pictures[1])
    for options, said in (
        ({"person": "carol"}, "no decoder for 'carol'; available: alice, bob"),
        ({"person": "alice", "agreed": False}, "confirm that the people shown agreed"),
        ({"person": "alice", "source": photo}, "a source and person='alice' were both given"),
        ({"person": "alice", "faces": "0=1"}, "mapped to source 1, which was not given"),
        ({}, "there is no source"),
    ):
        with pytest.raises(AppError, match=said):
            caller.predict(**{"target": photo, "agreed": True, **options}, api_name="/swap")


@pytest.mark.slow
def test_photos_stay_sources(worker: Worker, pictures: list[str]) -> None:
    source, target = (as_file(files.publish(read_picture(one), "me.png", None)) for one in pictures[:2])
    _, done = swap_faces(worker, {0: source}, target, True, None, "auto", *STRENGTHS)
    assert done.report.engine == "neural"


@pytest.mark.slow
def test_a_clip_is_swapped_by_name(worker: Worker) -> None:
    made = Made(scene([Actor(2, walking(120, 140, 6))], 6))
    place = files.shared_storage().folder / "trained"
    place.mkdir()
    part = ClipPart.of(as_file(str(made.write(place / "clip.mp4"))))
    steps = swap_people(worker, {0: Trained("bob")}, part, True, {1: 0}, "auto", STRENGTHS, 85, Event())
    facts = clip_facts(last_step(steps))
    assert facts["engine"] == "person"
    assert facts["people"][0]["source"] == "bob"
    assert facts["frames_swapped"] == 6
    assert Path(place / "clip.mp4").is_file()
