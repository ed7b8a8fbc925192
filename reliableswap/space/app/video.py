"""The tab "Video": a clip and sources, the people in it, and the result beside the original, from left to right."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from threading import Event
from typing import Any

import gradio as gr

from reliableswap.errors import RefusedError, ReliableSwapError
from reliableswap.pipelines.image import Engine
from reliableswap.pipelines.video import VideoProgress, VideoResult
from reliableswap.space.clips import ClipPart, FoundPeople, find_people, swap_people
from reliableswap.space.consent import NOTE, STATEMENT, require_consent
from reliableswap.space.events import (
    ONE_AT_A_TIME,
    PAGE_ONLY,
    UNCHECKED,
    notify_refusal,
    show_errors_of_steps,
)
from reliableswap.space.files import File
from reliableswap.space.inputs import PARTS, STRENGTHS
from reliableswap.space.limits import (
    MAX_CLIP_FRAMES,
    MAX_CLIP_MEGABYTES,
    MAX_CLIP_MEGAPIXELS,
    MAX_CLIP_SECONDS,
    MAX_PEOPLE,
)
from reliableswap.space.running import RunningJobs
from reliableswap.space.views import clip_report_html, progress_html
from reliableswap.space.work import Worker

from .choosing import (
    Uploads,
    chosen_sources,
    dropdowns,
    engine_choice,
    face_cards,
    follow_person,
    mapping_of,
    one_each,
    parts_and_age,
    person_choice,
    source_names,
    sources_gallery,
    strength_sliders,
    update_choices,
)

_NOBODY = "The people of the clip will appear here, each with a choice of source."
_CANCELLED = "Cancelled. Nothing was kept."
_UPDATE_SECONDS = 0.4  # seconds between two updates of the progress


def video_tab(worker: Worker) -> None:
    """Build the tab inside the current page."""
    running = RunningJobs()
    found = gr.State(None)
    with gr.Row(equal_height=False):
        with gr.Column(min_width=300):
            gr.Markdown("### 1 · Clip and sources", elem_classes="step")
            person, portrait = person_choice(worker, "clip-person")
            sources = sources_gallery("clip-sources")
            clip, start, end = _clip_inputs()
            find = gr.Button("Find people", size="lg", elem_id="find-people")
        with gr.Column(min_width=300):
            gr.Markdown("### 2 · People", elem_classes="step")
            message = gr.Markdown(_NOBODY, elem_classes="quiet", elem_id="people-found")
            cards, portraits, choices = face_cards("Person", MAX_PEOPLE, 1, "of the clip")
            engine = engine_choice(worker, "clip-engine")
            with gr.Accordion("Quality, likeness, shape and more", open=False):
                quality = gr.Slider(
                    1, 100, 85, step=1, label="Quality", info="Higher values make larger files."
                )
                strengths = strength_sliders()
            parts, age = parts_and_age("clip-")
            agreed = gr.Checkbox(label=STATEMENT, value=False, elem_classes="consent", elem_id="agreed-clip")
            swap = gr.Button("Swap", variant="primary", size="lg", elem_id="swap-clip")
            progress = gr.HTML(elem_id="clip-progress")
            cancel = gr.Button("Cancel", visible=False, elem_id="cancel-clip")
        with gr.Column(min_width=300):
            gr.Markdown("### 3 · Result", elem_classes="step")
            result = _result()

    # The PAGE_ONLY events get only the files' names, and bypass the queue, so that they work during a job.
    follow_person(worker, person, portrait, sources, engine, choices)
    sources.change(update_choices, [person, sources, *choices], choices, **PAGE_ONLY, **UNCHECKED)
    shown = [found, message, *cards, *portraits, *choices]
    for changed in (clip.change, start.change, end.change):
        changed(forget_people, [person, sources], shown, **PAGE_ONLY, **UNCHECKED)

    @show_errors_of_steps
    def show_people(
        request: gr.Request, clip: File | None, start: Any, end: Any, person: str, sources: Uploads | None
    ) -> Iterator[list[Any]]:
        def work(cancelled: Event) -> Iterator[Any]:
            yield from find_people(worker, ClipPart.of(clip, start, end), cancelled)

        def people(step: FoundPeople) -> list[Any]:
            return _people_shown(step, source_names(person, sources), _count(step))

        with running.job(str(request.session_hash)) as cancelled:
            yield from _with_progress(work(cancelled), people, len(shown))

    @show_errors_of_steps
    def show_result(
        request: gr.Request,
        person: str,
        sources: Uploads | None,
        found: FoundPeople | None,
        clip: File | None,
        start: Any,
        end: Any,
        agreed: bool,
        engine: Engine,
        quality: Any,
        age: float,
        *given: Any,
    ) -> Iterator[list[Any]]:
        first, second = len(STRENGTHS), len(STRENGTHS) + len(PARTS)
        strengths, attributes = given[:first], dict(zip(PARTS, given[first:second], strict=True))
        chosen, mapping = chosen_sources(person, sources), mapping_of(given[second:], 1)

        def work(cancelled: Event) -> Iterator[Any]:
            require_consent(agreed)
            if found is None or found.part != ClipPart.of(clip, start, end):
                raise ReliableSwapError("first find the people of the clip, and choose who gets which source")
            if chosen and not mapping:
                raise ReliableSwapError("every person is left alone; choose a source for at least one")
            yield from swap_people(
                worker, chosen, found, agreed, mapping, engine, strengths, quality, cancelled, attributes, age
            )

        def clips(step: VideoResult) -> list[Any]:
            assert found is not None
            return _result_shown(step, found.part)

        with running.job(str(request.session_hash)) as cancelled:
            yield from _with_progress(work(cancelled), clips, len(result))

    find.click(
        show_people,
        [clip, start, end, person, sources],
        [*shown, progress, cancel],
        api_visibility="private",
        show_progress="hidden",
        **UNCHECKED,
        **ONE_AT_A_TIME,
    )
    swap.click(
        show_result,
        [
            person,
            sources,
            found,
            clip,
            start,
            end,
            agreed,
            engine,
            quality,
            age,
            *strengths,
            *parts,
            *choices,
        ],
        [*result, progress, cancel],
        api_visibility="private",
        show_progress="hidden",
        **UNCHECKED,
        **ONE_AT_A_TIME,
    )

    def stop(request: gr.Request) -> None:
        running.cancel(str(request.session_hash))

    cancel.click(stop, None, None, **PAGE_ONLY)


def forget_people(person: str, sources: Uploads | None) -> list[Any]:
    """Clear the people when another clip, or another part of it, is chosen."""
    return _people_shown(None, source_names(person, sources), _NOBODY)


def _clip_inputs() -> tuple[gr.Video, gr.Number, gr.Number]:
    clip = gr.Video(
        label="Clip: the video they go into",
        sources=["upload"],
        height=240,
        buttons=[],
        elem_id="clip",
    )
    with gr.Row():
        start = gr.Number(0, label="Start", info="In seconds.", minimum=0, elem_id="clip-start")
        end = gr.Number(0, label="End", info="0 means the clip's end.", minimum=0, elem_id="clip-end")
    gr.Markdown(
        f"MP4, MOV, MKV or WebM, up to {MAX_CLIP_MEGABYTES} MB and {MAX_CLIP_MEGAPIXELS} megapixels (1920x1080); at "
        f"most {MAX_CLIP_SECONDS} seconds and {MAX_CLIP_FRAMES} frames are swapped. Files are deleted after about "
        "an hour.",
        elem_classes="quiet",
    )
    return clip, start, end


def _result() -> list[Any]:
    """Build the two players, the note, the download, the report, and where the result begins in the original."""
    players = [
        gr.Video(label=label, interactive=False, height=230, buttons=[], elem_id=f"clip-{name}")
        for name, label in (("before", "Before"), ("after", "After: made by AI"))
    ]
    return [
        *players,
        gr.Markdown("The result will appear here.", elem_classes="quiet", elem_id="clip-note"),
        gr.DownloadButton("Download the result (MP4)", visible=False, elem_id="clip-download"),
        gr.HTML(elem_id="clip-report"),
        gr.HTML(elem_id="clip-offset"),
    ]


def _with_progress(
    work: Iterator[Any], shown: Callable[[Any], list[Any]], outputs: int
) -> Iterator[list[Any]]:
    """Yield what the page shows of a job: its progress, and then what `shown` makes of its last step.

    A job that ends without a last step was cancelled. The progress and the button to cancel are the last two outputs.
    """
    unchanged, hidden = [gr.skip()] * outputs, gr.Button(visible=False)
    with contextlib.closing(work) as steps:  # type: ignore[type-var]
        yield [*unchanged, progress_html(None), gr.Button(visible=True)]
        updated = time.monotonic()
        try:
            for step in steps:
                if not isinstance(step, VideoProgress):
                    yield [*shown(step), "", hidden]
                    return
                if time.monotonic() >= updated + _UPDATE_SECONDS:
                    updated = time.monotonic()
                    yield [*unchanged, progress_html(step), gr.skip()]
        except RefusedError as error:
            notify_refusal(error)
            yield [*unchanged, "", hidden]
            return
        except Exception:
            yield [*unchanged, "", hidden]
            raise
    yield [*unchanged, _CANCELLED, hidden]


def _people_shown(found: FoundPeople | None, names: Sequence[str], message: str) -> list[Any]:
    """What the page shows of the people: the first gets the first source, and so on."""
    people = found.faces.people[:MAX_PEOPLE] if found is not None else ()
    chosen = one_each(min(len(names), len(people)), MAX_PEOPLE)
    return [
        found,
        message,
        *(gr.Column(visible=number < len(people)) for number in range(MAX_PEOPLE)),
        *(people[number].thumbnail if number < len(people) else None for number in range(MAX_PEOPLE)),
        *dropdowns(names, chosen),
    ]


def _count(found: FoundPeople) -> str:
    people = len(found.faces.people)
    if not people:
        return f"No face found in {found.part.name}."
    if people == 1:
        return "One person found."
    message = f"{people} people found, longest seen first."
    if people > MAX_PEOPLE:
        message += f" This page offers {MAX_PEOPLE} of them; the API takes all."
    return message


def _result_shown(step: VideoResult, part: ClipPart) -> list[Any]:
    path = str(step.path)
    return [
        str(part.path),
        path,
        f"**{NOTE}. This clip does not show what happened.** The two players stay in sync.",
        gr.DownloadButton(value=path, visible=True),
        clip_report_html(step.report),
        f"<span data-seconds='{part.start or 0:.6f}'></span>",
    ]
