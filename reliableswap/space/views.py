"""What the page shows of results: face crops, the report, and what a file says about itself."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from reliableswap.faces.align import crop
from reliableswap.faces.face import Face
from reliableswap.media import Picture
from reliableswap.pipelines.output import FaceReport, SwapReport
from reliableswap.pipelines.video import VideoProgress

_CROP_HALF = 0.65  # half of a face crop's side, as a fraction of the face's size


def face_crop(picture: Picture, face: Face, side: int = 160) -> np.ndarray:
    """(side,side,3) the face with a small margin, not aligned."""
    x0, y0, x1, y1 = (float(v) for v in face.box)
    half = _CROP_HALF * face.size
    scale = side / (2 * half)
    corner = np.array([(x0 + x1) / 2 - half, (y0 + y1) / 2 - half])
    matrix = np.array([[scale, 0, -scale * corner[0]], [0, scale, -scale * corner[1]]])
    return crop(picture.pixels, matrix, side)


def opaque(picture: Picture) -> Picture:
    """Return the picture without alpha, for views that do not support it."""
    return replace(picture, alpha=None)


def report_html(report: SwapReport) -> str:
    """Return the report as a table."""
    measured = any(face.identity_after is not None for face in report.faces)
    columns = ["Face", "Source", *(["Likeness before", "after"] if measured else [])]
    caption = f"{report.engine.capitalize()} engine on {report.device}, {report.seconds:.1f} s."
    if not measured:
        caption += " Likeness is not measured: this pipeline has no identity network."
    head = "".join(f"<th scope='col'>{name}</th>" for name in columns)
    rows = [_row(f"Face {face.index}", _cells(face, measured)) for face in report.faces]
    rows += [_row("Changed", [said], len(columns) - 1) for face in report.faces for said in _changes(face)]
    rows += [_row("Advice", [said], len(columns) - 1) for face in report.faces for said in _advice(face)]
    return (
        f"<table class='report'><caption>{html.escape(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def _cells(face: FaceReport, measured: bool) -> list[str]:
    cells = [face.source or "" if face.swapped else "left alone"]
    if measured:
        cells += ["" if v is None else f"{v:.2f}" for v in (face.identity_before, face.identity_after)]
    return cells


def _changes(face: FaceReport) -> list[str]:
    """Put into words what else was requested for one face."""
    said = [f"Face {face.index}: {part} from the {side}." for part, side in face.attributes.items()]
    if face.apparent_age is not None:
        word = "older" if face.age > 0 else "younger"
        said.append(
            f"Face {face.index}: {abs(face.age):g} years {word}; it looks about {face.apparent_age:.0f}."
        )
    return said


def _advice(face: FaceReport) -> list[str]:
    """Return the advice on one face's source."""
    return [f"Face {face.index}: {sentence}" for sentence in face.advice]


_STAGES = {"find": "Finding people", "check": "Checking", "swap": "Swapping", "join": "Writing the clip"}


def progress_html(step: VideoProgress | None) -> str:
    """Return the progress of a run over a clip as a bar with words and the time left; None: it is starting."""
    if step is None:
        return _bar("Starting", None)
    words = _STAGES[step.stage]
    if step.frames is None:
        return _bar(f"{words}: frame {step.frame}", None)
    if step.stage != "join":
        words += f": frame {step.frame} of {step.frames}"
    if step.seconds_left is not None and step.seconds_left >= 1:
        words += f", {clock(step.seconds_left)} left"
    return _bar(words, min(1.0, step.frame / max(step.frames, 1)))


def _bar(words: str, share: float | None) -> str:
    value = "" if share is None else f" aria-valuenow='{round(100 * share)}'"
    width = 0 if share is None else 100 * share
    return (
        f"<div class='bar' role='progressbar' aria-label='{html.escape(words)}' aria-valuemin='0' aria-valuemax='100'"
        f"{value}><span style='width:{width:.1f}%'></span></div><p class='quiet'>{html.escape(words)}</p>"
    )


def clock(seconds: float) -> str:
    """Return seconds as 2:03."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"


def clip_report_html(report: Mapping[str, Any]) -> str:
    """Return the report of a clip as a table of its people."""
    frames = f"{report['frames_swapped']} of {report['frames']} frames"
    caption = (
        f"{report['engine'].capitalize()} engine on {report['device']}, {frames}, {report['seconds']:.1f} s."
    )
    rows = "".join(_row(f"Person {one['person']}", _person_cells(one)) for one in report["people"])
    head = "".join(f"<th scope='col'>{name}</th>" for name in ("Person", "Source", "Frames swapped"))
    return (
        f"<table class='report'><caption>{html.escape(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _person_cells(person: Mapping[str, Any]) -> list[str]:
    if "source" not in person:
        return ["left alone", f"0 of {person['frames_seen']}"]
    cells = [str(person["source"]), f"{person['frames_swapped']} of {person['frames_seen']}"]
    if person["tracks_refused"]:
        cells[1] += "; some left alone, as they may show somebody under 18"
    return cells


def verification_html(facts: Mapping[str, Any]) -> str:
    """Return what `handlers.verify` found as HTML: the answer, and what each layer states."""
    name = html.escape(str(facts["file"]))
    said = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in facts["sentences"])
    rows = "".join(
        _row(str(key).capitalize(), [str(value)]) for key, value in facts.get("details", {}).items()
    )
    table = f"<table class='report'><tbody>{rows}</tbody></table>" if rows else ""
    return f"<p class='verdict'><strong>{name}: {html.escape(facts['verdict'])}</strong></p><ul>{said}</ul>{table}"


def _row(title: str, cells: Sequence[str], columns: int = 1) -> str:
    """One row of a table, with everything escaped: names come from clients. columns: that each cell spans."""
    span = f" colspan='{columns}'" if columns > 1 else ""
    rest = "".join(f"<td{span}>{html.escape(cell)}</td>" for cell in cells)
    return f"<tr><th scope='row'>{html.escape(title)}</th>{rest}</tr>"
