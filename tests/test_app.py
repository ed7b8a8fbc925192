"""The demo: it swaps, it asks for consent on the server, and what it hands out is marked."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import person
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent.parent))
import app
from reliableswap.provenance import read_mark


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    page = app.build()
    page.queue().launch(prevent_thread_lock=True, quiet=True, server_port=None)
    yield Client(page.local_url, verbose=False)
    page.close()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("pictures")
    for number in (1, 2):
        image = Image.open(person(number)).convert("RGB")
        image.thumbnail((320, 320))
        image.save(folder / f"{number}.png")
    return str(folder / "1.png"), str(folder / "2.png")


def swap(client: Client, source: str, target: str, agreed: bool = True) -> tuple[str, dict]:
    result: tuple[str, dict] = client.predict(
        handle_file(source), handle_file(target), agreed, 1.0, 0.5, api_name="/swap"
    )
    return result


def test_a_result_is_a_marked_picture_with_a_report(client: Client, pictures: tuple[str, str]) -> None:
    path, report = swap(client, *pictures)
    mark = read_mark(path)
    assert mark is not None
    assert mark.ai_made
    assert report["faces"][0]["swapped"]


def test_without_consent_nothing_is_swapped(client: Client, pictures: tuple[str, str]) -> None:
    with pytest.raises(AppError, match="confirm that the people shown agreed"):
        swap(client, *pictures, agreed=False)


def test_a_picture_without_a_face_is_one_clear_line(
    client: Client, pictures: tuple[str, str], tmp_path: Path
) -> None:
    Image.new("RGB", (200, 200), "grey").save(tmp_path / "wall.png")
    with pytest.raises(AppError, match=r"no face found in wall\.png"):
        swap(client, pictures[0], str(tmp_path / "wall.png"))
