"""The page: what it is, the tabs, the rules."""

from __future__ import annotations

import gradio as gr

from reliableswap.pipelines.image import ReliableSwapPipeline
from reliableswap.space.api import api
from reliableswap.space.consent import RULES
from reliableswap.space.limits import (
    KEEP_SECONDS,
    MAX_FACES,
    MAX_MEGABYTES,
    MAX_MEGAPIXELS,
    MAX_SOURCES,
    QUEUE_SIZE,
    SWEEP_SECONDS,
)
from reliableswap.space.work import Worker

from .making import making_tab
from .photo import example_strip, photo_tab
from .verify import verify_tab

_HEAD = f"""
# ReliableSwap
Put one person's identity on another's photo; pose, expression, light and background stay.

<div class="rules">{RULES}</div>
"""

_KEPT = f"{KEEP_SECONDS // 60} to {(KEEP_SECONDS + SWEEP_SECONDS) // 60}"
_SMALL_PRINT = f"""
**Allowed.** Faces of adults who agreed to this swap, and of people who do not exist.

**Not allowed.** Children's faces. Anything sexual. Making others believe that somebody did or said something;
impersonation, fraud, harassment. You answer for what you make.

**Marks.** Every result carries a visible note in its corner and the IPTC mark for media made with AI in its
metadata, with the statement you confirmed. Please leave both in.

**Your files.** Uploads and results stay on this server for {_KEPT} minutes, under addresses that nobody can guess,
and are then deleted. Nothing is kept in the browser, and the page loads nothing from other servers.

**Limits.** Pictures up to {MAX_MEGABYTES} MB and {MAX_MEGAPIXELS} megapixels, {MAX_SOURCES} sources, {MAX_FACES} faces
on this page. One job runs at a time and {QUEUE_SIZE} may wait. Heads turned far from the source's, rimless glasses,
loose hair over the face and hard coloured light leave traces.
"""


def build(pipe: ReliableSwapPipeline | None = None) -> gr.Blocks:
    """The page around a pipeline; the bundled one by default."""
    worker = Worker(pipe)
    with gr.Blocks(
        title="ReliableSwap", analytics_enabled=False, delete_cache=(SWEEP_SECONDS, KEEP_SECONDS)
    ) as page:
        gr.Markdown(_HEAD, elem_classes="head")
        with gr.Tabs():
            with gr.Tab("Photo", id="photo"):
                strip = photo_tab(worker)
            with gr.Tab("How it is made", id="making"):
                making_tab(worker)
            with gr.Tab("Verify", id="verify"):
                verify_tab()
        with gr.Accordion("Rules, your files and limits", open=False):
            gr.Markdown(_SMALL_PRINT)
        api(worker)
        if strip is not None:
            page.load(
                example_strip, None, strip, api_visibility="private", queue=False, show_progress="hidden"
            )
    return page
