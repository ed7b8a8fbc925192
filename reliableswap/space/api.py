"""Endpoints for scripts, which Gradio also offers as MCP tools. Their names and parameters are stable.

The page's own events are private. Each endpoint has its own hidden components, which give the API its types.
Gradio publishes the docstrings, so they address the caller. Each source is a parameter of its own because Gradio's MCP
tools can't take lists of files.
"""

from __future__ import annotations

import inspect
from threading import Event
from typing import Any

import gradio as gr

from reliableswap.pipelines.image import Engine

from . import clips, handlers
from .consent import require_consent
from .events import ONE_AT_A_TIME, UNCHECKED, show_errors
from .files import File
from .inputs import STRENGTHS, default_strength, parse_faces
from .limits import MAX_SOURCES
from .people import with_person
from .work import Worker

_CAPTIONS = {
    "a": "C_a, a real photo; the cycle triplet's truth.",
    "b": "C_b, a real photo.",
    "reshaped": "Step 1: the outline of a's face, moved towards b's proportions.",
    "reenacted": "Step 2: b's real skin, drawn onto a's pose and expression.",
    "recoloured": "Step 3: skin tone and light of a's photo.",
    "ab": "C_ab, a's attributes and b's identity; synthetic.",
    "ba": "C_ba, b's attributes and a's identity; synthetic.",
    "source": "Another picture of a, made from C_a alone: the source surrogate; synthetic.",
    "network": "The generator's output for the cycle triplet's input.",
}


def add_endpoints(worker: Worker) -> None:
    """Add the endpoints to the current page."""

    @show_errors
    def swap(
        source: File | None,
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
        attributes: str = "",
        age: float = 0,
        person: str = "",
    ) -> tuple[str, dict[str, Any]]:
        """Put the face of one source, or of several, into the target photo. The result is marked as made by AI.

        Args:
            source: a picture with the face to put in; its largest face is used. This is source 0.
            target: the photo whose faces are replaced.
            agreed: true confirms that the people shown agreed to this, or do not exist; required.
            faces: face=source pairs such as "0=1, 2=0"; both count from 0, largest face first. Empty means 0=0.
            engine: auto, blend, or neural if the server has a generator.
            likeness: how much of the source comes in, 0 to 1.
            shape: how far the outline of the face moves to the source's, 0 to 1.
            detail: how far sharpness and grain follow the target photo, 0 to 1.
            expression: how far mouth, eyelids and brows keep the target's expression, 0 to 1.
            glasses: how far the target's glasses stay on, 0 to 1.
            source_1: a further source; give it to a face with `faces`.
            source_2: a further source; give it to a face with `faces`.
            source_3: a further source; give it to a face with `faces`.
            source_4: a further source; give it to a face with `faces`.
            source_5: a further source; give it to a face with `faces`.
            attributes: part=side pairs such as "brows=target, glasses=source". Parts are beard, brows, glasses, lips,
                shape and skin. Without a pair, glasses are the target's and everything else is the source's, except a
                full beard that only the target has.
            age: years by which the new face looks older, up to 15, or younger, down to -15; never under 25.
            person: the name of a trained person, in place of every source; leave `source` out then. Engine auto uses
                that person's own network; blend and neural use their portrait as the source photo.

        Returns:
            The result, a PNG that is marked as made by AI in its corner, its metadata and its pixels.
            The report: engine, device, seconds, and for each face its box, source, likeness before and after,
            and advice on the source photo.
        """
        given = enumerate((source, source_1, source_2, source_3, source_4, source_5))
        sources = with_person(person, {number: file for number, file in given if file})
        strengths = (likeness, shape, detail, expression, glasses)
        path, done = handlers.swap_faces(
            worker, sources, target, agreed, faces, engine, *strengths, attributes=attributes, age=age
        )
        return path, handlers.swap_facts(done)

    @show_errors
    def faces(target: File) -> tuple[str, list[dict[str, Any]]]:
        """Find the faces of a photo, and number them as `swap` expects.

        Args:
            target: the photo.

        Returns:
            The photo with its faces outlined and numbered.
            Each face's number, box (x0, y0, x1, y1) and score, the largest face first.
        """
        return handlers.find_faces(worker, target)

    @show_errors
    def triplets(a: File, b: File, agreed: bool) -> list[tuple[str, str]]:
        """Make ReliableSwap's training data from two photos: naive and cycle triplet, with every step.

        Args:
            a: a photo of the person who gives pose, expression, hair and light.
            b: a photo of the person who gives the identity.
            agreed: true confirms that the people shown agreed to this, or do not exist; required.

        Returns:
            The pictures, each with its name and a caption.
        """
        paths = handlers.make_triplet(worker, a, b, agreed)
        return [(path, f"{name}: {_CAPTIONS[name]}") for name, path in paths.items()]

    @show_errors
    def people(clip: File, start: float, end: float) -> tuple[str, list[dict[str, Any]]]:
        """Find the people of a clip, and number them as `video` expects.

        Args:
            clip: the clip: MP4, MOV, MKV or WebM.
            start: seconds after the first frame at which the part begins.
            end: seconds after the first frame at which the part ends; 0 is the clip's end.

        Returns:
            A picture of the people with their numbers.
            Each person's number from 1 (longest seen first), number of frames, best frame, and box in that frame.
        """
        part = clips.ClipPart.of(clip, start, end)
        return clips.people_facts(clips.last_step(clips.find_people(worker, part, Event())))

    @show_errors
    def video(
        source: File | None,
        clip: File,
        agreed: bool,
        people: str,
        engine: Engine,
        likeness: float,
        shape: float,
        detail: float,
        expression: float,
        glasses: float,
        start: float,
        end: float,
        quality: float,
        source_1: File | None = None,
        source_2: File | None = None,
        source_3: File | None = None,
        source_4: File | None = None,
        source_5: File | None = None,
        attributes: str = "",
        age: float = 0,
        person: str = "",
    ) -> tuple[str, dict[str, Any]]:
        """Put the face of one source, or of several, on people of a clip. Every frame is marked as made by AI.

        Args:
            source: a picture with the face to put in; its largest face is used. This is source 0.
            clip: the clip: MP4, MOV, MKV or WebM.
            agreed: true confirms that the people shown agreed to this, or do not exist; required.
            people: person=source pairs such as "1=0, 2=1", with people as `people` numbers them. Empty means 1=0.
            engine: auto, blend, or neural if the server has a generator.
            likeness: how much of the source comes in, 0 to 1.
            shape: how far the outline of the face moves to the source's, 0 to 1.
            detail: how far sharpness and grain follow the clip, 0 to 1.
            expression: how far mouth, eyelids and brows keep the person's expression, 0 to 1.
            glasses: how far the person's glasses stay on, 0 to 1.
            start: seconds after the first frame at which to begin; the result holds that part only.
            end: seconds after the first frame at which to end; 0 is the clip's end.
            quality: of the picture, 1 to 100.
            source_1: a further source; give it to a person with `people`.
            source_2: a further source; give it to a person with `people`.
            source_3: a further source; give it to a person with `people`.
            source_4: a further source; give it to a person with `people`.
            source_5: a further source; give it to a person with `people`.
            attributes: part=side pairs such as "brows=target, glasses=source", as for `swap`.
            age: years by which the new face looks older, up to 15, or younger, down to -15; never under 25.
            person: the name of a trained person, in place of every source; leave `source` out then. Engine auto uses
                that person's own network; blend and neural use their portrait as the source photo.

        Returns:
            The result, an MP4 that is marked as made by AI in every frame's corner, its metadata and its pixels.
            The report: engine, device, seconds, frames, and for each person the source and the frames swapped.
        """
        require_consent(agreed)
        given = enumerate((source, source_1, source_2, source_3, source_4, source_5))
        sources = with_person(person, {number: file for number, file in given if file})
        part = clips.ClipPart.of(clip, start, end)
        mapping = parse_faces(people, "person", 1)
        strengths = (likeness, shape, detail, expression, glasses)
        steps = clips.swap_people(
            worker, sources, part, True, mapping, engine, strengths, quality, Event(), attributes, age
        )
        done = clips.last_step(steps)
        return str(done.path), clips.clip_facts(done)

    @show_errors
    def verify(file: File) -> dict[str, Any]:
        """Read what a picture or a clip says about how it was made.

        Args:
            file: the file, exactly as it was received.

        Returns:
            marked, ai_made, made_here (by this software), verdict and sentences in words, and for each layer that was
            found: software, source_type, details and history (XMP), c2pa (signed), watermark. A missing mark proves
            nothing.
        """
        return handlers.verify(file)

    def picture(label: str) -> gr.File:
        return gr.File(label=label, type="filepath", visible=False)

    def parts_and_age() -> list[Any]:
        return [gr.Textbox("", label="attributes", visible=False), gr.Number(0, label="age", visible=False)]

    def person() -> list[Any]:
        if not worker.trained:
            return []
        return [gr.Dropdown(["", *worker.trained], value="", label="person", visible=False)]

    if worker.trained:
        _make_source_optional(swap)
        _make_source_optional(video)

    agreed = gr.Checkbox(label="agreed", visible=False)
    agreed.value = None  # no default: the caller must give it
    strengths = [gr.Slider(0, 1, default_strength(name), label=name, visible=False) for name in STRENGTHS]
    part = [gr.Number(0, label=name, visible=False) for name in ("start", "end")]
    _endpoint(
        swap,
        [
            picture("source"),
            picture("target"),
            agreed,
            gr.Textbox("", label="faces", visible=False),
            gr.Dropdown(worker.engines, value="auto", label="engine", visible=False),
            *strengths,
            *(picture(f"source_{number}") for number in range(1, MAX_SOURCES)),
            *parts_and_age(),
            *person(),
        ],
        [picture("result"), gr.JSON(label="report", visible=False)],
        **ONE_AT_A_TIME,
    )
    _endpoint(
        faces,
        [picture("target")],
        [picture("numbered"), gr.JSON(label="faces", visible=False)],
        **ONE_AT_A_TIME,
    )
    _endpoint(
        triplets,
        [picture("a"), picture("b"), agreed],
        [gr.Gallery(label="pictures", visible=False, format="png")],
        **ONE_AT_A_TIME,
    )
    _endpoint(
        people,
        [picture("clip"), *part],
        [picture("people"), gr.JSON(label="facts", visible=False)],
        **ONE_AT_A_TIME,
    )
    _endpoint(
        video,
        [
            picture("source"),
            picture("clip"),
            agreed,
            gr.Textbox("", label="people", visible=False),
            gr.Dropdown(worker.engines, value="auto", label="engine", visible=False),
            *strengths,
            *part,
            gr.Number(85, label="quality", visible=False),
            *(picture(f"source_{number}") for number in range(1, MAX_SOURCES)),
            *parts_and_age(),
            *person(),
        ],
        [picture("result"), gr.JSON(label="report", visible=False)],
        **ONE_AT_A_TIME,
    )
    _endpoint(verify, [picture("file")], [gr.JSON(label="marks", visible=False)])


def _make_source_optional(function: Any) -> None:
    """Let callers leave out `source`: give it the default None in the signature, which Gradio reads.

    No parameter without a default may follow, so the others get one too. It is not None, so Gradio ignores it.
    """
    signature = inspect.signature(function)
    parameters = [
        one.replace(
            default=None if one.name == "source" else ... if one.default is one.empty else one.default
        )
        for one in signature.parameters.values()
    ]
    function.__signature__ = signature.replace(parameters=parameters)


def _endpoint(function: Any, inputs: list[Any], outputs: list[Any], **limits: Any) -> None:
    name = function.__name__
    gr.Button(visible=False).click(function, inputs, outputs, api_name=name, **UNCHECKED, **limits)
