"""Results on the page: names from clients are escaped, and verdicts claim no more than is known."""

from __future__ import annotations

from typing import Any

import pytest

from reliableswap.pipelines.output import FaceReport, SwapReport
from reliableswap.provenance import Mark, Verification
from reliableswap.space.views import report_html, verification_html

MARKUP = "<img src=x onerror=alert(1)>.png"


def report(**facts: Any) -> SwapReport:
    face = FaceReport(0, (0, 0, 9, 9), 0.9, swapped=True, source=MARKUP, engine="blend", **facts)  # type: ignore[arg-type]
    return SwapReport("a.png", "blend", "cpu", "bundled", 0.5, [face])


def test_names_in_the_report_are_escaped() -> None:
    assert "<img" not in report_html(report())
    assert "&lt;img" in report_html(report())


def test_likeness_is_shown_where_it_was_measured() -> None:
    assert "0.62" in report_html(report(identity_before=0.1, identity_after=0.62))
    assert "not measured" in report_html(report())


def test_advice_is_shown_with_its_face() -> None:
    assert "Advice" not in report_html(report())
    page = report_html(report(advice=["A photo in even light works better."]))
    assert "Advice" in page
    assert "Face 0: A photo in even light works better." in page


@pytest.mark.parametrize("mark", [None, Mark("digitalCapture", MARKUP, {"engine": MARKUP})])
def test_contents_of_a_file_are_escaped(mark: Mark | None) -> None:
    found = Verification(mark)
    page = verification_html({"file": MARKUP, **found.to_dict()})
    assert found.verdict in page
    assert "<img" not in page
    assert ("proves nothing" in page) == (mark is None)
