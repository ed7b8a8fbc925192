"""Reports agree with what was measured, in every format."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from html.parser import HTMLParser

import numpy as np
import pytest
import yaml
from huggingface_hub.repocard_data import model_index_to_eval_results

from reliableswap.evaluation.metrics.definitions import BY_KEY
from reliableswap.evaluation.metrics.intervals import Estimate
from reliableswap.evaluation.report import plots
from reliableswap.evaluation.report.html import page
from reliableswap.evaluation.report.info import RunInfo
from reliableswap.evaluation.report.json_csv import as_csv, as_json
from reliableswap.evaluation.report.texts import markdown, model_index
from reliableswap.evaluation.results import Evaluation

pytestmark = pytest.mark.slow  # because of the two evaluations that its tests share
INFO = RunInfo("identity-folders", "people", 0, "untrained", analyser="bundled", version="0", command="x")


class Page(HTMLParser):
    """A parsed page: what a browser would request, and whether tags are closed."""

    ALONE = ("meta", "img", "br", "link")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.requested: list[str] = []
        self.open: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.requested += [v or "" for k, v in attrs if k in ("src", "href", "srcset", "data", "xlink:href")]
        if tag not in self.ALONE:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.ALONE:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_requests_nothing(with_failures: Evaluation) -> None:
    text = page(with_failures, INFO)
    parsed = Page(text)
    assert parsed.open == []
    assert parsed.requested
    assert all(one.startswith(("data:image/jpeg;base64,", "#")) for one in parsed.requested)
    assert "http" not in text.replace("http-equiv", "")


def test_the_page_escapes_names(with_failures: Evaluation) -> None:
    text = page(with_failures, dataclasses.replace(INFO, shared=["the judge is <script>"]))
    assert "script" not in Page(text).tags
    assert "half &lt;b&gt;" in text
    assert '<p class="warning">Same judge: the judge is &lt;script&gt;' in text


def test_the_page_has_plots_that_follow_its_colours(with_failures: Evaluation) -> None:
    text = page(with_failures, INFO)
    assert Page(text).tags.count("svg") >= 2
    assert "prefers-color-scheme: dark" in text
    assert "fill: var(--text)" in text
    assert "#010203" not in text


def test_markdown_warns_and_tells_failures(with_failures: Evaluation) -> None:
    text = markdown(with_failures, dataclasses.replace(INFO, shared=["the judge is own"]))
    assert "**Same judge: the judge is own." in text
    assert "| failures (%) ↓ | 50.0 [" in text
    assert "half <b>: 2 × it would not" in text


def test_reports_tell_who_was_measured(with_failures: Evaluation) -> None:
    held_out = markdown(with_failures, dataclasses.replace(INFO, held_out=10.0))
    assert "people, all from the 10 % that training left out, seed 0." in held_out
    everybody = markdown(with_failures, dataclasses.replace(INFO, trained=["a/neural"]))
    assert "**Everybody was measured, including people that a/neural may have been trained on.**" in everybody


def test_json_and_csv_agree_with_the_estimates(with_failures: Evaluation) -> None:
    document = json.loads(as_json(with_failures, INFO))
    assert document["methods"]["half <b>"]["figures"]["failed"]["value"] == 0.5
    rows = list(csv.DictReader(io.StringIO(as_csv(with_failures))))
    assert len(rows) == 16
    assert [row["failure"] for row in rows[:2]] == ["", "no face in the result"]
    mean = np.mean([float(row["pose"]) for row in rows[:8] if row["pose"]])
    assert mean == pytest.approx(with_failures.methods[0].estimates["pose"].value)


def test_the_hub_reads_the_cards_block(with_failures: Evaluation) -> None:
    block = yaml.safe_load(model_index(with_failures, INFO))
    name, results = model_index_to_eval_results(block["model-index"])
    assert name == "reliableswap"
    values = {result.metric_type: result.metric_value for result in results}
    assert values["failed"] == 50.0
    assert {result.task_name for result in results} == {"Face swapping, half <b>"}  # no controls


def test_a_plot_names_every_method() -> None:
    sure = Estimate(0.5, 0.5, 0.5, 1)
    dots = [plots.Dot(f"method {i}", sure, Estimate(i, i - 0.5, i + 0.5, 9), False, "#000") for i in range(4)]
    svg = plots.scatter(dots, BY_KEY["cos_source"], BY_KEY["pose"])
    assert svg.startswith('<svg role="img" aria-label="pose error against cos to source"')
    assert all(f">method {i}</text>" in svg for i in range(4))


def test_an_empty_plot_is_an_empty_string() -> None:
    assert plots.scatter([], BY_KEY["cos_source"], BY_KEY["pose"]) == ""
