"""The tab "Photo": pictures, faces and result, from left to right."""

from __future__ import annotations

import functools
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
from reliableswap.space.inputs import PARTS, STRENGTHS
from reliableswap.space.limits import MAX_FACES, MAX_MEGABYTES, MAX_MEGAPIXELS
from reliableswap.space.views import face_crop, report_html
from reliableswap.space.work import Worker

from .choosing import (
    PHOTOS,
    Uploads,
    chosen_sources,
    dropdowns,
    engine_choice,
    face_cards,
    follow_person,
    labelled,
    mapping_of,
    one_each,
    parts_and_age,
    person_choice,
    source_names,
    sources_gallery,
    strength_sliders,
    update_choices,
)

_NO_TARGET = "The faces of the target photo will appear here, each with a choice of source."


def photo_tab(worker: Worker) -> gr.Gallery | None:
    """Build the tab inside the current page; return the gallery of examples, which is filled later."""
    with gr.Row(equal_height=False):
        with gr.Column(min_width=300):
            gr.Markdown("### 1 · Pictures", elem_classes="step")
            person, portrait = person_choice(worker, "person")
            sources, target = _uploads()
            example_gallery = _examples()
        with gr.Column(min_width=300):
            gr.Markdown("### 2 · Faces", elem_classes="step")
            found = gr.Markdown(_NO_TARGET, elem_classes="quiet", elem_id="found")
            cards, portraits, choices = face_cards("Face", MAX_FACES, 0, "of the target photo")
            engine, strengths, parts, age = _settings(worker)
            agreed = gr.Checkbox(label=STATEMENT, value=False, elem_classes="consent", elem_id="agreed")
            button = gr.Button("Swap", variant="primary", size="lg", elem_id="swap")
        with gr.Column(min_width=300):
            gr.Markdown("### 3 · Result", elem_classes="step")
            result = _result()

    follow_person(worker, person, portrait, sources, engine, choices)
    sources.change(update_choices, [person, sources, *choices], choices, **PAGE_ONLY, **UNCHECKED)
    target.change(
        functools.partial(show_faces, worker),
        [target, sources, person],
        [found, *cards, *portraits, *choices],
        api_visibility="private",
        **UNCHECKED,
        **ONE_AT_A_TIME,
    )
    button.click(
        functools.partial(_swap, worker),
        [person, sources, target, agreed, engine, age, *strengths, *parts, *choices],
        result,
        api_visibility="private",
        **UNCHECKED,
        **ONE_AT_A_TIME,
    )
    if example_gallery is not None:
        example_gallery.select(load_example, person, [sources, target, *choices], **PAGE_ONLY)
    return example_gallery


def _uploads() -> tuple[gr.Gallery, gr.Image]:
    sources = sources_gallery("sources")
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
    """Build the gallery of examples, which is filled when the page is opened; None without `openpeople`."""
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


def _settings(worker: Worker) -> tuple[gr.Radio, list[gr.Slider], list[gr.Radio], gr.Slider]:
    engine = engine_choice(worker, "engine")
    with gr.Accordion("Likeness, shape and more", open=False):
        strengths = strength_sliders()
    return engine, strengths, *parts_and_age()


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


def load_example(person: str, event: gr.SelectData) -> list[Any]:
    """Fill in the example that was chosen, with one source for each face; a trained person stays the source."""
    sources, target = examples.shared.pictures(int(event.index))
    gallery = labelled(sources)
    names = [person] if person != PHOTOS else [name for _, name in gallery]
    return [gallery, target, *dropdowns(names, one_each(len(names), MAX_FACES))]


@show_errors
def show_faces(
    worker: Worker, target: File | None, gallery: Uploads | None, person: str = PHOTOS
) -> list[Any]:
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
    names = source_names(person, gallery)
    return [
        message,
        *(gr.Column(visible=number < len(crops)) for number in range(MAX_FACES)),
        *(crops[number] if number < len(crops) else None for number in range(MAX_FACES)),
        *dropdowns(names, one_each(min(len(names), len(crops)), MAX_FACES)),
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
    person: str,
    gallery: Uploads | None,
    target: File | None,
    agreed: bool,
    engine: Engine,
    age: float,
    *given: Any,
) -> tuple[Any, ...]:
    """given: the strengths, the side of each part, and then the source chosen for each face."""
    sources, first, second = chosen_sources(person, gallery), len(STRENGTHS), len(STRENGTHS) + len(PARTS)
    strengths, parts = given[:first], dict(zip(PARTS, given[first:second], strict=True))
    faces = mapping_of(given[second:])
    if sources and target and not faces:
        raise ReliableSwapError("every face is left alone; choose a source for at least one")
    path, swap = swap_faces(
        worker, sources, target, agreed, faces, engine, *strengths, attributes=parts, age=age
    )
    return (
        (publish_before(swap), path),
        f"**{NOTE}. This picture does not show what happened.** Move the line to compare.",
        gr.DownloadButton(value=path, visible=True),
        report_html(swap.report),
    )
