"""The tab "How it is made": two photos become a naive triplet, and then a cycle triplet, step by step."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from reliableswap.space import examples
from reliableswap.space.consent import STATEMENT
from reliableswap.space.handlers import made_triplet
from reliableswap.space.toasts import toasts
from reliableswap.space.work import Worker

from .photo import HEAVY, RAW


@dataclass(frozen=True)
class Plate:
    """One picture of the figure: which one it is, its title, and one sentence."""

    picture: str
    title: str
    says: str


ROWS: dict[str, tuple[Plate, ...]] = {
    "From two photos to C_ab": (
        Plate("a", "C_a, a real photo", "It gives pose, expression, hair, light and background."),
        Plate("b", "C_b, a real photo", "It gives the identity."),
        Plate("reshaped", "1 · Reshaped", "The outline of a's face moves towards b's proportions."),
        Plate("reenacted", "2 · Reenacted", "b's real skin is drawn onto a's pose and expression."),
        Plate("recoloured", "3 · Recoloured", "Skin tone and light become those of a's photo."),
        Plate("ab", "4 · Blended: C_ab", "Both are joined band by band; eyes, mouth and hair stay a's."),
    ),
    "Naive triplet: the answer is synthetic": (
        Plate("a", "Target C_a, real", "A network is shown the photo of a."),
        Plate("b", "Source C_b, real", "It is given the identity of b."),
        Plate("ab", "Answer C_ab, synthetic", "It would learn to copy every flaw of this synthetic answer."),
    ),
    "Cycle triplet: the answer is a real photo": (
        Plate("ab", "Target C_ab, synthetic", "Now the network is shown the synthetic picture."),
        Plate(
            "ba", "Source C_ba, synthetic", "It is given the identity of a, from the other synthetic picture."
        ),
        Plate("a", "Truth C_a, real", "The right answer is the real photo, true in every pixel."),
    ),
}
ANSWER = Plate(
    "network", "The network's answer", "What the loaded generator makes of the cycle triplet's input."
)


def figure(worker: Worker) -> dict[str, tuple[Plate, ...]]:
    """The rows of the figure; the network's answer stands beside the truth where there is a network."""
    if worker.pipe.generator is None:
        return ROWS
    *others, cycle = ROWS
    return {**{title: ROWS[title] for title in others}, cycle: (*ROWS[cycle], ANSWER)}


def making_tab(worker: Worker) -> None:
    """Build the tab inside the current page."""
    rows = figure(worker)
    gr.Markdown(
        "Networks for face swapping are usually trained without a true answer. ReliableSwap makes one: it swaps the "
        "faces of two real photos both ways without any network, and then asks the network for the way back.",
        elem_classes="quiet",
    )
    with gr.Row():
        picture = functools.partial(
            gr.Image,
            type="filepath",
            image_mode=None,
            sources=["upload", "clipboard"],
            height=220,
            buttons=[],
        )
        a = picture(label="Photo a: the attributes", elem_id="photo-a")
        b = picture(label="Photo b: the identity", elem_id="photo-b")
        with gr.Column(min_width=260):
            agreed = gr.Checkbox(
                label=STATEMENT, value=False, elem_classes="consent", elem_id="agreed-making"
            )
            make = gr.Button("Make the triplets", variant="primary", size="lg", elem_id="make")
            if examples.available():
                example = gr.Button("Fill in two people who do not exist", elem_id="example-making")
                example.click(
                    example_pair, None, [a, b], api_visibility="private", queue=False, show_progress="hidden"
                )
    plates: list[tuple[Plate, gr.Image]] = []
    with gr.Column(visible=False, elem_classes="figure", elem_id="figure") as shown:
        for title, row in rows.items():
            gr.Markdown(f"### {title}", elem_classes="step")
            with gr.Row():
                for plate in row:
                    with gr.Column(min_width=150, elem_classes="plate"):
                        plates.append((plate, _plate(plate)))
                        gr.Markdown(plate.says, elem_classes="says")
    names = [plate.picture for plate, _ in plates]

    @toasts
    def make_figure(a: Mapping[str, Any] | None, b: Mapping[str, Any] | None, agreed: bool) -> list[Any]:
        paths = made_triplet(worker, a, b, agreed)
        return [gr.Column(visible=True), *(paths[name] for name in names)]

    make.click(
        make_figure,
        [a, b, agreed],
        [shown, *(image for _, image in plates)],
        api_visibility="private",
        **RAW,
        **HEAVY,
    )


def _plate(plate: Plate) -> gr.Image:
    return gr.Image(
        label=plate.title,
        interactive=False,
        format="png",
        buttons=["fullscreen"],
        alt_text=f"{plate.title}: {plate.says}",
    )


def example_pair() -> tuple[str, str]:
    (b,), a = examples.pictures(0)
    return a, b
