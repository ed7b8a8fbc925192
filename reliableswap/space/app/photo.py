"""The tab "Photo": pictures, faces and result, from left to right."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import gradio as gr

from reliableswap.errors import ReliableSwapError
from reliableswap.pipelines.image import Engine
from reliableswap.space import examples
from reliableswap.space.consent import NOTE, STATEMENT
from reliableswap.space.events import (
    ONE_AT_A_TIME,
    PAGE_ONLY,
    UNCHECKED,
    one_line,
    show_errors,
    show_refusals,
)
from reliableswap.space.files import File, read_upload
from reliableswap.space.handlers import publish_before, swap_faces
from reliableswap.space.inputs import ENGINES, STRENGTHS, default_strength
from reliableswap.space.limits import MAX_FACES, MAX_MEGABYTES, MAX_MEGAPIXELS, MAX_SOURCES
from reliableswap.space.views import face_crop, report_html
from reliableswap.space.work import Worker

LEAVE_ALONE = -1  # the choice of a face that gets no source
LETTERS = "ABCDEFGHIJ"[:MAX_SOURCES]  # the names of the sources
_NO_TARGET = "The faces of the target photo will appear here, each with a choice of source."
_Gallery = Sequence[File]  # as Gradio passes it: one entry a picture, with its file under "image"


def photo_tab(worker: Worker) -> gr.Gallery | None:
    """Build the tab inside the current page; return the gallery of examples, which is filled later."""
    with gr.Row(equal_height=False):
        with gr.Column(min_width=300):
            gr.Markdown("### 1 · Pictures", elem_classes="step")
            sources, target = _uploads()
            example_gallery = _examples()
        with gr.Column(min_width=300):
            gr.Markdown("### 2 · Faces", elem_classes="step")
            found = gr.Markdown(_NO_TARGET, elem_classes="quiet", elem_id="found")
            cards, portraits, choices = _face_cards()
            engine, strengths = _settings(worker)
            agreed = gr.Checkbox(label=STATEMENT, value=False, elem_classes="consent", elem_id="agreed")
            button = gr.Button("Swap", variant="primary", size="lg", elem_id="swap")
        with gr.Column(min_width=300):
            gr.Markdown("### 3 · Result", elem_classes="step")
            result = _result()

    gr.on([sources.upload, sources.delete], label_sources, sources, sources, **PAGE_ONLY, **UNCHECKED)
    sources.change(update_choices, [sources, *choices], choices, **PAGE_ONLY, **UNCHECKED)
    target.change(
        functools.partial(show_faces, worker),
        [target, sources],
        [found, *cards, *portraits, *choices],
        api_visibility="private",
        **UNCHECKED,
        **ONE_AT_A_TIME,
    )
    button.click(
        functools.partial(_swap, worker),
        [sources, target, agreed, engine, *strengths, *choices],
        result,
        api_visibility="private",
        **UNCHECKED,
        **ONE_AT_A_TIME,
    )
    if example_gallery is not None:
        example_gallery.select(load_example, None, [sources, target, *choices], **PAGE_ONLY)
    return example_gallery


def _uploads() -> tuple[gr.Gallery, gr.Image]:
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
        "megapixels. Files are deleted after about an hour.",
        elem_classes="quiet",
    )
    return sources, target


def _examples() -> gr.Gallery | None:
    """Build the gallery of examples, which is filled when somebody opens the page; None without `openpeople`."""
    if not examples.available():
        return None
    gr.Markdown("Or try an example, with people who do not exist:", elem_classes="quiet")
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


def _face_cards() -> tuple[list[gr.Column], list[gr.Image], list[gr.Dropdown]]:
    """Build MAX_FACES hidden cards, each with a face and a choice of source."""
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
                        value=LEAVE_ALONE,
                        label=f"Face {number} gets",
                        filterable=False,
                        elem_id=f"face-{number}",
                    )
                )
            cards.append(card)
    return cards, portraits, choices


def _settings(worker: Worker) -> tuple[gr.Radio, list[gr.Slider]]:
    neural = "; neural generates the face" if "neural" in worker.engines else ""
    engine = gr.Radio(
        [(ENGINES[name], name) for name in worker.engines],
        value="auto",
        label="Engine",
        info=f"Blend uses the source photo's own skin{neural}.",
        elem_id="engine",
    )
    with gr.Accordion("Likeness, shape and more", open=False):
        strengths = [
            gr.Slider(0, 1, default_strength(name), step=0.05, label=name.capitalize(), info=info)
            for name, info in STRENGTHS.items()
        ]
    return engine, strengths


def _result() -> list[Any]:
    return [
        gr.ImageSlider(
            label="Before and after",
            interactive=False,
            type="filepath",
            buttons=["fullscreen"],
            max_height=460,
            elem_id="slider",
        ),
        gr.Markdown("The result will appear here.", elem_classes="quiet", elem_id="note"),
        gr.DownloadButton("Download the result (PNG)", visible=False, elem_id="download"),
        gr.HTML(elem_id="report"),
    ]


def example_thumbnails() -> list[tuple[str, str]]:
    """Return the examples' pictures and captions."""
    return [(examples.shared.thumbnail(i), example.caption) for i, example in enumerate(examples.EXAMPLES)]


def load_example(event: gr.SelectData) -> list[Any]:
    """Fill in the example that was chosen, with one source for each face."""
    sources, target = examples.shared.pictures(int(event.index))
    return [_labelled(sources), target, *_dropdowns(len(sources), _one_each(len(sources)))]


def label_sources(gallery: _Gallery | None) -> list[tuple[str, str]]:
    """Label the pictures A, B, C, ... in their order, and drop those over the limit."""
    files = _files(gallery)
    if len(files) > MAX_SOURCES:
        gr.Warning(f"Only the first {MAX_SOURCES} pictures are kept.", title="Too many sources")
    return _labelled([str(file.get("path")) for file in files])


def update_choices(gallery: _Gallery | None, *chosen: int) -> list[gr.Dropdown]:
    """Update the faces' choices after sources were added or removed."""
    sources = len(_files(gallery))
    return _dropdowns(sources, keep_choices(sources, chosen))


def keep_choices(sources: int, chosen: Sequence[int]) -> list[int]:
    """Keep the choices whose source is still there; if none is left, give the first source to the largest face."""
    kept = [choice if isinstance(choice, int) and choice < sources else LEAVE_ALONE for choice in chosen]
    if sources and all(choice == LEAVE_ALONE for choice in kept):
        kept[0] = 0
    return kept


@show_errors
def show_faces(worker: Worker, target: File | None, gallery: _Gallery | None) -> list[Any]:
    """Show a card for each face of a new target photo."""
    message, crops = _NO_TARGET, []
    if target:
        try:
            photo = read_upload(target, "target photo")
            faces = worker.find(photo)
            crops = [face_crop(photo, face) for face in faces[:MAX_FACES]]
            message = _count(len(faces))
        except ReliableSwapError as error:
            message = one_line(error)
            gr.Warning(message, title="Please choose another photo")
    sources = len(_files(gallery))
    return [
        message,
        *(gr.Column(visible=number < len(crops)) for number in range(MAX_FACES)),
        *(crops[number] if number < len(crops) else None for number in range(MAX_FACES)),
        *_dropdowns(sources, _one_each(min(sources, len(crops)))),
    ]


def _count(faces: int) -> str:
    if faces == 1:
        return "One face found."
    message = f"{faces} faces found, the largest first."
    if faces > MAX_FACES:
        message += f" This page offers the {MAX_FACES} largest; the API takes all of them."
    return message


@show_errors
@show_refusals
def _swap(
    worker: Worker,
    gallery: _Gallery | None,
    target: File | None,
    agreed: bool,
    engine: Engine,
    *given: Any,
) -> tuple[Any, ...]:
    """given: the strengths, and then the source chosen for each face."""
    sources = _files(gallery)
    strengths, chosen = given[: len(STRENGTHS)], given[len(STRENGTHS) :]
    faces = {number: source for number, source in enumerate(chosen) if source != LEAVE_ALONE}
    if sources and target and not faces:
        raise ReliableSwapError("every face is left alone; choose a source for at least one")
    path, swap = swap_faces(worker, dict(enumerate(sources)), target, agreed, faces, engine, *strengths)
    return (
        (publish_before(swap), path),
        f"**{NOTE}. This picture does not show what happened.** Move the line to compare.",
        gr.DownloadButton(value=path, visible=True),
        report_html(swap.report),
    )


def _files(gallery: _Gallery | None) -> list[File]:
    return [entry.get("image") or entry.get("video") or {} for entry in gallery or []]


def _labelled(paths: Sequence[str]) -> list[tuple[str, str]]:
    return [(path, f"Source {letter}") for path, letter in zip(paths, LETTERS, strict=False)]


def _one_each(faces: int) -> list[int]:
    """The first face gets the first source, and so on; further faces are left alone."""
    return [number if number < faces else LEAVE_ALONE for number in range(MAX_FACES)]


def _dropdowns(sources: int, choices: Sequence[int]) -> list[gr.Dropdown]:
    return [gr.Dropdown(choices=_options(sources), value=choice) for choice in choices]


def _options(sources: int) -> list[tuple[str, int]]:
    named = [(f"Source {letter}", number) for number, letter in enumerate(LETTERS[:sources])]
    return [("Leave alone", LEAVE_ALONE), *named]
