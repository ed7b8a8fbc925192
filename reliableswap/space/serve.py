"""Serve the page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from reliableswap.space.app.theme import CSS, JS, theme

from .files import shared_storage
from .limits import MAX_RESULT_MEGABYTES, QUEUE_SIZE, SWEEP_SECONDS
from .request_filter import RequestFilter
from .storage import sweeping


@asynccontextmanager
async def _sweep_while_serving(_: Any) -> AsyncIterator[None]:
    with sweeping(shared_storage(), SWEEP_SECONDS):
        yield


def launch(page: gr.Blocks, **options: Any) -> gr.Blocks:
    """Serve the page and return it. `options` are those of gradio.Blocks.launch and override ours.

    While the server runs, a background thread deletes old uploads and results.
    """
    settings: dict[str, Any] = {
        "theme": theme(),
        "css": CSS,
        "js": JS,
        "max_file_size": f"{MAX_RESULT_MEGABYTES}mb",  # of files to verify; pictures to swap have a lower limit
        "show_error": False,  # errors meant for people are raised as gradio.Error, which is shown anyway
        "ssr_mode": False,
        "run_history": False,  # it would keep people's photos in the browser
        "enable_monitoring": False,
        "footer_links": ["api", "settings"],
        "mcp_server": find_spec("mcp") is not None,  # the extra `mcp`
        "app_kwargs": {
            "middleware": [Middleware(RequestFilter, storage=shared_storage())],
            "lifespan": _sweep_while_serving,
            # The web framework's documentation pages load scripts from other servers; Gradio has a page of its own.
            "docs_url": None,
            "redoc_url": None,
        },
    }
    # Not open: requests that bypass the queue would bypass its limits.
    page.queue(max_size=QUEUE_SIZE, default_concurrency_limit=2, api_open=False).launch(
        **(settings | options)
    )
    return page
