"""What the tabs "Photo" and "Video" share: the sources, a card for each face with a choice of source, the settings."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import gradio as gr

from reliableswap.space.events import PAGE_ONLY, UNCHECKED, show_errors
from reliableswap.space.files import File
from reliableswap.space.inputs import ENGINES, PARTS, STRENGTHS, default_side, default_strength
from reliableswap.space.limits import MAX_SOURCES
from reliableswap.space.people import Trained, with_person
from reliableswap.space.work import Worker
from reliableswap.swap.settings import MAX_YEARS

LEAVE_ALONE = -1  # the choice of a face that gets no source
PHOTOS = ""  # in place of the name of a trained person
LETTERS = "ABCDEFGHIJ"[:MAX_SOURCES]  # the names of the sources
Uploads = Sequence[File]  # as Gradio passes a gallery: one entry per picture, with its file under "image"


def sources_gallery(elem_id: str) -> gr.Gallery:
    """Build the gallery of sources; its pictures get the letters A, B, C, ..."""
    sources = gr.Gallery(
        label=f"Sources: the faces to put in, up to {MAX_SOURCES} pictures",
        type="filepath",
        file_types=["image"],
        columns=3,
        height=190,
        object_fit="cover",
        interactive=True,
        buttons=[],
        elem_id=elem_id,
    )
    gr.on([sources.upload, sources.delete], label_sources, sources, sources, **PAGE_ONLY, **UNCHECKED)
    return sources


def face_cards(name: str, count: int, first: int, where: str) -> tuple[list[Any], list[Any], list[Any]]:
    """Build hidden cards, each with a face and a choice of source: their columns, portraits and choices.

    name: "Face" or "Person", as they are numbered from `first`. where: completes "Face 1 ...".
    """
    cards, portraits, choices = [], [], []
    prefix = name.lower()
    with gr.Row(elem_classes="faces", elem_id=f"{prefix}s"):
        for number in range(first, first + count):
            with gr.Column(min_width=132, visible=False, elem_classes="face") as card:
                portraits.append(
                    gr.Image(
                        label=f"{name} {number}",
                        show_label=False,
                        interactive=False,
                        height=132,
                        buttons=[],
                        alt_text=f"{name} {number} {where}",
                    )
                )
                choices.append(
                    gr.Dropdown(
                        _options(()),
                        value=LEAVE_ALONE,
                        label=f"{name} {number} gets",
                        filterable=False,
                        elem_id=f"{prefix}-{number}",
                    )
                )
            cards.append(card)
    return cards, portraits, choices


def engine_choice(worker: Worker, elem_id: str) -> gr.Radio:
    """Build the choice of engine."""
    neural = "; neural generates the face" if "neural" in worker.engines else ""
    return gr.Radio(
        [(ENGINES[name], name) for name in worker.engines],
        value="auto",
        label="Engine",
        info=f"Blend uses the source photo's own skin{neural}.",
        elem_id=elem_id,
    )


def strength_sliders() -> list[gr.Slider]:
    """Build a slider for each strength."""
    return [
        gr.Slider(0, 1, default_strength(name), step=0.05, label=name.capitalize(), info=info)
        for name, info in STRENGTHS.items()
    ]


def parts_and_age(prefix: str = "") -> tuple[list[gr.Radio], gr.Slider]:
    """Build a choice of side for each part of the face, and the age dial; prefix: of their elements' ids."""
    sides = [("Source", "source"), ("Target", "target")]
    either = [("Automatic", "auto"), *sides]
    with gr.Accordion("Advanced: parts and age", open=False, elem_id=f"{prefix}advanced"):
        age = _age_slider(prefix)
        gr.Markdown("Which parts come from the source, and which stay the target's:", elem_classes="quiet")
        with gr.Row():
            parts = [
                gr.Radio(
                    either if default_side(part) == "auto" else sides,
                    value=default_side(part),
                    label=title,
                    elem_id=f"{prefix}part-{part}",
                )
                for part, title in PARTS.items()
            ]
    return parts, age


def _age_slider(prefix: str) -> gr.Slider:
    return gr.Slider(
        -MAX_YEARS,
        MAX_YEARS,
        0,
        step=1,
        label="Years older or younger",
        info="How much older the new face looks; negative for younger, but never under 25.",
        elem_id=f"{prefix}age",
    )


def person_choice(worker: Worker, elem_id: str) -> tuple[gr.Dropdown | gr.State, gr.Image | None]:
    """Build the choice of a trained person in place of photos, and their portrait.

    Without trained people the page shows nothing, and the choice stays PHOTOS.
    """
    if not worker.trained:
        return gr.State(PHOTOS), None
    with gr.Row(equal_height=True):
        person = gr.Dropdown(
            [("Photos", PHOTOS), *((name, name) for name in worker.trained)],
            value=PHOTOS,
            label="Photos or a trained person",
            info="A trained person needs no photos and has their own engine.",
            filterable=False,
            min_width=180,
            elem_id=elem_id,
        )
        portrait = gr.Image(
            show_label=False,
            interactive=False,
            visible=False,
            height=110,
            min_width=110,
            scale=0,
            buttons=[],
            alt_text="The trained person",
            elem_id=f"{elem_id}-portrait",
        )
    return person, portrait


def follow_person(
    worker: Worker,
    person: gr.Dropdown | gr.State,
    portrait: gr.Image | None,
    sources: gr.Gallery,
    engine: gr.Radio,
    choices: Sequence[gr.Dropdown],
) -> None:
    """Update the page when a trained person is chosen, if there are any."""
    if portrait is not None:
        person.change(
            functools.partial(show_person, worker),
            [person, sources, *choices],
            [portrait, sources, engine, *choices],
            **PAGE_ONLY,
            **UNCHECKED,
        )


@show_errors
def show_person(worker: Worker, person: str, gallery: Uploads | None, *chosen: int) -> list[Any]:
    """While a trained person is chosen, hide the photos and the engine, and offer the person to the faces."""
    photos = person == PHOTOS
    return [
        gr.Image(None if photos else worker.portrait(person), visible=not photos),
        gr.Gallery(visible=photos),
        gr.Radio(value="auto", visible=photos),
        *update_choices(person, gallery, *chosen),
    ]


def chosen_sources(person: str, gallery: Uploads | None) -> dict[int, File | Trained]:
    """The trained person as the only source, or the photos."""
    return with_person(person, dict(enumerate(uploaded(gallery))) if person == PHOTOS else {})


def source_names(person: str, gallery: Uploads | None) -> list[str]:
    """Return the names of the sources in the faces' choices."""
    if person != PHOTOS:
        return [person]
    return [f"Source {letter}" for letter in LETTERS[: len(uploaded(gallery))]]


def label_sources(gallery: Uploads | None) -> list[tuple[str, str]]:
    """Label the pictures A, B, C, ... in their order, and drop those over the limit."""
    files = uploaded(gallery)
    if len(files) > MAX_SOURCES:
        gr.Warning(f"Only the first {MAX_SOURCES} pictures are kept.", title="Too many sources")
    return labelled([str(file.get("path")) for file in files])


def update_choices(person: str, gallery: Uploads | None, *chosen: int) -> list[gr.Dropdown]:
    """Update the faces' choices after sources were added or removed, or a trained person was chosen."""
    names = source_names(person, gallery)
    return dropdowns(names, keep_choices(len(names), chosen))


def keep_choices(sources: int, chosen: Sequence[int]) -> list[int]:
    """Keep the choices whose source is still there; if none is left, give the first source to the first face."""
    kept = [choice if isinstance(choice, int) and choice < sources else LEAVE_ALONE for choice in chosen]
    if sources and all(choice == LEAVE_ALONE for choice in kept):
        kept[0] = 0
    return kept


def mapping_of(chosen: Sequence[int], first: int = 0) -> dict[int, int]:
    """Return {face number: source number} for the faces that are not left alone; faces count from `first`."""
    return {number: source for number, source in enumerate(chosen, first) if source != LEAVE_ALONE}


def uploaded(gallery: Uploads | None) -> list[File]:
    """The files of a gallery."""
    return [entry.get("image") or entry.get("video") or {} for entry in gallery or []]


def labelled(paths: Sequence[str]) -> list[tuple[str, str]]:
    """The pictures with their names."""
    return [(path, f"Source {letter}") for path, letter in zip(paths, LETTERS, strict=False)]


def one_each(faces: int, count: int) -> list[int]:
    """The first face gets the first source, and so on; further faces are left alone."""
    return [number if number < faces else LEAVE_ALONE for number in range(count)]


def dropdowns(names: Sequence[str], choices: Sequence[int]) -> list[gr.Dropdown]:
    """The faces' choices among sources of these names."""
    return [gr.Dropdown(choices=_options(names), value=choice) for choice in choices]


def _options(names: Sequence[str]) -> list[tuple[str, int]]:
    return [("Leave alone", LEAVE_ALONE), *((name, number) for number, name in enumerate(names))]
