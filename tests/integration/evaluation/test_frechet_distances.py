"""Fréchet distances of methods to the four sets of real photos, and how reports show them."""

from __future__ import annotations

import dataclasses
import html
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.evaluation_people import Colours, examiner

from reliableswap.evaluation.examine import Examiner
from reliableswap.evaluation.measure import evaluate
from reliableswap.evaluation.methods import SourcePhoto, UnchangedTarget
from reliableswap.evaluation.metrics import frechet, summary
from reliableswap.evaluation.protocols.pairs import make_pairs
from reliableswap.evaluation.protocols.shots import Pair, Shot
from reliableswap.evaluation.report.html import page
from reliableswap.evaluation.report.info import RunInfo
from reliableswap.evaluation.report.json_csv import as_json
from reliableswap.evaluation.report.texts import markdown
from reliableswap.evaluation.results import Evaluation

pytestmark = pytest.mark.slow
INFO = RunInfo("identity-folders", "people", 0, "untrained", features="colours")


@pytest.fixture(scope="module")
def pairs(portraits: Path) -> list[Pair]:
    """Twenty pairs of the ten photos."""
    return make_pairs("identity-folders", portraits, 20, 0)


@pytest.fixture(scope="module")
def judges() -> Examiner:
    return examiner(features=Colours())


@pytest.fixture(scope="module")
def others(portraits: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Shot]:
    """Ten shots of five photos, and a photo without a face."""
    faceless = tmp_path_factory.mktemp("wall") / "wall.png"
    cv2.imwrite(str(faceless), np.full((64, 64, 3), 90, np.uint8))
    shots = [Shot(p, p.parent.name) for p in sorted(portraits.glob("*/studio_portrait.png"))]
    return [*shots, *shots, Shot(faceless, "nobody")]


@pytest.fixture(scope="module")
def measured(pairs: list[Pair], judges: Examiner, others: list[Shot]) -> Evaluation:
    """Both controls, with Fréchet distances from as few as eight pictures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frechet, "MIN_PICTURES", 8)
        return evaluate([UnchangedTarget(), SourcePhoto()], pairs, judges, others=others)


def features_of(evaluation: Evaluation, method: int) -> list[np.ndarray]:
    return [one.face.features for one in evaluation.methods[method].pairs if one.face is not None]


@pytest.fixture
def few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frechet, "MIN_PICTURES", 8)


def test_too_few_photos_have_no_distances(pairs: list[Pair], judges: Examiner) -> None:
    found = evaluate([SourcePhoto()], pairs, judges).methods[0]
    distances = (found.frechet, found.frechet_sources, found.frechet_photos, found.frechet_others)
    assert distances == (None,) * 4  # twenty pairs, but only ten photos


def test_copies_are_nearest_to_what_they_copy(measured: Evaluation) -> None:
    unchanged, source = measured.methods
    assert unchanged.frechet == pytest.approx(0, abs=1e-6)
    assert source.frechet_sources == pytest.approx(0, abs=1e-6)
    assert unchanged.frechet_sources == pytest.approx(source.frechet)
    assert source.frechet is not None
    assert source.frechet > 0


@pytest.mark.usefixtures("few_are_enough")
def test_each_photo_of_the_pairs_counts_once(measured: Evaluation) -> None:
    colours = [face.features for face in measured.faces.values()]
    assert len(colours) == len({shot for pair in measured.pairs for shot in (pair.target, pair.source)})
    expected = frechet.frechet_distance(features_of(measured, 0), colours)
    assert measured.methods[0].frechet_photos == pytest.approx(expected)
    assert expected > 0


@pytest.mark.usefixtures("few_are_enough")
def test_other_photos_without_a_face_are_skipped(
    measured: Evaluation, judges: Examiner, others: list[Shot]
) -> None:
    assert measured.others == 10
    expected = frechet.frechet_distance(features_of(measured, 0), judges.features_of(others))
    assert measured.methods[0].frechet_others == pytest.approx(expected)
    assert measured.methods[0].frechet_others != pytest.approx(measured.methods[0].frechet_photos)


def test_controls_are_not_compared(measured: Evaluation) -> None:
    assert measured.frechet_differences == []


@pytest.mark.usefixtures("few_are_enough")
def test_methods_are_compared_in_every_report(
    measured: Evaluation, judges: Examiner, others: list[Shot]
) -> None:
    methods = [dataclasses.replace(method, control=False) for method in measured.methods]
    real = judges.features_of(others)
    found = summary.frechet_differences(methods, measured.faces, real, seed=0, halves=5)
    assert [one.to for one in found] == ["frechet_others", "frechet_photos"]
    both = dataclasses.replace(measured, methods=methods, frechet_differences=found)
    first, second = methods
    for one, to in zip(found, ("other photos", "the pairs' photos"), strict=True):
        assert (one.one, one.other) == (first.name, second.name)
        assert one.estimate.value == pytest.approx(getattr(first, one.to) - getattr(second, one.to))
        said = f"Fréchet distance (colours) to {to}, {first.name} minus {second.name}: {one.estimate.value:+.1f} ["
        assert said in markdown(both, INFO)
        assert said in html.unescape(page(both, INFO))
    assert json.loads(as_json(both, INFO))["frechet_differences"][0]["one"] == first.name


def test_reports_show_all_four_distances(measured: Evaluation) -> None:
    unchanged, source = measured.methods
    text = markdown(measured, INFO)
    for key, to in (
        ("frechet_others", "other photos"),
        ("frechet_photos", "the pairs' photos"),
        ("frechet", "the targets"),
        ("frechet_sources", "the sources"),
    ):
        numbers = f"{getattr(unchanged, key):.3f} | {getattr(source, key):.3f}"
        assert f"| Fréchet distance (colours) to {to} ↓ | {numbers} |" in text
    stored = json.loads(as_json(measured, INFO))["methods"][unchanged.name]
    assert stored["frechet_sources"] == pytest.approx(source.frechet)
    assert page(measured, INFO).count("Fréchet distance (colours) to the sources") == 2  # table and meanings
