"""Clips through the Space's API."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from support.clips import Made, stamps
from support.face_clips import Actor, scene, still, walking
from support.space_page import ask

from reliableswap.provenance.verify import verify


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Ten frames of two people."""
    frames = scene([Actor(1, still(90)), Actor(3, walking(220, 230, 10))], 10)
    return str(Made(frames, sound=True).write(tmp_path_factory.mktemp("clip") / "two.mp4"))


@pytest.mark.slow
def test_people_are_numbered_and_one_is_swapped(client: Client, clip: str, pictures: list[str]) -> None:
    sheet, people = client.predict(clip=handle_file(clip), api_name="/people")
    assert Path(sheet).suffix == ".png"
    assert [one["person"] for one in people] == [1, 2]
    assert all(one["frames_seen"] == one["frames"] == 10 for one in people)
    path, report = client.predict(
        source=handle_file(pictures[1]),
        clip=handle_file(clip),
        agreed=True,
        people="2=0",
        engine="blend",
        end=0.2,
        api_name="/video",
    )
    assert stamps(Path(path)) == stamps(Path(clip))[:5]
    swapped = {one["person"]: one["frames_swapped"] for one in report["people"]}
    assert swapped == {1: 0, 2: 5}
    assert report["note"].startswith("Made by AI")
    assert verify(path).to_dict()["made_here"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"agreed": False}, "please confirm that the people shown agreed"),
        ({"people": "1"}, "people must be pairs of a person's and a source's number, people counted from 1"),
        ({"people": "1=3"}, "person 1 is mapped to source 3, which was not given"),
        ({"end": -2}, "give a later end"),
        ({"quality": 0}, "quality is 0; choose a number from 1 to 100"),
        ({"age": 16}, "age is 16; choose a number of years from -15 to 15"),
        ({"attributes": "nose=target"}, "nose"),
    ],
)
def test_invalid_options_are_reported(
    client: Client, clip: str, pictures: list[str], options: dict, said: str
) -> None:
    given = {"source": handle_file(pictures[1]), "clip": handle_file(clip), "agreed": True, **options}
    with pytest.raises(AppError, match=said):
        client.predict(**given, api_name="/video")


def test_a_text_file_named_like_a_clip_is_refused(client: Client, tmp_path: Path) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("no clip\n" * 100)
    with pytest.raises(AppError, match=r"^notes\.mp4 is not a clip that can be read"):
        client.predict(clip=handle_file(str(text)), api_name="/people")


def test_files_of_the_server_are_not_opened(page: gr.Blocks) -> None:
    answer = ask(page, "people", {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}, 0, 0)
    assert "root:" not in answer.text
    assert "error" in answer.text
