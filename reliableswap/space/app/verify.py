"""The tab "Verify": does this file say that it was made by AI, and with what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from reliableswap.space.handlers import marks_html, read_marks
from reliableswap.space.toasts import toasts

from .photo import RAW


def verify_tab() -> None:
    """Build the tab inside the current page."""
    gr.Markdown(
        "Drop a picture to read what it says of its own making. Results of this page carry the IPTC mark for media "
        "made with AI in their metadata.",
        elem_classes="quiet",
    )
    with gr.Row(equal_height=False):
        with gr.Column(min_width=280):
            file = gr.File(
                label="Picture to check", file_types=["image"], type="filepath", elem_id="verify-file"
            )
        with gr.Column(min_width=280):
            verdict = gr.HTML(elem_id="verdict")

    @toasts
    def show_marks(file: Mapping[str, Any] | None) -> str:
        return marks_html(read_marks(file)) if file else ""

    file.change(show_marks, file, verdict, api_visibility="private", **RAW)
