"""A browser that all files of tests here share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.browser import CHROMIUM, Browser, Playwright, sync_playwright


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    # Chromium needs --no-sandbox as root and in containers; it only opens our own page.
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
    yield browser
    browser.close()
