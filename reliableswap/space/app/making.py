"""The tab "How it is made": two photos become triplets, step by step, and one photo both surrogates."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import gradio as gr

from reliableswap.space import examples
from reliableswap.space.consent import STATEMENT
from reliableswap.space.events import ONE_AT_A_TIME, PAGE_ONLY, UNCHECKED, show_errors, show_refusals
from reliableswap.space.files import File
from reliableswap.space.handlers import make_triplet
from reliableswap.space.work import Worker


@dataclass(frozen=True)
class Panel:
    """A picture of the figure: its field of `triplet.Triplet`, a title, and a caption of one sentence."""

    picture: str
    title: str
    caption: str


_ROWS: dict[str, tuple[Panel, ...]] = {
    "From two photos to C_ab": (
        Panel("a", "C_a, a real photo", "It gives pose, expression, hair, light and background."),
        Panel("b", "C_b, a real photo", "It gives the identity."),
        Panel("reshaped", "1 · Reshaped", "The outline of a's face moves towards b's proportions."),
        Panel("reenacted", "2 · Reenacted", "b's real skin is drawn onto a's pose and expression."),
        Panel("recoloured", "3 · Recoloured", "Skin tone and light become those of a's photo."),
        Panel("ab", "4 · Blended: C_ab", "Both are joined band by band; eyes, mouth and hair stay a's."),
    ),
    "Naive triplet: the answer is synthetic": (
        Panel("a", "Target C_a, real", "The network sees the photo of a."),
        Panel("b", "Source C_b, real", "It gets the identity of b."),
        Panel("ab", "Answer C_ab, synthetic", "It would learn to copy every flaw of this synthetic answer."),
    ),
    "Cycle triplet: the answer is a real photo": (
        Panel("ab", "Target C_ab, synthetic", "Now the network sees the synthetic picture."),
        Panel("ba", "Source C_ba, synthetic", "It gets the identity of a, from the other synthetic picture."),
        Panel("a", "Truth C_a, real", "The right answer is the real photo, true in every pixel."),
    ),
    "Both surrogates: one photo of a is enough": (
        Panel("ab", "Target surrogate", "a's attributes with another identity: C_ab, as above."),
        Panel(
            "source",
            "Source surrogate",
            "a's identity with other attributes, made from C_a: another pose, expression, light and colours.",
        ),
        Panel("a", "Truth C_a, real", "So a person with only one photo can be learnt from too."),
    ),
}
_CYCLE = "Cycle triplet: the answer is a real photo"
_NETWORK = Panel(
    "network", "The network's answer", "What this page's generator makes of the cycle triplet's input."
)


def figure_rows(worker: Worker) -> dict[str, tuple[Panel, ...]]:
    """Return the figure's rows by title; with a generator, its answer stands beside the cycle triplet's truth."""
    if worker.pipe.generator is None:
        return _ROWS
    return {**_ROWS, _CYCLE: (*_ROWS[_CYCLE], _NETWORK)}


def making_tab(worker: Worker) -> None:
    """Build the tab inside the current page."""
    gr.Markdown(
        "Networks for face swapping are usually trained without a true answer. ReliableSwap makes one: it swaps the "
        "faces of two real photos both ways without a network, and then trains the network to find the way back.",
        elem_classes="quiet",
    )
    with gr.Row():
        photo = functools.partial(
            gr.Image,
            type="filepath",
            image_mode=None,
            sources=["upload", "clipboard"],
            height=220,
            buttons=[],
        )
        a = photo(label="Photo a: the attributes", elem_id="photo-a")
        b = photo(label="Photo b: the identity", elem_id="photo-b")
        with gr.Column(min_width=260):
            agreed = gr.Checkbox(
                label=STATEMENT, value=False, elem_classes="consent", elem_id="agreed-making"
            )
            button = gr.Button("Make the triplets", variant="primary", size="lg", elem_id="make")
            if examples.available():
                example = gr.Button("Use two people who do not exist", elem_id="example-making")
                example.click(load_example, None, [a, b], **PAGE_ONLY)
    figure, panels = _figure(figure_rows(worker))

    @show_errors
    @show_refusals
    def show_figure(a: File | None, b: File | None, agreed: bool) -> list[Any]:
        paths = make_triplet(worker, a, b, agreed)
        return [gr.Column(visible=True), *(paths[panel.picture] for panel, _ in panels)]

    button.click(
        show_figure,
        [a, b, agreed],
        [figure, *(image for _, image in panels)],
        api_visibility="private",
        **UNCHECKED,
        **ONE_AT_A_TIME,
    )


def _figure(rows: dict[str, tuple[Panel, ...]]) -> tuple[gr.Column, list[tuple[Panel, gr.Image]]]:
    """Build the hidden figure; return it, and its panels with their images."""
    panels: list[tuple[Panel, gr.Image]] = []
    with gr.Column(visible=False, elem_classes="figure", elem_id="figure") as figure:
        for title, row in rows.items():
            gr.Markdown(f"### {title}", elem_classes="step")
            with gr.Row():
                for panel in row:
                    with gr.Column(min_width=150, elem_classes="panel-column"):
                        panels.append((panel, _image(panel)))
                        gr.Markdown(panel.caption, elem_classes="caption")
    return figure, panels


def _image(panel: Panel) -> gr.Image:
    return gr.Image(
        label=panel.title,
        interactive=False,
        format="png",
        buttons=["fullscreen"],
        alt_text=f"{panel.title}: {panel.caption}",
    )


def load_example() -> tuple[str, str]:
    """Return the paths of photos a and b of the first example."""
    (b,), a = examples.shared.pictures(0)
    return a, b
