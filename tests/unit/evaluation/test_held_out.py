"""Which people an evaluation may use: never more than a compared generator's training left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from reliableswap.data.splits import Split
from reliableswap.errors import ReliableSwapError
from reliableswap.evaluation.held_out import choose_held_out
from reliableswap.evaluation.methods import PipelineMethod
from reliableswap.evaluation.protocols.pairs import make_pairs
from reliableswap.evaluation.protocols.people import identity_folders
from reliableswap.evaluation.run import held_out_of
from reliableswap.evaluation.settings import EvaluationSettings
from reliableswap.pipelines.image import ReliableSwapPipeline

FOLDERS = "identity-folders"


def test_the_default_is_the_smallest_share_that_a_generator_left_out() -> None:
    assert choose_held_out(None, FOLDERS, {"a/neural": 10.0, "b/neural": 2.0}) == 2.0


def test_without_a_generator_everybody_is_measured() -> None:
    assert choose_held_out(None, FOLDERS, {}) is None


@pytest.mark.parametrize("protocol", ["pairs", "ffhq", "celebahq", "ffpp"])
def test_protocols_without_peoples_names_have_no_default(protocol: str) -> None:
    assert choose_held_out(None, protocol, {"a/neural": 10.0}) is None


def test_everybody_can_be_asked_for() -> None:
    assert choose_held_out("all", FOLDERS, {"a/neural": 10.0}) is None


def test_fewer_people_than_left_out_are_fine() -> None:
    assert choose_held_out(5.0, FOLDERS, {"a/neural": 10.0}) == 5.0
    assert choose_held_out(10.0, FOLDERS, {"a/neural": 10.0}) == 10.0


def test_more_people_than_a_generator_left_out_are_an_error() -> None:
    says = r"--held-out 10 .* generator of mine/neural left out of its training \(2 %\); give --held-out 2 or less"
    with pytest.raises(ReliableSwapError, match=says):
        choose_held_out(10.0, FOLDERS, {"bundled/neural": 10.0, "mine/neural": 2.0})


@pytest.mark.parametrize("asked", [0.0, -1.0, 101.0])
def test_impossible_percentages_are_refused(asked: float) -> None:
    with pytest.raises(ReliableSwapError, match="give a percentage of people above 0, or all"):
        choose_held_out(asked, FOLDERS, {})


@pytest.fixture(scope="module")
def pipe() -> ReliableSwapPipeline:
    """A pipeline whose generator was trained with --split 98/1/1."""
    made = ReliableSwapPipeline.bundled()
    made.generator.register_to_config(held_out=Split(98, 1, 1).held_out)
    return made


def test_a_pipelines_default_is_what_its_generator_stores(pipe: ReliableSwapPipeline, tmp_path: Path) -> None:
    settings = EvaluationSettings(protocol=FOLDERS, faces=tmp_path)
    assert held_out_of(settings, [PipelineMethod(pipe, "neural", "mine/neural")]) == pytest.approx(2.0)
    assert held_out_of(settings, [PipelineMethod(pipe, "blend", "mine/blend")]) is None


def test_a_pipeline_refuses_people_that_its_generator_was_trained_on(
    pipe: ReliableSwapPipeline, tmp_path: Path
) -> None:
    settings = EvaluationSettings(protocol=FOLDERS, faces=tmp_path, held_out=10.0)
    with pytest.raises(ReliableSwapError, match="generator of mine/neural"):
        held_out_of(settings, [PipelineMethod(pipe, "neural", "mine/neural")])


@pytest.mark.parametrize("split", [Split(), Split(98, 1, 1), Split(60, 40, 0)])
def test_nobody_who_is_measured_was_trained_on(split: Split, tmp_path: Path) -> None:
    for number in range(300):
        folder = tmp_path / f"person{number}"
        folder.mkdir()
        (folder / "photo.jpg").touch()
    chosen = identity_folders(tmp_path, split.held_out)
    assert len(chosen) >= 2
    assert {split.of(name) for name in chosen} <= {"validation", "test"}
    assert set(chosen) == {f"person{n}" for n in range(300) if split.holds_out(f"person{n}")}


def test_too_few_held_out_people_are_reported(portraits: Path) -> None:
    says = r"left out 1 % .* only 0 of the 5 in .* are among them, .* with --held-out all"
    with pytest.raises(ReliableSwapError, match=says):
        make_pairs(FOLDERS, portraits, 4, held_out=1.0)


def test_other_protocols_know_no_held_out_people(portraits: Path) -> None:
    with pytest.raises(ReliableSwapError, match="use it with identity-folders"):
        make_pairs("ffhq", portraits, 4, held_out=10.0)
