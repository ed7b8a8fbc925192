"""The tab that describes and draws, in a real browser, with tiny networks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest
from support.browser import WIDE, Browser, Tab, expect
from support.described import tiny_tokeniser, tiny_transformer
from support.space_page import close, served

from reliableswap.pipelines.unified import UnifiedFacePipeline
from reliableswap.space import build, unified

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[gr.Blocks]:
    place, tokeniser = tmp_path_factory.mktemp("model"), tiny_tokeniser()
    UnifiedFacePipeline(tokeniser, tiny_transformer(tokeniser)).save_pretrained(place)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(unified.MODEL, str(place))
        unified._pipe.cache_clear()
        page = served(build())
        yield page
        close(page)
    unified._pipe.cache_clear()


def test_a_photo_is_described_and_a_face_drawn(
    browser: Browser, page: gr.Blocks, pictures: list[str]
) -> None:
    tab = Tab(browser, page, WIDE)
    tab.open("Describe and draw")
    tab.page.locator("#photo-described input[type=file]").set_input_files(Path(pictures[0]))
    expect(tab.page.locator("#photo-described img")).to_be_visible()
    tab.page.locator("#ask").click()
    said = UnifiedFacePipeline.from_pretrained(str(unified.model_place())).describe(pictures[0])
    expect(tab.page.locator("#answer textarea, #answer input").first).to_have_value(said, timeout=60_000)
    tab.page.locator("#draw").click()
    expect(tab.page.locator("#drawn img")).to_be_visible(timeout=60_000)
    tab.close()
