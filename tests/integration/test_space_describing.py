"""The page's tab that describes and draws, with tiny networks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest
from support.described import tiny_tokeniser, tiny_transformer
from support.space_page import as_file

from reliableswap.errors import ReliableSwapError
from reliableswap.media import read_picture
from reliableswap.pipelines.unified import UnifiedFacePipeline
from reliableswap.provenance import read_mark
from reliableswap.space import files, unified
from reliableswap.space.app.page import build

TAB = "Describe and draw"


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    tokeniser = tiny_tokeniser()
    UnifiedFacePipeline(tokeniser, tiny_transformer(tokeniser)).save_pretrained(tmp_path / "model")
    monkeypatch.setenv(unified.MODEL, str(tmp_path / "model"))
    unified._pipe.cache_clear()
    yield tmp_path / "model"
    unified._pipe.cache_clear()


def tabs(page: gr.Blocks) -> list[str]:
    return [block.label for block in page.blocks.values() if isinstance(block, gr.Tab)]


@pytest.mark.slow
def test_the_tab_is_there_with_the_bundled_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(unified.MODEL, raising=False)
    assert TAB in tabs(build())
    monkeypatch.setattr(unified, "WEIGHTS", Path("nowhere"))
    assert TAB not in tabs(build())


@pytest.mark.slow
def test_a_photo_is_described_and_a_face_drawn(model: Path, pictures: list[str]) -> None:
    photo = as_file(files.publish(read_picture(pictures[0]), "me.png", None))
    pipe = UnifiedFacePipeline.from_pretrained(model)
    assert unified.describe(photo, "") == pipe.describe(pictures[0])
    assert unified.describe(photo, "does she smile?") == pipe.ask(pictures[0], "does she smile?")
    mark = read_mark(unified.draw("a man", 3))
    assert mark is not None
    assert mark.ai_made


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: unified.draw("a" * 300, 0), "at most 200 characters"),
        (lambda: unified.draw("a man", -1), "give a whole number"),
        (lambda: unified.draw("frobs", 0), "no word that this network knows"),
        (lambda: unified.draw(3, 0), "must be a text"),
    ],
)
def test_what_clients_send_is_checked(model: Path, call: object, message: str) -> None:
    with pytest.raises(ReliableSwapError, match=message):
        call()  # type: ignore[operator]


def test_a_page_without_a_model_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unified, "model_place", lambda: None)
    with pytest.raises(ReliableSwapError, match="no model that describes"):
        unified.pipe()
