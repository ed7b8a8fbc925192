"""What people see of results: face crops, the report, and what a file says about itself."""

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

_CROP_HALF = 0.65  # half of a face crop's side, as a fraction of the face's size


def face_crop(picture: Picture, face: Face, side: int = 160) -> np.ndarray:
    """(side,side,3) the face with a little around it, as it stands in the photo."""
    x0, y0, x1, y1 = (float(v) for v in face.box)
    half = _CROP_HALF * face.size
    scale = side / (2 * half)
    corner = np.array([(x0 + x1) / 2 - half, (y0 + y1) / 2 - half])
    matrix = np.array([[scale, 0, -scale * corner[0]], [0, scale, -scale * corner[1]]])
    return crop(picture.pixels, matrix, side)


def opaque(picture: Picture) -> Picture:
    """Return the picture without its transparency, for views that have none."""
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
    return (
        f"<table class='report'><caption>{html.escape(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def _cells(face: FaceReport, measured: bool) -> list[str]:
    cells = [face.source or "" if face.swapped else "left alone"]
    if measured:
        cells += ["" if v is None else f"{v:.2f}" for v in (face.identity_before, face.identity_after)]
    return cells


def verification_html(facts: Mapping[str, Any]) -> str:
    """Return what `handlers.verify` found as HTML, with a note on what it does not prove."""
    name = html.escape(str(facts["file"]))
    if not facts["marked"]:
        return (
            f"<p class='verdict'><strong>{name} carries no mark.</strong></p><p>That proves nothing: a mark is lost "
            "when a picture is sent through a messenger, edited or photographed from a screen.</p>"
        )
    if facts["made_here"]:
        verdict = f"{name} was made by AI, with ReliableSwap."
    elif facts["ai_made"]:
        verdict = f"{name} was made by AI, with other software."
    else:
        verdict = f"{name} says how it was made, but not that AI made it."
    told = [("software", facts["software"]), ("source type", facts["source_type"]), *facts["details"].items()]
    rows = "".join(_row(str(name).capitalize(), [str(value)]) for name, value in told)
    return (
        f"<p class='verdict'><strong>{verdict}</strong></p><table class='report'><tbody>{rows}</tbody></table>"
        "<p>The mark is a note in the file, not a signature: anyone can write or remove one.</p>"
    )


def _row(title: str, cells: Sequence[str]) -> str:
    """One row of a table, with everything escaped: names come from clients."""
    rest = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
    return f"<tr><th scope='row'>{html.escape(title)}</th>{rest}</tr>"
