"""What people see of results: names from clients are text, and verdicts say no more than is known."""

from __future__ import annotations

import pytest

from reliableswap.pipelines.output import FaceReport, SwapReport
from reliableswap.space.views import report_html, verification_html

MARKUP = "<img src=x onerror=alert(1)>.png"


def report(**facts: float) -> SwapReport:
    face = FaceReport(0, (0, 0, 9, 9), 0.9, swapped=True, source=MARKUP, engine="blend", **facts)  # type: ignore[arg-type]
    return SwapReport("a.png", "blend", "cpu", "bundled", 0.5, [face])


def test_a_name_in_the_report_is_text() -> None:
    assert "<img" not in report_html(report())
    assert "&lt;img" in report_html(report())


def test_likeness_is_shown_where_it_was_measured() -> None:
    assert "0.62" in report_html(report(identity_before=0.1, identity_after=0.62))
    assert "not measured" in report_html(report())


@pytest.mark.parametrize(
    ("facts", "verdict"),
    [
        ({"marked": False, "ai_made": False, "made_here": False}, "carries no mark"),
        ({"marked": True, "ai_made": False, "made_here": False}, "but not that AI made it"),
        ({"marked": True, "ai_made": True, "made_here": False}, "with other software"),
        ({"marked": True, "ai_made": True, "made_here": True}, "made by AI, with ReliableSwap"),
    ],
)
def test_verdicts(facts: dict[str, bool], verdict: str) -> None:
    more = {"file": MARKUP, "software": MARKUP, "source_type": "s", "details": {"engine": MARKUP}}
    page = verification_html({**facts, **more})
    assert verdict in page
    assert "<img" not in page
    if not facts["marked"]:
        assert "proves nothing" in page
