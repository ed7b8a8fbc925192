"""What the server answers: checked inputs in, files and figures out. The page, the API and MCP all end here."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from reliableswap.errors import ReliableSwapError
from reliableswap.faces.draw import annotate
from reliableswap.media import Picture
from reliableswap.pipelines.image import Engine
from reliableswap.provenance import read_mark

from .consent import NOTE, STATEMENT, require_consent, with_note
from .files import publish, read_upload, uploaded_path
from .limits import MAX_RESULT_BYTES, MAX_RESULT_MEGABYTES
from .work import ENGINES, Swap, Triplet, Worker, checked_strengths, opaque, parse_faces

File = Mapping[str, Any]  # a file as Gradio hands it over: path, orig_name, ...
_OURS = "ReliableSwap "


def made_swap(
    worker: Worker,
    sources: Mapping[int, File],
    target: File | None,
    agreed: object,
    faces: object,
    engine: Engine,
    *strengths: object,
) -> tuple[str, Swap]:
    """The marked result's path, and the swap. Consent comes first: without it no picture is even opened."""
    require_consent(agreed)
    shares, mapping = checked_strengths(*strengths), parse_faces(faces)
    if engine not in ENGINES:
        raise ReliableSwapError(f"unknown engine {engine!r}; choose {', '.join(worker.engines)}")
    photo = read_upload(target, "target photo")
    pictures = {number: read_upload(file, f"source {number}") for number, file in sources.items()}
    swap = worker.swap(pictures, photo, mapping, engine, shares)
    after = replace(with_note(swap.after), name=photo.name)
    details = {"consent": STATEMENT, "engine": swap.report.engine}
    return publish(after, "swapped.png", ai_made=True, metadata=details), swap


def before_view(swap: Swap) -> str:
    """The target as the slider shows it: upright, without transparency, in a format that any browser reads."""
    return publish(opaque(swap.before), "before.jpg", ai_made=False)


def swap_facts(swap: Swap) -> dict[str, Any]:
    return {**swap.report.to_dict(), "note": f"{NOTE}: this picture does not show what happened."}


def found_faces(worker: Worker, target: File | None) -> tuple[str, list[dict[str, Any]]]:
    """The photo with its faces numbered, and each face's number, box and score."""
    photo = read_upload(target, "photo")
    faces = worker.find(photo)
    drawn = publish(Picture(annotate(photo.pixels, faces), name=photo.name), "numbered.jpg", ai_made=False)
    facts = [
        {"index": index, "box": [round(float(v), 1) for v in face.box], "score": round(face.score, 4)}
        for index, face in enumerate(faces)
    ]
    return drawn, facts


def made_triplet(worker: Worker, a: File | None, b: File | None, agreed: object) -> dict[str, str]:
    """The figure's pictures by name, as paths; what AI made is marked, the two crops of photos are not."""
    require_consent(agreed)
    photos = read_upload(a, "first photo"), read_upload(b, "second photo")
    triplet: Triplet = worker.triplet(*photos)
    paths = {}
    for name, pixels in vars(triplet).items():
        if pixels is None:
            continue
        real = name in ("a", "b")
        picture = Picture(pixels, name=name)
        paths[name] = publish(
            picture if real else with_note(picture),
            f"{name}.png",
            ai_made=not real,
            metadata={"consent": STATEMENT},
        )
    return paths


def read_marks(file: File | None) -> dict[str, Any]:
    """What a file says of its own making. The file is read as it was uploaded, byte for byte."""
    path = uploaded_path(file, "file")
    name = str((file or {}).get("orig_name") or path.name)
    if path.stat().st_size > MAX_RESULT_BYTES:
        raise ReliableSwapError(
            f"{name} is larger than {MAX_RESULT_MEGABYTES} MB, which no result of this page is"
        )
    try:
        mark = read_mark(path)
    except ReliableSwapError as error:
        # The message names the path on this server; the client knows the file by its own name.
        raise ReliableSwapError(str(error).replace(str(path), name)) from None
    if mark is None:
        return {"file": name, "marked": False, "ai_made": False, "made_here": False}
    return {
        "file": name,
        "marked": True,
        "ai_made": mark.ai_made,
        "made_here": mark.ai_made and mark.software.startswith(_OURS),
        "software": mark.software,
        "source_type": mark.source_type,
        "details": dict(mark.details),
    }


def marks_html(facts: Mapping[str, Any]) -> str:
    """The same for people, with what it does not prove."""
    name = html.escape(str(facts["file"]))
    if facts["made_here"]:
        verdict = f"<strong>{name} was made by AI, with ReliableSwap.</strong>"
    elif facts["ai_made"]:
        verdict = f"<strong>{name} was made by AI, with other software.</strong>"
    elif facts["marked"]:
        verdict = f"<strong>{name} says how it was made, and not that AI made it.</strong>"
    else:
        return (
            f"<p class='verdict'><strong>{name} carries no mark.</strong></p><p>That proves nothing: marks are lost "
            "when a picture is sent through a messenger, edited or photographed from a screen.</p>"
        )
    details = {"Software": facts["software"], "Source type": facts["source_type"], **facts["details"]}
    rows = "".join(
        f"<tr><th scope='row'>{html.escape(str(key).capitalize())}</th><td>{html.escape(str(value))}</td></tr>"
        for key, value in details.items()
    )
    return (
        f"<p class='verdict'>{verdict}</p><table class='report'><tbody>{rows}</tbody></table>"
        "<p>The mark is a note in the file, not a signature: anyone can write or remove one.</p>"
    )
