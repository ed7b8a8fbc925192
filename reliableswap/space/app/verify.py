"""The tab "Verify": does a file say that AI made it, and with what software?"""

from __future__ import annotations

import gradio as gr

from reliableswap.space.events import UNCHECKED, show_errors
from reliableswap.space.files import File
from reliableswap.space.handlers import verify
from reliableswap.space.views import verification_html


def verify_tab() -> None:
    """Build the tab inside the current page."""
    gr.Markdown(
        "Add a picture or a clip to read what it says about how it was made. Results of this page carry signed "
        "metadata (C2PA), the IPTC mark for media made with AI, and a watermark in their pixels.",
        elem_classes="quiet",
    )
    with gr.Row(equal_height=False):
        with gr.Column(min_width=280):
            file = gr.File(
                label="File to check", file_types=["image", "video"], type="filepath", elem_id="verify-file"
            )
        with gr.Column(min_width=280):
            verdict = gr.HTML(elem_id="verdict")

    @show_errors
    def show_verdict(file: File | None) -> str:
        return verification_html(verify(file)) if file else ""

    file.change(show_verdict, file, verdict, api_visibility="private", **UNCHECKED)
