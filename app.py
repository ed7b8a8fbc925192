"""The Space: two pictures in, one out. `python app.py` and open the address it prints."""

from __future__ import annotations

import functools
import tempfile
import time
import uuid
from pathlib import Path

import gradio as gr

from reliableswap import ReliableSwapError, ReliableSwapPipeline
from reliableswap.media import write_picture

RULES = (
    "Only with faces of adults who agreed, or of people who do not exist. Nothing sexual, no deception. "
    "Every result is marked as made by AI in its metadata."
)

KEEP_SECONDS = 3600


@functools.cache
def pipeline() -> ReliableSwapPipeline:
    return ReliableSwapPipeline.bundled()


@functools.cache
def results() -> tempfile.TemporaryDirectory[str]:
    """Where marked results lie until Gradio has copied them; removed when the process ends."""
    return tempfile.TemporaryDirectory(prefix="reliableswap-")


def fresh_result() -> Path:
    folder = Path(results().name)
    for old in folder.iterdir():
        if old.stat().st_mtime < time.time() - KEEP_SECONDS:
            old.unlink(missing_ok=True)
    return folder / f"{uuid.uuid4().hex}.png"


def swap(source: str, target: str, agreed: bool, likeness: float, shape: float) -> tuple[str, dict]:
    """Put the face of the source picture into the target picture; `agreed`: the people shown agreed."""
    if not agreed:
        raise gr.Error("Please confirm that the people shown agreed, or that they do not exist.")
    if not source or not target:
        raise gr.Error("Please give two pictures: the face, and the photo it goes into.")
    try:
        result = pipeline()(source, target, likeness=likeness, shape=shape)
        # Written here and not by Gradio, which would leave the mark out.
        path = write_picture(result.pictures[0], fresh_result())
    except ReliableSwapError as error:
        raise gr.Error(str(error)) from error
    return str(path), result.report.to_dict()


def build() -> gr.Blocks:
    with gr.Blocks(title="ReliableSwap", delete_cache=(600, KEEP_SECONDS)) as page:
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
