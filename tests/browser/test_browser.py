"""The page in a real browser: Debian's chromium, driven by Playwright.

Without chromium or Playwright these tests are skipped; RELIABLESWAP_BROWSER=1 makes that an error.
"""

from __future__ import annotations

import re
from pathlib import Path

import gradio as gr
import pytest
from PIL import Image
from support.browser import PHONE, WIDE, Browser, Tab, expect
from support.people import person

from reliableswap.provenance import read_mark
from reliableswap.safety.nudity import NudityNet
from reliableswap.space import files

pytestmark = pytest.mark.slow
TABS = ["Photo", "Video", "Live", "How it is made", "Verify"]


def test_an_example_from_consent_to_the_checked_download(
    browser: Browser, page: gr.Blocks, tmp_path: Path
) -> None:
    tab = Tab(browser, page, WIDE)
    assert not tab.is_dark()
    tab.take_example(2)
    expect(tab.page.locator("#found")).to_contain_text("2 faces found")
    expect(tab.page.locator("#face-0 input")).to_have_value("Source A")
    expect(tab.page.locator("#face-1 input")).to_have_value("Source B")

    consent = tab.page.get_by_label("The people shown agreed to this, or they do not exist.").first
    expect(consent).not_to_be_checked()
    tab.page.locator("#swap").click()
    expect(tab.page.get_by_text("Nothing was swapped: please confirm")).to_be_visible()
    expect(tab.page.locator("#slider img")).to_have_count(0)

    consent.check()
    tab.page.locator("#swap").click()
    expect(tab.page.locator("#slider img")).to_have_count(2, timeout=60_000)
    expect(tab.page.locator("#note")).to_contain_text("Made by AI")
    expect(tab.page.locator("#report")).to_contain_text("person-5.jpg")

    line = tab.page.get_by_role("slider", name="Line between before and after")
    expect(line).to_have_attribute("aria-valuenow", "50")
    line.focus()
    tab.page.keyboard.press("ArrowRight")
    expect(line).to_have_attribute("aria-valuenow", "55")
    box = line.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    tab.page.mouse.move(x, y)
    tab.page.mouse.down()
    tab.page.mouse.move(x - 120, y, steps=4)
    tab.page.mouse.up()
    assert int(line.get_attribute("aria-valuenow") or 99) < 35
    assert [image.get_attribute("alt") for image in tab.page.locator("#slider img").all()] == [
        "Before: the target photo",
        "After: the result, made by AI",
    ]

    with tab.page.expect_download() as downloading:
        tab.page.get_by_text("Download the result").click()
    saved = tmp_path / downloading.value.suggested_filename
    downloading.value.save_as(saved)
    mark = read_mark(saved)
    assert mark is not None
    assert mark.ai_made

    tab.open("Verify")
    tab.page.locator("#verify-file input[type=file]").set_input_files(saved)
    expect(tab.page.locator("#verdict")).to_contain_text("swapped.png: Made by AI, with ReliableSwap.")
    tab.close()


def test_parts_stay_the_targets_and_the_face_gets_older(browser: Browser, page: gr.Blocks) -> None:
    tab = Tab(browser, page, WIDE)
    tab.take_example(0)
    expect(tab.page.locator("#part-brows")).to_be_hidden()
    tab.page.locator("#advanced").get_by_text("Advanced: parts and age").click()
    expect(tab.page.locator("#part-glasses").get_by_label("Target")).to_be_checked()
    expect(tab.page.locator("#part-brows").get_by_label("Source")).to_be_checked()
    tab.page.locator("#part-brows").get_by_label("Target").check()
    years = tab.page.locator("#age input[type=number]")
    years.fill("12")
    years.press("Enter")
    tab.page.locator("#agreed input").check()
    tab.page.locator("#swap").click()
    report = tab.page.locator("#report")
    expect(report).to_contain_text("brows from the target", timeout=120_000)
    expect(report).to_contain_text("12 years older; it looks about")
    tab.close()


def test_own_pictures_can_be_added_and_removed(browser: Browser, page: gr.Blocks, tmp_path: Path) -> None:
    tab = Tab(browser, page, WIDE)
    photos = []
    for number in (1, 2, 4):
        photos.append(tmp_path / f"{number}.jpg")
        with Image.open(person(number)) as image:
            image.resize((300, 300)).save(photos[-1])
    Image.new("RGB", (300, 300), "grey").save(tmp_path / "wall.png")

    tab.page.locator("#target input[type=file]").set_input_files(photos[2])
    expect(tab.page.locator("#found")).to_have_text("One face found.", timeout=20_000)
    expect(tab.page.locator("#face-0 input")).to_have_value("Leave alone")
    tab.page.locator("#sources input[type=file]").set_input_files(photos[:2])
    expect(tab.page.locator("#sources .caption-label")).to_have_text(["Source A", "Source B"])
    expect(tab.page.locator("#face-0 input")).to_have_value("Source A")
    tab.page.locator("#face-0 input").click()
    tab.page.get_by_role("option", name="Source B").click()
    tab.page.locator("#agreed input").check()
    tab.page.locator("#swap").click()
    expect(tab.page.locator("#report")).to_contain_text("2.jpg", timeout=60_000)

    tab.page.locator("#target").get_by_label("Remove Image").click()
    expect(tab.page.locator("#face-0")).to_be_hidden()
    tab.page.locator("#target input[type=file]").set_input_files(tmp_path / "wall.png")
    expect(tab.page.locator("#found")).to_contain_text("no face found in wall.png", timeout=20_000)
    expect(tab.page.locator("#face-0")).to_be_hidden()
    tab.close()


def test_the_figure_ends_in_the_real_photo(browser: Browser, page: gr.Blocks) -> None:
    tab = Tab(browser, page, WIDE, "dark")
    tab.open("How it is made")
    tab.page.locator("#example-making").click()
    expect(tab.page.locator("#photo-a img")).to_be_visible()
    expect(tab.page.locator("#photo-b img")).to_be_visible()
    tab.page.locator("#agreed-making input").check()
    tab.page.locator("#make").click()
    pictures = tab.page.locator("#figure img")
    expect(pictures).to_have_count(16, timeout=60_000)
    said = [picture.get_attribute("alt") or "" for picture in pictures.all()]
    assert said[0].startswith("C_a, a real photo")
    assert said[-5].startswith("Truth C_a, real")
    assert said[-4].startswith("The network's answer")
    assert [one.split(":")[0] for one in said[-3:]] == [
        "Target surrogate",
        "Source surrogate",
        "Truth C_a, real",
    ]
    first, truth, answer, source = (pictures.nth(n).get_attribute("src") for n in (0, 11, 12, 14))
    assert source not in (truth, answer)
    assert first == truth, "the cycle triplet's truth is the photo itself"
    assert answer != truth
    tab.close()


# The visible controls without a name for screen readers.
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


def test_a_phone_shows_every_tab_whole_and_every_control_has_a_name(
    browser: Browser, page: gr.Blocks
) -> None:
    tab = Tab(browser, page, PHONE, "dark")
    assert tab.is_dark()
    tab.take_example(2)
    tab.page.locator("#swap").click()
    expect(tab.page.get_by_text("Nothing was swapped")).to_be_visible()
    assert tab.overflow() <= 0, "the toast"
    tab.page.locator("#agreed input").check()
    tab.page.locator("#swap").click()
    expect(tab.page.locator("#slider img")).to_have_count(2, timeout=60_000)
    tab.page.get_by_text("Likeness, shape and more").click()
    tab.page.locator("#advanced").get_by_text("Advanced: parts and age").click()
    tab.page.get_by_text("Rules, your files and limits").click()
    for name in TABS:
        tab.open(name)
        tab.page.wait_for_timeout(200)
        assert tab.overflow() <= 0, name
        assert tab.page.evaluate(NAMELESS) == [], name
    tab.page.evaluate("document.body.append(document.createElement('button'))")
    assert len(tab.page.evaluate(NAMELESS)) == 1, "the check itself finds a control without a name"
    tab.close()


def test_a_full_storage_is_reported(
    browser: Browser, page: gr.Blocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    tab = Tab(browser, page, WIDE)
    monkeypatch.setattr(files.shared_storage(), "quota", 0)
    monkeypatch.setattr(files.shared_storage(), "in_use_seconds", 1e9)
    tab.page.locator("#target input[type=file]").set_input_files(person(1))
    expect(tab.page.get_by_text("storage is full right now").first).to_be_visible(timeout=20_000)
    tab.complaints.clear()  # the browser logs the refused request
    tab.close()


def test_a_refusal_is_a_quiet_notice_and_one_face_can_be_left_alone(
    browser: Browser, page: gr.Blocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    tab = Tab(browser, page, WIDE)
    tab.take_example(2)
    monkeypatch.setattr(NudityNet, "score", lambda net, pixels: 0.99)
    tab.page.locator("#agreed input").check()
    tab.page.locator("#swap").click()
    notice = tab.page.get_by_test_id("toast-body")
    expect(notice).to_contain_text(
        "the swap was refused: photo-7-9.jpg seems to show nudity; if that is wrong, please report it",
        timeout=60_000,
    )
    expect(notice).to_have_class(re.compile("info"))
    expect(notice).to_have_attribute("role", "status")  # read out without interrupting
    expect(tab.page.locator("#slider img")).to_have_count(0)

    monkeypatch.undo()  # the page still works
    tab.page.locator("#face-0 input").click()
    tab.page.get_by_role("option", name="Leave alone").click()
    tab.page.locator("#swap").click()
    expect(tab.page.locator("#report")).to_contain_text("left alone", timeout=60_000)
    expect(tab.page.locator("#report")).to_contain_text("person-3.jpg")
    expect(tab.page.locator("#slider img")).to_have_count(2)
    tab.close()
