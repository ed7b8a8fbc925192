"""Reports on a few clips."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reliableswap.evaluation.metrics.definitions import BY_KEY
from reliableswap.evaluation.metrics.summary import summarise
from reliableswap.evaluation.protocols.shots import Pair, Shot
from reliableswap.evaluation.report.info import RunInfo
from reliableswap.evaluation.report.json_csv import as_json
from reliableswap.evaluation.report.plots import Dot, scatter
from reliableswap.evaluation.report.tables import summary, table
from reliableswap.evaluation.report.texts import markdown
from reliableswap.evaluation.results import Evaluation, MethodResult, PairResult

INFO = RunInfo("video", "clips.tsv", 0, "untrained", analyser="bundled", version="0", command="x")


def evaluation(clips: int) -> Evaluation:
    pairs = [
        Pair(f"{n}/{k}", Shot(Path("s"), "s"), Shot(Path("t"), "t", k), clip=str(n))
        for n in range(clips)
        for k in range(4)
    ]
    values = {"pose": 1.0, "cos_source": 0.5}
    results = [
        PairResult(pair, {name: value + 0.1 * i for name, value in values.items()})
        for i, pair in enumerate(pairs)
    ]
    method = MethodResult("ours", False, results)
    summarise(method, 0)
    return Evaluation(pairs, {}, [method], {}, {})


def test_one_clip_has_values_without_intervals_in_every_format() -> None:
    one = evaluation(1)
    assert all(cell.interval is None for row in table(one, INFO) for cell in row.cells)
    figures = json.loads(as_json(one, INFO))["methods"]["ours"]["figures"]["pose"]
    assert figures == {"value": pytest.approx(1.15), "low": None, "high": None, "count": 4}
    dot = Dot("ours", *(one.methods[0].estimates[key] for key in ("pose", "cos_source")), False, "#112233")
    assert "nan" not in scatter([dot], BY_KEY["pose"], BY_KEY["cos_source"])
    assert "nan" not in markdown(one, INFO)
    assert any("One video gives no intervals" in line for line in summary(one, INFO))


def test_a_report_says_that_few_clips_have_no_best() -> None:
    assert any("3 videos are too few, so no value is marked" in line for line in summary(evaluation(3), INFO))
    assert not any("marked as the best: that takes" in line for line in summary(evaluation(8), INFO))
