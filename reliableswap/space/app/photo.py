"""The photo tab, from left to right: pictures, faces, result."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from reliableswap.errors import ReliableSwapError
from reliableswap.pipelines.image import Engine
from reliableswap.space import examples
from reliableswap.space.consent import NOTE, STATEMENT
from reliableswap.space.files import read_upload
from reliableswap.space.handlers import before_view, made_swap
from reliableswap.space.limits import MAX_FACES, MAX_MEGABYTES, MAX_MEGAPIXELS, MAX_SOURCES
from reliableswap.space.toasts import one_line, toasts
from reliableswap.space.work import ENGINES, STRENGTHS, Worker, face_crop, report_html

ALONE = -1  # a face without a source
LETTERS = "ABCDEFGHIJ"[:MAX_SOURCES]
HEAVY: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "device"}  # one heavy job at a time
# Files are checked by our own code, which knows better messages than the components.
RAW: dict[str, Any] = {"preprocess": False}
_WAITING = "The faces of the target photo will appear here, each with a choice of source."


def photo_tab(worker: Worker) -> gr.Gallery | None:
    """Build the tab inside the current page; returns the strip of examples, to be filled later."""
    with gr.Row(equal_height=False):
        with gr.Column(min_width=300):
            gr.Markdown("### 1 · Pictures", elem_classes="step")
            sources = gr.Gallery(
                label=f"Sources: the faces to put in, up to {MAX_SOURCES} pictures",
                type="filepath",
                file_types=["image"],
                columns=3,
                height=190,
                object_fit="cover",
                interactive=True,
                buttons=[],
                elem_id="sources",
            )
            target = gr.Image(
                label="Target: the photo they go into",
                type="filepath",
                image_mode=None,
                sources=["upload", "clipboard"],
                height=280,
                buttons=[],
                elem_id="target",
            )
            gr.Markdown(
                f"JPEG, PNG, WebP, TIFF, BMP, GIF or AVIF, up to {MAX_MEGABYTES} MB and {MAX_MEGAPIXELS} "
                "megapixels. Files are deleted after an hour.",
                elem_classes="quiet",
            )
            shown = _examples()
        with gr.Column(min_width=300):
            gr.Markdown("### 2 · Faces", elem_classes="step")
            found = gr.Markdown(_WAITING, elem_classes="quiet", elem_id="found")
            cards, portraits, choices = _face_cards()
            engine = gr.Radio(
                [(ENGINES[name], name) for name in worker.engines],
                value="auto",
                label="Engine",
                info="Blend uses the source's real texture"
                + ("; neural generates the face." if "neural" in worker.engines else "."),
                elem_id="engine",
            )
            with gr.Accordion("Likeness, shape and more", open=False):
                strengths = [
                    gr.Slider(0, 1, value, step=0.05, label=name.capitalize(), info=says)
                    for name, (value, says) in STRENGTHS.items()
                ]
            agreed = gr.Checkbox(label=STATEMENT, value=False, elem_classes="consent", elem_id="agreed")
            button = gr.Button("Swap", variant="primary", size="lg", elem_id="swap")
        with gr.Column(min_width=300):
            gr.Markdown("### 3 · Result", elem_classes="step")
            slider = gr.ImageSlider(
                label="Before and after",
                interactive=False,
                type="filepath",
                buttons=["fullscreen"],
                max_height=460,
                elem_id="slider",
            )
            note = gr.Markdown("The result will appear here.", elem_classes="quiet", elem_id="note")
            download = gr.DownloadButton("Download the result (PNG)", visible=False, elem_id="download")
            report = gr.HTML(elem_id="report")

    recaption = functools.partial(gr.on, [sources.upload, sources.delete], queue=False, **RAW)
    recaption(captioned, sources, sources, api_visibility="private", show_progress="hidden")
    sources.change(
        remapped,
        [sources, *choices],
        choices,
        api_visibility="private",
        queue=False,
        show_progress="hidden",
        **RAW,
    )
    target.change(
        functools.partial(show_faces, worker),
        [target, sources],
        [found, *cards, *portraits, *choices],
        api_visibility="private",
        **RAW,
        **HEAVY,
    )
    button.click(
        functools.partial(_swapped, worker),
        [sources, target, agreed, engine, *strengths, *choices],
        [slider, note, download, report],
        api_visibility="private",
        **RAW,
        **HEAVY,
    )
    if shown is not None:
        shown.select(
            chosen_example,
            None,
            [sources, target, *choices],
            api_visibility="private",
            queue=False,
            show_progress="hidden",
        )
    return shown


def _examples() -> gr.Gallery | None:
    """A strip of examples, filled when the page is first looked at; nothing without the package."""
    if not examples.available():
        return None
    gr.Markdown("Or take an example, with people who do not exist:", elem_classes="quiet")
    return gr.Gallery(
        label="Examples with people who do not exist",
        show_label=False,
        columns=3,
        height=84,
        object_fit="contain",
        allow_preview=False,
        interactive=False,
        buttons=[],
        elem_id="examples",
    )


def example_strip() -> list[tuple[str, str]]:
    return [(examples.thumbnail(number), one.says) for number, one in enumerate(examples.EXAMPLES)]


def _face_cards() -> tuple[list[gr.Column], list[gr.Image], list[gr.Dropdown]]:
    """A fixed number of cards, shown as far as there are faces."""
    cards, portraits, choices = [], [], []
    with gr.Row(elem_classes="faces", elem_id="faces"):
        for number in range(MAX_FACES):
            with gr.Column(min_width=132, visible=False, elem_classes="face") as card:
                portraits.append(
                    gr.Image(
                        label=f"Face {number}",
                        show_label=False,
                        interactive=False,
                        height=132,
                        buttons=[],
                        alt_text=f"Face {number} of the target photo",
                    )
                )
                choices.append(
                    gr.Dropdown(
                        _options(0),
                        value=ALONE,
                        label=f"Face {number} gets",
                        filterable=False,
                        elem_id=f"face-{number}",
                    )
                )
            cards.append(card)
    return cards, portraits, choices


def _options(sources: int) -> list[tuple[str, int]]:
    return [("Leave alone", ALONE), *((f"Source {LETTERS[i]}", i) for i in range(min(sources, MAX_SOURCES)))]


def _files(gallery: Sequence[Mapping[str, Any]] | None) -> list[Mapping[str, Any]]:
    """The files of a gallery as Gradio hands it over."""
    return [entry.get("image") or entry.get("video") or {} for entry in gallery or []]


def captioned(gallery: Sequence[Mapping[str, Any]] | None) -> list[tuple[str, str]]:
    """The same pictures, lettered in their order."""
    files = _files(gallery)
    if len(files) > MAX_SOURCES:
        gr.Warning(f"Only the first {MAX_SOURCES} pictures are kept.", title="Too many sources")
    return [(str(file.get("path")), f"Source {letter}") for file, letter in zip(files, LETTERS, strict=False)]


def assigned(sources: int, chosen: Sequence[int]) -> list[int]:
    """What is still possible of a mapping; where nothing is mapped, the largest face gets the first source."""
    kept = [choice if isinstance(choice, int) and choice < sources else ALONE for choice in chosen]
    if sources and all(choice == ALONE for choice in kept):
        kept[0] = 0
    return kept


def remapped(gallery: Sequence[Mapping[str, Any]] | None, *chosen: int) -> list[Any]:
    """The cards' choices after sources came or went."""
    count = len(_files(gallery))
    return [gr.Dropdown(choices=_options(count), value=value) for value in assigned(count, chosen)]


def show_faces(
    worker: Worker, target: Mapping[str, Any] | None, gallery: Sequence[Mapping[str, Any]] | None
) -> list[Any]:
    """A card for each face of a new target. What goes wrong is said, and the old photo's cards go away."""
    faces, says, crops = 0, _WAITING, []
    if target:
        try:
            photo = read_upload(target, "target photo")
            found = worker.find(photo)
            crops = [face_crop(photo, face) for face in found[:MAX_FACES]]
            faces = len(found)
            says = "One face found." if faces == 1 else f"{faces} faces found, the largest first."
            if faces > MAX_FACES:
                says += f" The {MAX_FACES} largest can be mapped here, all of them through the API."
        except ValueError as error:
            says = one_line(error)
            gr.Warning(says, title="Another photo, please")
    sources = len(_files(gallery))
    # Several sources mean a mapping: each goes to one face until it is changed. A single one goes to the largest.
    start = [number if number < min(sources, len(crops)) else ALONE for number in range(MAX_FACES)]
    return [
        says,
        *(gr.Column(visible=number < len(crops)) for number in range(MAX_FACES)),
        *(crops[number] if number < len(crops) else None for number in range(MAX_FACES)),
        *(gr.Dropdown(choices=_options(sources), value=value) for value in start),
    ]


@toasts
def _swapped(
    worker: Worker,
    gallery: Sequence[Mapping[str, Any]] | None,
    target: Mapping[str, Any] | None,
    agreed: bool,
    engine: Engine,
    *given: Any,
) -> tuple[Any, ...]:
    """given: the strengths, then the source chosen for each face."""
    sources = _files(gallery)
    strengths, chosen = given[: len(STRENGTHS)], given[len(STRENGTHS) :]
    faces = {number: source for number, source in enumerate(chosen) if source != ALONE}
    if sources and target and not faces:
        raise ReliableSwapError("every face is left alone; choose a source for at least one")
    path, swap = made_swap(worker, dict(enumerate(sources)), target, agreed, faces, engine, *strengths)
    return (
        (before_view(swap), path),
        f"**{NOTE}. This picture does not show what happened.** Move the line to compare.",
        gr.DownloadButton(value=path, visible=True),
        report_html(swap.report),
    )


def chosen_example(event: gr.SelectData) -> list[Any]:
    sources, target = examples.pictures(int(event.index))
    choices = [number if number < len(sources) else ALONE for number in range(MAX_FACES)]
    return [
        [(path, f"Source {letter}") for path, letter in zip(sources, LETTERS, strict=False)],
        target,
        *(gr.Dropdown(choices=_options(len(sources)), value=value) for value in choices),
    ]
