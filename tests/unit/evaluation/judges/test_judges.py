"""Who may judge identity."""

from __future__ import annotations

import copy
from pathlib import Path

import cv2
import numpy as np
import pytest
from support import onnx_files
from support.evaluation_people import analyser, encoder
from support.people import person

from reliableswap.errors import ReliableSwapError, WeightsError
from reliableswap.evaluation.judges.encoders import EncoderJudge, FixerJudge
from reliableswap.evaluation.judges.selection import check_judges, open_judge, open_lower_judge, same_encoder
from reliableswap.models.fixer import FixerNet


def test_a_copy_in_another_precision_is_the_same_encoder() -> None:
    half = copy.deepcopy(encoder(0)).half().float()
    assert same_encoder(EncoderJudge(encoder(0), "own"), EncoderJudge(half, "half"))


def test_another_encoder_is_another_encoder() -> None:
    assert not same_encoder(EncoderJudge(encoder(0), "own"), EncoderJudge(encoder(1), "other"))


def test_a_bfloat16_encoder_can_judge() -> None:
    rounded = EncoderJudge(copy.deepcopy(encoder(0)).bfloat16(), "rounded")  # NumPy has no bfloat16
    assert not same_encoder(rounded, EncoderJudge(encoder(1), "other"))


def test_a_pipelines_own_encoder_is_refused_as_judge() -> None:
    judge = EncoderJudge(copy.deepcopy(encoder(0)), "copy")
    with pytest.raises(ReliableSwapError, match="--allow-same-judge"):
        check_judges(judge, None, {"pipe/neural": (encoder(0), None)})


def test_a_pipelines_own_encoder_is_noted_if_it_is_allowed() -> None:
    judge = EncoderJudge(copy.deepcopy(encoder(0)), "copy")
    told = check_judges(judge, None, {"pipe/neural": (encoder(0), None)}, allow_same=True)
    assert told == ["the judge copy is the identity encoder of pipe/neural"]


def test_other_encoders_may_judge() -> None:
    judge = EncoderJudge(encoder(0), "own")
    assert check_judges(judge, None, {"a": (encoder(1), None), "b": (None, None)}) == []


def test_a_pipelines_own_fixer_is_refused_as_lower_judge() -> None:
    fixer = FixerNet(embedding_size=8)
    with pytest.raises(ReliableSwapError, match="FixerNet of pipe"):
        check_judges(None, FixerJudge(fixer, "chin"), {"pipe": (None, fixer)})


def test_an_onnx_judge_gets_pixels_as_it_was_told(tmp_path: Path) -> None:
    path = onnx_files.mean_colour(tmp_path / "mean.onnx", 112)
    face = analyser()(cv2.imread(str(person(1)), cv2.IMREAD_REDUCED_COLOR_8)[..., ::-1].copy())[0]
    image = np.full((400, 400, 3), (255, 128, 0), np.uint8)
    found = open_judge(str(path), (0.5, 0.25, 0), (0.25, 1, 0.5)).embed(image, face)
    wanted = np.array([2.0, 128 / 255 - 0.25, 0.0])
    assert found == pytest.approx(wanted / np.linalg.norm(wanted), abs=1e-5)


def test_a_fixer_is_a_lower_judge_and_no_judge(tmp_path: Path) -> None:
    FixerNet(embedding_size=8).save_pretrained(tmp_path)
    with pytest.raises(WeightsError, match="a judge must be an IdentityEncoder"):
        open_judge(str(tmp_path))
    assert open_lower_judge(str(tmp_path)).name == tmp_path.name


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="there is no file"):
        open_judge(str(tmp_path / "none.onnx"))
