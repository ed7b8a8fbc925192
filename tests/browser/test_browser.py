"""The page in a real browser: Debian's chromium, driven by Playwright. RELIABLESWAP_BROWSER=1 forbids skipping."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest
from PIL import Image
from support.people import person

from reliableswap.provenance import read_mark
from reliableswap.space import build, launch

REQUIRED = os.environ.get("RELIABLESWAP_BROWSER") == "1"
CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))),
    None,
)

try:
    from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright
except ImportError:
    if REQUIRED:
        raise
    pytest.skip("the browser test needs playwright: pip install playwright", allow_module_level=True)
if CHROMIUM is None:
    if REQUIRED:
        raise RuntimeError(
            "the browser test is required here, and there is no chromium; apt-get install chromium"
        )
    pytest.skip("the browser test needs chromium: apt-get install chromium", allow_module_level=True)

WIDE, PHONE = {"width": 1360, "height": 900}, {"width": 390, "height": 844}
TABS = ["Photo", "How it is made", "Verify"]


@pytest.fixture(scope="module")
def served() -> Iterator[gr.Blocks]:
    page = launch(build(), prevent_thread_lock=True, quiet=True, server_port=None)
    yield page
    page.close()


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    # Without its sandbox chromium also runs as root and in containers; it only ever sees our own page.
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
    yield browser
    browser.close()


class Watched:
    """A page, and everything it did that it should not have done."""

    def __init__(
        self, browser: Browser, served: gr.Blocks, size: dict[str, int], scheme: str = "light"
    ) -> None:
        context = browser.new_context(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
        self.page: Page = context.new_page()
        self.home = served.local_url
        self.complaints: list[str] = []
        self.page.on("console", lambda said: said.type == "error" and self.complaints.append(said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda asked: self._check(asked.url))
        self.page.goto(f"{self.home}?__theme={scheme}")
        expect(self.page.locator("#swap")).to_be_visible(timeout=20_000)

    def _check(self, url: str) -> None:
        if not url.startswith((self.home, "data:", "blob:")):
            self.complaints.append(f"the page asked for {url}")

    def open(self, tab: str) -> None:
        self.page.get_by_role("tab", name=tab).click()

    def take_example(self, number: int) -> None:
        self.page.locator("#examples button").nth(number).click()
        expect(self.page.locator("#face-0")).to_be_visible(timeout=20_000)

    def overflow(self) -> int:
        wide: int = self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        return wide

    def close(self) -> None:
        self.page.context.close()
        assert self.complaints == []


def test_an_example_from_consent_to_the_checked_download(
    browser: Browser, served: gr.Blocks, tmp_path: Path
) -> None:
    watched = Watched(browser, served, WIDE)
    page = watched.page
    watched.take_example(2)
    expect(page.locator("#found")).to_contain_text("2 faces found")
    expect(page.locator("#face-0 input")).to_have_value("Source A")
    expect(page.locator("#face-1 input")).to_have_value("Source B")

    consent = page.get_by_label("The people shown agreed to this, or they do not exist.").first
    expect(consent).not_to_be_checked()
    page.locator("#swap").click()
    expect(page.get_by_text("Nothing was swapped: please confirm")).to_be_visible()
    expect(page.locator("#slider img")).to_have_count(0)

    consent.check()
    page.locator("#swap").click()
    expect(page.locator("#slider img")).to_have_count(2, timeout=60_000)
    expect(page.locator("#note")).to_contain_text("Made by AI")
    expect(page.locator("#report")).to_contain_text("person-5.jpg")

    line = page.get_by_role("slider", name="Line between before and after")
    expect(line).to_have_attribute("aria-valuenow", "50")
    line.focus()
    page.keyboard.press("ArrowRight")
    expect(line).to_have_attribute("aria-valuenow", "55")
    box = line.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 120, y, steps=4)
    page.mouse.up()
    assert int(line.get_attribute("aria-valuenow") or 99) < 35
    assert [image.get_attribute("alt") for image in page.locator("#slider img").all()] == [
        "Before: the target photo",
        "After: the result, made by AI",
    ]

    with page.expect_download() as downloading:
        page.get_by_text("Download the result").click()
    saved = tmp_path / downloading.value.suggested_filename
    downloading.value.save_as(saved)
    mark = read_mark(saved)
    assert mark is not None
    assert mark.ai_made

    watched.open("Verify")
    page.locator("#verify-file input[type=file]").set_input_files(saved)
    expect(page.locator("#verdict")).to_contain_text("swapped.png was made by AI, with ReliableSwap.")
    watched.close()


def test_one_face_can_be_left_alone(browser: Browser, served: gr.Blocks) -> None:
    watched = Watched(browser, served, WIDE)
    page = watched.page
    watched.take_example(2)
    page.locator("#face-0 input").click()
    page.get_by_role("option", name="Leave alone").click()
    page.locator("#agreed input").check()
    page.locator("#swap").click()
    expect(page.locator("#report")).to_contain_text("left alone", timeout=60_000)
    expect(page.locator("#report")).to_contain_text("person-3.jpg")
    watched.close()


def test_own_pictures_come_and_go(browser: Browser, served: gr.Blocks, tmp_path: Path) -> None:
    watched = Watched(browser, served, WIDE)
    page = watched.page
    photos = []
    for number in (1, 2, 4):
        photos.append(tmp_path / f"{number}.jpg")
        with Image.open(person(number)) as image:
            image.resize((300, 300)).save(photos[-1])
    Image.new("RGB", (300, 300), "grey").save(tmp_path / "wall.png")

    page.locator("#target input[type=file]").set_input_files(photos[2])
    expect(page.locator("#found")).to_have_text("One face found.", timeout=20_000)
    expect(page.locator("#face-0 input")).to_have_value("Leave alone")
    page.locator("#sources input[type=file]").set_input_files(photos[:2])
    expect(page.locator("#sources .caption-label")).to_have_text(["Source A", "Source B"])
    expect(page.locator("#face-0 input")).to_have_value("Source A")
    page.locator("#face-0 input").click()
    page.get_by_role("option", name="Source B").click()
    page.locator("#agreed input").check()
    page.locator("#swap").click()
    expect(page.locator("#report")).to_contain_text("2.jpg", timeout=60_000)

    page.locator("#target").get_by_label("Remove Image").click()
    expect(page.locator("#face-0")).to_be_hidden()
    page.locator("#target input[type=file]").set_input_files(tmp_path / "wall.png")
    expect(page.locator("#found")).to_contain_text("no face found in wall.png", timeout=20_000)
    expect(page.locator("#face-0")).to_be_hidden()
    watched.close()


def test_the_figure_ends_in_the_real_photo(browser: Browser, served: gr.Blocks) -> None:
    watched = Watched(browser, served, WIDE, "dark")
    page = watched.page
    watched.open("How it is made")
    page.locator("#example-making").click()
    expect(page.locator("#photo-a img")).to_be_visible()
    expect(page.locator("#photo-b img")).to_be_visible()
    page.locator("#agreed-making input").check()
    page.locator("#make").click()
    pictures = page.locator("#figure img")
    expect(pictures).to_have_count(13, timeout=60_000)
    said = [picture.get_attribute("alt") or "" for picture in pictures.all()]
    assert said[0].startswith("C_a, a real photo")
    assert said[-2].startswith("Truth C_a, real")
    assert said[-1].startswith("The network's answer")
    first, truth, answer = (pictures.nth(n).get_attribute("src") for n in (0, -2, -1))
    assert first == truth, "the cycle triplet's truth is the photo itself"
    assert answer != truth
    watched.close()


# What a screen reader would call each control that can be seen; an empty name is a control without one.
NAMELESS = """
() => [...document.querySelectorAll("button, input, textarea, select, [role=slider], [role=tab]")]
  .filter((it) => it.offsetParent !== null && it.getAttribute("aria-hidden") !== "true" && it.type !== "file")
  .filter((it) => {
    const by = (it.getAttribute("aria-labelledby") || "").split(" ").map((id) => document.getElementById(id));
    const words = [it.getAttribute("aria-label"), it.title, it.innerText, it.closest("label")?.innerText,
      ...[...(it.labels || [])].map((label) => label.innerText), ...by.map((label) => label?.innerText),
      ...[...it.querySelectorAll("img")].map((image) => image.alt)];
    return !words.some((word) => (word || "").trim());
  })
  .map((it) => it.outerHTML.slice(0, 200))
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_every_tab_whole_and_every_control_has_a_name(
    browser: Browser, served: gr.Blocks, scheme: str
) -> None:
    watched = Watched(browser, served, PHONE, scheme)
    page = watched.page
    dark = page.evaluate("document.body.classList.contains('dark')")
    assert dark == (scheme == "dark")
    watched.take_example(2)
    page.locator("#swap").click()
    expect(page.get_by_text("Nothing was swapped")).to_be_visible()
    assert watched.overflow() <= 0, "the toast"
    page.locator("#agreed input").check()
    page.locator("#swap").click()
    expect(page.locator("#slider img")).to_have_count(2, timeout=60_000)
    page.get_by_text("Likeness, shape and more").click()
    page.get_by_text("Rules, your files and limits").click()
    for tab in TABS:
        watched.open(tab)
        page.wait_for_timeout(200)
        assert watched.overflow() <= 0, tab
        assert page.evaluate(NAMELESS) == [], tab
    page.evaluate("document.body.append(document.createElement('button'))")
    assert len(page.evaluate(NAMELESS)) == 1, "the check itself finds a control without a name"
    watched.close()
