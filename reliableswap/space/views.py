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
    """Return what `handlers.verify` found as HTML: the answer, and what each layer states."""
    name = html.escape(str(facts["file"]))
    said = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in facts["sentences"])
    rows = "".join(
        _row(str(key).capitalize(), [str(value)]) for key, value in facts.get("details", {}).items()
    )
    table = f"<table class='report'><tbody>{rows}</tbody></table>" if rows else ""
    return f"<p class='verdict'><strong>{name}: {html.escape(facts['verdict'])}</strong></p><ul>{said}</ul>{table}"


def _row(title: str, cells: Sequence[str]) -> str:
    """One row of a table, with everything escaped: names come from clients."""
    rest = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
    return f"<tr><th scope='row'>{html.escape(title)}</th>{rest}</tr>"
