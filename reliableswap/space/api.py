"""What scripts and agents call: four endpoints with names that stay, and the same four as MCP tools.

The page's own events are private. Each endpoint has components of its own, which are never shown: they give the
API its types. Docstrings become the documentation, so they speak to the caller. Sources come one by one and not as
a list, because MCP tools of Gradio can't take lists of files.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from reliableswap.pipelines.image import Engine
from reliableswap.space.app.making import ROWS
from reliableswap.space.app.photo import HEAVY, RAW

from .handlers import File, found_faces, made_swap, made_triplet, read_marks, swap_facts
from .limits import MAX_SOURCES
from .toasts import toasts
from .work import STRENGTHS, Worker


def api(worker: Worker) -> None:
    """Add the endpoints to the current page."""

    @toasts
    def swap(
        source: File,
        target: File,
        agreed: bool,
        faces: str,
        engine: Engine,
        likeness: float,
        shape: float,
        detail: float,
        expression: float,
        glasses: float,
        source_1: File | None = None,
        source_2: File | None = None,
        source_3: File | None = None,
        source_4: File | None = None,
        source_5: File | None = None,
    ) -> tuple[str, dict[str, Any]]:
        """Put the face of a source into the target photo, or those of several. The result says that AI made it.

        Args:
            source: a picture with the face to put in; the largest face in it counts. It is source 0.
            target: the photo whose faces are replaced.
            agreed: true states that the people shown agreed to this, or do not exist; else it is refused.
            faces: face=source pairs such as "0=1, 2=0", counted from 0, largest face first; empty is 0=0.
            engine: auto, blend, or neural where the server holds a generator.
            likeness: how much of the source comes in, 0 to 1.
            shape: how far the face's outline moves to the source's, 0 to 1.
            detail: how far sharpness and grain follow the target, 0 to 1.
            expression: how far lips, lids and brows are drawn back to the target's, 0 to 1.
            glasses: how far glasses that the target wears stay on, 0 to 1.
            source_1: a further source, for `faces` to name.
            source_2: a further source, for `faces` to name.
            source_3: a further source, for `faces` to name.
            source_4: a further source, for `faces` to name.
            source_5: a further source, for `faces` to name.

        Returns:
            The result, a PNG marked as made by AI.
            The report: engine, device, seconds, and for each face its box, source and likeness before and after.
        """
        given = enumerate((source, source_1, source_2, source_3, source_4, source_5))
        sources = {number: file for number, file in given if file}
        strengths = (likeness, shape, detail, expression, glasses)
        path, made = made_swap(worker, sources, target, agreed, faces, engine, *strengths)
        return path, swap_facts(made)

    @toasts
    def faces(target: File) -> tuple[str, list[dict[str, Any]]]:
        """Find the faces of a photo; their numbers are what `swap` takes.

        Args:
            target: the photo.

        Returns:
            The photo with its faces outlined and numbered.
            Number, box (x0, y0, x1, y1) and score of each face, the largest first.
        """
        return found_faces(worker, target)

    @toasts
    def triplets(a: File, b: File, agreed: bool) -> list[tuple[str, str]]:
        """Make the training data of ReliableSwap from two photos: naive and cycle triplet, with every step.

        Args:
            a: a photo of the person who gives pose, expression, hair and light.
            b: a photo of the person who gives the identity.
            agreed: true states that the people shown agreed to this, or do not exist; else it is refused.

        Returns:
            The pictures, each with its name and a sentence.
        """
        paths = made_triplet(worker, a, b, agreed)
        return [(path, f"{name}: {_SAYS[name]}") for name, path in paths.items()]

    @toasts
    def verify(file: File) -> dict[str, Any]:
        """Read what a picture says of its own making.

        Args:
            file: the picture, unchanged as it was received.

        Returns:
            marked, ai_made, made_here (by this software), software, source_type and details. No mark proves nothing.
        """
        return read_marks(file)

    def picture(label: str) -> gr.File:
        return gr.File(label=label, type="filepath", visible=False)

    agreed = gr.Checkbox(label="agreed", visible=False)
    agreed.value = None  # without a default, so that it has to be said
    shares = [gr.Slider(0, 1, value, label=name, visible=False) for name, (value, _) in STRENGTHS.items()]
    _endpoint(
        swap,
        [
            picture("source"),
            picture("target"),
            agreed,
            gr.Textbox("", label="faces", visible=False),
            gr.Dropdown(worker.engines, value="auto", label="engine", visible=False),
            *shares,
            *(picture(f"source_{number}") for number in range(1, MAX_SOURCES)),
        ],
        [picture("result"), gr.JSON(label="report", visible=False)],
        **HEAVY,
    )
    _endpoint(
        faces, [picture("target")], [picture("numbered"), gr.JSON(label="faces", visible=False)], **HEAVY
    )
    _endpoint(
        triplets,
        [picture("a"), picture("b"), agreed],
        [gr.Gallery(label="pictures", visible=False, format="png")],
        **HEAVY,
    )
    _endpoint(verify, [picture("file")], [gr.JSON(label="marks", visible=False)])


_SAYS = {plate.picture: f"{plate.title}." for row in ROWS.values() for plate in row} | {
    "ab": "C_ab, a's attributes and b's identity; synthetic.",
    "ba": "C_ba, b's attributes and a's identity; synthetic.",
    "a": "C_a, a real photo; the cycle triplet's truth.",
    "b": "C_b, a real photo.",
    "network": "the generator's answer to the cycle triplet's input.",
}


def _endpoint(function: Any, inputs: list[Any], outputs: list[Any], **limits: Any) -> None:
    gr.Button(visible=False).click(function, inputs, outputs, api_name=function.__name__, **RAW, **limits)
