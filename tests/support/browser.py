"""A real browser for tests: Debian's chromium, driven by Playwright, and a tab with the Space.

Importing this skips a test file where chromium or Playwright is missing; RELIABLESWAP_BROWSER=1 makes that an error.
"""

from __future__ import annotations

import os
import shutil

import gradio as gr
import pytest

REQUIRED = os.environ.get("RELIABLESWAP_BROWSER") == "1"
CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))),
    None,
)

try:
    from playwright.sync_api import Browser as Browser
    from playwright.sync_api import Page as Page
    from playwright.sync_api import Playwright as Playwright
    from playwright.sync_api import expect as expect
    from playwright.sync_api import sync_playwright as sync_playwright
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

expect.set_options(timeout=20_000)  # a busy machine takes its time
WIDE, PHONE = {"width": 1360, "height": 900}, {"width": 390, "height": 844}


class Tab:
    """A browser tab with the Space; `close` fails if the page logged an error or sent a request elsewhere.

    All tabs of a browser share its cache: without it, loading the page would take most of a short test's time.
    """

    def __init__(
        self, browser: Browser, page: gr.Blocks, size: dict[str, int], scheme: str = "light"
    ) -> None:
        context = browser.contexts[0] if browser.contexts else browser.new_context()
        self.page: Page = context.new_page()
        self.page.set_viewport_size(size)  # type: ignore[arg-type]
        self.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        self.home = page.local_url
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
        shown, more = self.page.get_by_role("tab", name=tab), self.page.get_by_label("More tabs")
        if shown.count() and shown.first.is_visible():
            shown.first.click()
        else:  # a phone's narrow screen moves some tabs to a menu
            more.click()
            self.page.locator(".overflow-dropdown").get_by_text(tab).click()

    def take_example(self, number: int) -> None:
        self.page.locator("#examples button").nth(number).click()
        expect(self.page.locator("#face-0")).to_be_visible(timeout=20_000)

    def is_dark(self) -> bool:
        dark: bool = self.page.evaluate("document.body.classList.contains('dark')")
        return dark

    def overflow(self) -> int:
        wide: int = self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        return wide

    def close(self) -> None:
        self.page.close()
        assert self.complaints == []
