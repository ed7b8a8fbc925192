"""The choice of a trained person in a real browser, with tiny decoders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest
from support.browser import WIDE, Browser, Tab, expect
from support.person_runs import tiny_people
from support.space_page import close, served

from reliableswap import ReliableSwapPipeline
from reliableswap.space import build

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def page() -> Iterator[gr.Blocks]:
    pipe = ReliableSwapPipeline.bundled()
    pipe.people = tiny_people(pipe)
    page = served(build(pipe))
    yield page
    close(page)


def choose(tab: Tab, name: str) -> None:
    tab.page.locator("#person input").click()
    tab.page.get_by_role("option", name=name).click()


def test_a_person_takes_the_place_of_the_photos(
    browser: Browser, page: gr.Blocks, pictures: list[str]
) -> None:
    tab = Tab(browser, page, WIDE)
    face, sources, engine = (tab.page.locator(name) for name in ("#face-0 input", "#sources", "#engine"))
    tab.page.locator("#sources input[type=file]").set_input_files(Path(pictures[0]))
    tab.page.locator("#target input[type=file]").set_input_files(Path(pictures[1]))
    expect(face).to_have_value("Source A")
    choose(tab, "alice")
    expect(face).to_have_value("alice")
    expect(sources).to_be_hidden()
    expect(engine).to_be_hidden()
    expect(tab.page.locator("#person-portrait img")).to_be_visible()

    tab.page.locator("#agreed input").check()
    tab.page.locator("#swap").click()
    expect(tab.page.locator("#report")).to_contain_text("Person engine", timeout=60_000)
    expect(tab.page.locator("#report")).to_contain_text("alice")

    choose(tab, "Photos")
    expect(face).to_have_value("Source A")
    expect(sources.locator("img").first).to_be_visible()
    expect(engine).to_be_visible()
    tab.close()
