"""The Space: two pictures in, one out. `python app.py` and open the address it prints."""

from __future__ import annotations

import functools

import gradio as gr
from PIL import Image

from reliableswap import ReliableSwapError, ReliableSwapPipeline

RULES = (
    "Only with faces of adults who agreed, or of people who do not exist. Nothing sexual, no deception. "
    "Every result is marked as made by AI in its metadata."
)


@functools.cache
def pipeline() -> ReliableSwapPipeline:
    return ReliableSwapPipeline.bundled()


def swap(source: str, target: str, agreed: bool, likeness: float, shape: float) -> tuple[Image.Image, dict]:
    """Put the face of the source picture into the target picture; `agreed`: the people shown agreed."""
    if not agreed:
        raise gr.Error("Please confirm that the people shown agreed, or that they do not exist.")
    if not source or not target:
        raise gr.Error("Please give two pictures: the face, and the photo it goes into.")
    try:
        result = pipeline()(source, target, likeness=likeness, shape=shape)
    except ReliableSwapError as error:
        raise gr.Error(str(error)) from error
    return result.images[0], result.report.to_dict()


def build() -> gr.Blocks:
    with gr.Blocks(title="ReliableSwap") as page:
        gr.Markdown(f"# ReliableSwap\n{RULES}")
        with gr.Row():
            source = gr.Image(label="Face (source)", type="filepath", sources=["upload", "clipboard"])
            target = gr.Image(label="Photo (target)", type="filepath", sources=["upload", "clipboard"])
            result = gr.Image(label="Result, made by AI", interactive=False, format="png")
        agreed = gr.Checkbox(label="The people shown agreed to this, or they do not exist.", value=False)
        with gr.Accordion("Options", open=False):
            likeness = gr.Slider(0, 1, 1.0, label="Likeness: how much of the source comes in")
            shape = gr.Slider(0, 1, 0.5, label="Shape: how far the outline moves to the source's")
        button = gr.Button("Swap", variant="primary")
        report = gr.JSON(label="Report")
        button.click(swap, [source, target, agreed, likeness, shape], [result, report], api_name="swap")
    return page


if __name__ == "__main__":
    build().queue(max_size=16).launch()
