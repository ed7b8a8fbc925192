"""How the page is served."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from reliableswap.space.app.theme import CSS, JS, theme

from .limits import MAX_RESULT_MEGABYTES, QUEUE_SIZE
from .request_filter import Gate


def launch(page: gr.Blocks, **options: Any) -> gr.Blocks:
    """Serve the page; `options` are gradio.Blocks.launch's and come before ours. Returns the page."""
    settings: dict[str, Any] = {
        "theme": theme(),
        "css": CSS,
        "js": JS,
        "max_file_size": f"{MAX_RESULT_MEGABYTES}mb",  # for the mark; pictures to swap have a limit of their own
        "show_error": False,  # only messages that were written for people
        "ssr_mode": False,
        "run_history": False,  # it would keep people's photos in the browser
        "enable_monitoring": False,
        "footer_links": ["api", "settings"],
        "mcp_server": find_spec("mcp") is not None,  # the extra `mcp`
        # Documentation pages of the web framework load scripts from elsewhere; the page has its own.
        "app_kwargs": {"middleware": [Middleware(Gate)], "docs_url": None, "redoc_url": None},
    }
    # Not open: requests that go past the queue would go past its limits, too.
    page.queue(max_size=QUEUE_SIZE, default_concurrency_limit=2, api_open=False).launch(
        **(settings | options)
    )
    return page
