"""A browser for each test file in this folder.

Playwright keeps an event loop running in this thread until it is stopped. It is therefore stopped after each file,
since later tests may start a loop of their own.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.browser import CHROMIUM, Browser, Playwright, sync_playwright


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    # Chromium needs --no-sandbox as root and in containers; it only opens our own page.
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
    yield browser
    browser.close()
