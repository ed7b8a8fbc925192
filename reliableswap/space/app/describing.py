"""The tab "Describe and draw": what a face looks like, and faces of people who do not exist."""

from __future__ import annotations

import gradio as gr

from reliableswap.space.events import ONE_AT_A_TIME, UNCHECKED, show_errors, show_refusals
from reliableswap.space.files import File
from reliableswap.space.unified import MAX_CHARACTERS, describe, draw


def describing_tab() -> None:
    """Build the tab inside the current page."""
    gr.Markdown(
        "A small network says what a face looks like, and draws faces of people who do not exist. It makes "
        "mistakes: treat its answers as guesses, not as facts about a person.",
        elem_classes="quiet",
    )
    with gr.Row(equal_height=False):
        with gr.Column(min_width=280):
            photo = gr.Image(
                label="Photo", type="filepath", image_mode=None, sources=["upload", "clipboard"], height=260,
                buttons=[], elem_id="photo-described",
            )  # fmt: skip
            question = gr.Textbox(
                label="Question", placeholder="Does she wear glasses? Leave empty for a description",
                max_length=MAX_CHARACTERS, elem_id="question",
            )  # fmt: skip
            ask = gr.Button("Describe or answer", variant="primary", elem_id="ask")
            answer = gr.Textbox(label="Answer", interactive=False, elem_id="answer")
        with gr.Column(min_width=280):
            description = gr.Textbox(
                label="Description", value="a bearded man with glasses, smiling", max_length=MAX_CHARACTERS,
                elem_id="description",
            )  # fmt: skip
            seed = gr.Number(label="Seed", value=0, precision=0, minimum=0, elem_id="seed")
            button = gr.Button("Draw a face", variant="primary", elem_id="draw")
            drawn = gr.Image(
                label="Drawn face", interactive=False, format="png", height=260, elem_id="drawn",
                alt_text="A face of a person who does not exist, drawn from the description",
            )  # fmt: skip

    @show_errors
    @show_refusals
    def show_answer(photo: File | None, question: str) -> str:
        return describe(photo, question)

    @show_errors
    @show_refusals
    def show_drawn(description: str, seed: float) -> str:
        return draw(description, seed)

    ask.click(show_answer, [photo, question], answer, api_visibility="private", **UNCHECKED, **ONE_AT_A_TIME)
    button.click(
        show_drawn, [description, seed], drawn, api_visibility="private", **UNCHECKED, **ONE_AT_A_TIME
    )
