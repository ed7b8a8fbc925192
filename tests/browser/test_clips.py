"""The tabs "Video" and "Live" in a real browser, whose webcam plays a file.

Without chromium or Playwright these tests are skipped; RELIABLESWAP_BROWSER=1 makes that an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import gradio as gr
import numpy as np
import pytest
from support.browser import CHROMIUM, PHONE, WIDE, Browser, Playwright, Tab, expect
from support.clips import Made, stamps
from support.people import portrait

from reliableswap.provenance.verify import verify
from reliableswap.safety.nudity import NudityNet
from reliableswap.space import files

pytestmark = pytest.mark.slow
LONG = 120_000  # milliseconds, for work on a busy machine


def moving_portrait(number: int, frames: int, height: int, width: int) -> Iterator[np.ndarray]:
    """Frames (H,W,3) uint8 of a person who moves a little from side to side."""
    photo = cv2.resize(portrait(number, 2 * height), (height, height), interpolation=cv2.INTER_AREA)
    for step in range(frames):
        frame = np.full((height, width, 3), 128, np.uint8)
        left = (width - height) // 2 + round(0.04 * width * np.sin(step / 4))
        frame[:, left : left + height] = photo
        yield frame


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second with sound."""
    frames = list(moving_portrait(4, 25, 240, 320))
    return Made(frames, sound=True).write(tmp_path_factory.mktemp("clip") / "holiday.mp4")


@pytest.fixture(scope="module")
def webcam(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser with a webcam that shows a person."""
    film = tmp_path_factory.mktemp("webcam") / "person.mjpeg"
    pictures = (cv2.imencode(".jpg", frame[..., ::-1]) for frame in moving_portrait(4, 24, 480, 640))
    film.write_bytes(b"".join(bytes(data) for _, data in pictures))
    browser = playwright.chromium.launch(
        executable_path=CHROMIUM,
        args=[
            "--no-sandbox",
            "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-video-capture={film}",
        ],
    )
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def source(pictures: list[str]) -> Path:
    return Path(pictures[1])


def find_people(tab: Tab, source: Path, clip: Path, start: str = "") -> None:
    """Give the page a source and a clip, and let it search for people from `start` on, in seconds."""
    tab.open("Video")
    tab.page.locator("#clip-sources input[type=file]").set_input_files(source)
    tab.page.locator("#clip input[type=file]").set_input_files(clip)
    expect(tab.page.locator("#clip video")).to_be_visible(timeout=20_000)
    if start:  # only once the page has answered: it discards what is typed while it loads
        tab.page.locator("#clip-start input").fill(start)
        tab.page.locator("#clip-start input").press("Tab")
    tab.page.locator("#find-people").click()
    expect(tab.page.locator("#people-found")).to_have_text("One person found.", timeout=LONG)
    expect(tab.page.locator("#person-1 input")).to_have_value("Source A")


def folders() -> set[str]:
    return {path.name for path in files.shared_storage().folder.iterdir()}


# Whether each player follows when the other is moved, played and paused.
IN_STEP = """
async () => {
  const [before, after] = ["before", "after"].map((name) => document.querySelector(`#clip-${name} video`));
  const wait = (time) => new Promise((done) => setTimeout(done, time));
  const until = async (met) => { for (let n = 0; n < 100 && !met(); n++) await wait(50); return met(); };
  const near = (one, other) => Math.abs(one - other) < 0.1;
  const said = [await until(() => before.readyState > 1 && after.readyState > 1)];
  after.currentTime = 0.3;
  said.push(await until(() => near(before.currentTime, 0.3 + OFFSET)));
  before.currentTime = 0.1 + OFFSET;
  said.push(await until(() => near(after.currentTime, 0.1)));
  after.loop = before.loop = true;
  await after.play();
  said.push(await until(() => !before.paused && before.muted && !after.muted));
  before.pause();
  said.push(await until(() => after.paused));
  said.push(await until(() => near(before.currentTime, after.currentTime + OFFSET)));
  return said;
}
"""


def test_a_clip_from_its_people_to_the_checked_download(
    browser: Browser, page: gr.Blocks, source: Path, clip: Path, tmp_path: Path
) -> None:
    tab = Tab(browser, page, WIDE)
    find_people(tab, source, clip)
    tab.page.locator("#swap-clip").click()
    expect(tab.page.get_by_text("Nothing was swapped: please confirm").first).to_be_visible(timeout=20_000)
    expect(tab.page.locator("#clip-after video")).to_have_count(0)

    tab.page.locator("#agreed-clip input").check()
    tab.page.locator("#swap-clip").click()
    expect(tab.page.locator("#clip-progress")).to_contain_text(re.compile(r"frame \d+ of"), timeout=LONG)
    expect(tab.page.locator("#cancel-clip")).to_be_visible()
    expect(tab.page.locator("#clip-download")).to_be_visible(timeout=LONG)
    expect(tab.page.locator("#cancel-clip")).to_be_hidden()
    expect(tab.page.locator("#clip-note")).to_contain_text("Made by AI")
    expect(tab.page.locator("#clip-report")).to_contain_text("25 of 25")
    assert tab.page.evaluate(IN_STEP.replace("OFFSET", "0")) == [True] * 6

    with tab.page.expect_download() as downloading:
        tab.page.locator("#clip-download").click()
    saved = tmp_path / downloading.value.suggested_filename
    downloading.value.save_as(saved)
    assert saved.name == "swapped.mp4"
    assert stamps(saved) == stamps(clip)
    marks = verify(saved).to_dict()
    assert marks["ai_made"]
    assert marks["made_here"]
    assert {"c2pa", "watermark"} <= marks.keys()

    tab.page.locator("#clip-end input").fill("0.5")
    tab.page.locator("#clip-end input").press("Tab")
    expect(tab.page.locator("#person-1")).to_be_hidden(timeout=20_000)  # another part may show other people
    tab.close()


def test_a_part_is_shown_beside_the_same_part_of_the_original(
    browser: Browser, page: gr.Blocks, source: Path, clip: Path
) -> None:
    tab = Tab(browser, page, WIDE)
    find_people(tab, source, clip, start="0.4")
    tab.page.locator("#clip-engine").get_by_label("Blend").check()
    tab.page.locator("#agreed-clip input").check()
    tab.page.locator("#swap-clip").click()
    expect(tab.page.locator("#clip-report")).to_contain_text("15 of 15", timeout=LONG)
    assert tab.page.evaluate(IN_STEP.replace("OFFSET", "0.4")) == [True] * 6
    tab.close()


def test_a_cancelled_clip_leaves_nothing(
    browser: Browser, page: gr.Blocks, source: Path, tmp_path: Path
) -> None:
    frames = list(moving_portrait(4, 25, 240, 320))
    long = Made(frames * 5).write(tmp_path / "long.mp4")  # a short one is done before it can be cancelled
    tab = Tab(browser, page, WIDE)
    find_people(tab, source, long)
    tab.page.locator("#agreed-clip input").check()
    before = folders()
    tab.page.locator("#swap-clip").click()
    expect(tab.page.locator("#clip-progress")).to_contain_text("frame", timeout=LONG)
    tab.page.locator("#cancel-clip").click()
    expect(tab.page.locator("#clip-progress")).to_contain_text("Cancelled. Nothing was kept.", timeout=LONG)
    expect(tab.page.locator("#cancel-clip")).to_be_hidden()
    assert folders() <= before
    tab.close()


def test_a_text_file_named_like_a_clip_is_reported(browser: Browser, page: gr.Blocks, tmp_path: Path) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("This is no clip.\n" * 100)
    tab = Tab(browser, page, WIDE)
    tab.open("Video")
    tab.page.locator("#clip input[type=file]").set_input_files(text)
    tab.page.locator("#find-people").click()
    expect(tab.page.get_by_test_id("toast-body")).to_contain_text(
        "notes.mp4 is not a clip that can be read", timeout=20_000
    )
    tab.complaints.clear()  # the browser logs that it can't play the clip
    tab.close()


def test_a_refused_clip_is_a_quiet_notice(
    browser: Browser, page: gr.Blocks, source: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tab = Tab(browser, page, WIDE)
    find_people(tab, source, clip)
    tab.page.locator("#agreed-clip input").check()
    monkeypatch.setattr(NudityNet, "score", lambda net, pixels: 0.99)
    tab.page.locator("#swap-clip").click()
    notice = tab.page.get_by_test_id("toast-body")
    expect(notice).to_contain_text("the swap was refused: holiday.mp4 seems to show nudity", timeout=LONG)
    expect(notice).to_have_class(re.compile("info"))
    expect(tab.page.locator("#clip-after video")).to_have_count(0)
    expect(tab.page.locator("#cancel-clip")).to_be_hidden()
    tab.close()


def start_webcam(tab: Tab, source: Path) -> None:
    tab.open("Live")
    tab.page.locator("#live-source input[type=file]").set_input_files(source)
    expect(tab.page.locator("#live-source img")).to_be_visible(timeout=20_000)
    tab.page.locator("#live-engine").get_by_label("Blend").check()
    tab.page.get_by_text("Click to Access Webcam").click()
    tab.page.locator("#webcam").get_by_text("Record").click(timeout=20_000)


def shown(tab: Tab) -> np.ndarray | None:
    """The picture that the tab shows as the result."""
    address = tab.page.locator("#live-result img").first.get_attribute("src") or ""
    if not address.startswith("data:image/jpeg"):
        return None
    from reliableswap.space.frames import decode_frame

    return decode_frame(address)


def test_the_face_in_the_webcam_picture_is_swapped(webcam: Browser, page: gr.Blocks, source: Path) -> None:
    tab = Tab(webcam, page, WIDE)
    start_webcam(tab, source)
    expect(tab.page.locator("#live-words")).to_contain_text("please confirm", timeout=LONG)
    expect(tab.page.locator("#live-result img")).to_have_count(0)

    tab.page.locator("#agreed-live input").check()
    expect(tab.page.locator("#live-words")).to_contain_text(
        re.compile(r"Made by AI\. [\d.]+ frames a second, \d+ ms each"), timeout=LONG
    )
    first = shown(tab)
    assert first is not None
    assert first.shape == (480, 640, 3)
    original = next(moving_portrait(4, 1, 480, 640))
    face = (slice(150, 260), slice(260, 380))
    assert np.abs(first[face].astype(int) - original[face]).mean() > 8
    assert (first[-20:, -90:] > 200).any(), "the label's letters"
    assert (first[-12:, -100:] < 90).any(), "and its plate"
    for _ in range(100):
        tab.page.wait_for_timeout(200)
        later = shown(tab)
        if later is not None and not np.array_equal(later, first):
            break
    else:
        raise AssertionError("the picture stands still")

    tab.page.locator("#agreed-live input").uncheck()
    expect(tab.page.locator("#live-words")).to_contain_text("please confirm", timeout=LONG)
    expect(tab.page.locator("#live-result img")).to_have_count(0)
    tab.close()


def test_a_refused_webcam_is_a_quiet_notice(
    webcam: Browser, page: gr.Blocks, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tab = Tab(webcam, page, PHONE)
    monkeypatch.setattr(NudityNet, "score", lambda net, pixels: 0.99)
    start_webcam(tab, source)
    tab.page.locator("#agreed-live input").check()
    notice = tab.page.get_by_test_id("toast-body")
    expect(notice).to_contain_text("the live picture seems to show nudity", timeout=LONG)
    expect(notice).to_have_class(re.compile("info"))
    expect(notice).to_have_count(1)
    expect(tab.page.locator("#live-words")).to_contain_text("the live picture seems to show nudity")
    expect(tab.page.locator("#live-result img")).to_have_count(0)
    assert tab.overflow() <= 0
    tab.close()
