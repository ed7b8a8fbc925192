"""Measuring methods whose results are known in advance."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from support.evaluation_people import examiner

from reliableswap.errors import ReliableSwapError
from reliableswap.evaluation.measure import evaluate
from reliableswap.evaluation.methods import FolderMethod, UnchangedTarget
from reliableswap.evaluation.metrics.pixels import PSNR_LIMIT
from reliableswap.evaluation.protocols.pairs import make_pairs
from reliableswap.evaluation.protocols.shots import Pair, Shot
from reliableswap.evaluation.results import Evaluation

pytestmark = pytest.mark.slow
ATTRIBUTES = ("pose", "expression", "gaze", "eyelid", "mouth")


def values(evaluation: Evaluation, method: int) -> dict[str, float]:
    return {key: estimate.value for key, estimate in evaluation.methods[method].estimates.items()}


def test_the_unchanged_target_keeps_everything_and_copies(controls: Evaluation) -> None:
    found = values(controls, 0)
    assert (found["copied"], found["top1"], found["failed"]) == (1, 0, 0)
    assert found["cos_target"] == pytest.approx(1)
    assert (found["psnr"], found["ssim"]) == pytest.approx((PSNR_LIMIT, 1))
    assert [found[key] for key in ATTRIBUTES] == pytest.approx([0] * 5, abs=1e-4)


def test_the_source_photo_is_the_source_and_keeps_nothing(controls: Evaluation) -> None:
    found = values(controls, 1)
    assert (found["copied"], found["top1"], found["top5"], found["lower_top1"]) == (0, 1, 1, 1)
    assert found["cos_source"] == pytest.approx(1)
    assert found["shape_source"] == pytest.approx(0, abs=1e-4)
    assert all(found[key] > 0 for key in ATTRIBUTES)


def test_the_calibration_is_what_the_judge_says_of_the_controls(controls: Evaluation) -> None:
    assert controls.left_out == {}
    assert values(controls, 0)["cos_source"] == pytest.approx(
        controls.calibration["cosine of source and target"]
    )
    assert values(controls, 1)["cos_reference"] == pytest.approx(
        controls.calibration["cosine of two photos of one person"]
    )


def test_failures_are_counted_and_retrieve_nobody(with_failures: Evaluation) -> None:
    half = with_failures.methods[0]
    assert half.estimates["failed"].value == 0.5
    assert [one.failure for one in half.pairs[:4]] == ["", "no face in the result", "", "it would not"]
    assert half.estimates["top1"].count == 8  # a failure is a miss
    assert half.estimates["copied"].count == 4  # but it copies nobody
    assert half.estimates["milliseconds"].count == 4


def test_a_result_of_another_size_is_measured_at_its_targets(with_failures: Evaluation) -> None:
    assert with_failures.methods[0].estimates["ssim"].value > 0.8


def test_a_perfect_answer_is_perfect(portraits: Path) -> None:
    source, target = portraits / "P001/studio_portrait.png", portraits / "P002/studio_portrait.png"
    pair = Pair("x", Shot(source, "a"), Shot(target, "b"), truth=target)
    found = values(evaluate([UnchangedTarget()], [pair], examiner()), 0)
    assert (found["truth_psnr"], found["truth_ssim"], found["truth_cos"]) == pytest.approx((100, 1, 1))
    assert found["truth_mesh"] == pytest.approx(0, abs=1e-6)


def test_a_truth_of_another_size_is_refused(portraits: Path, tmp_path: Path) -> None:
    target = Shot(portraits / "P002/studio_portrait.png", "b")
    small = tmp_path / "small.png"
    cv2.imwrite(str(small), target.read()[::2, ::2, ::-1])
    pair = Pair("x", Shot(portraits / "P001/studio_portrait.png", "a"), target, truth=small)
    with pytest.raises(ReliableSwapError, match=r"small\.png differs in size from its target"):
        evaluate([UnchangedTarget()], [pair], examiner())


def test_photos_without_a_face_are_left_out_and_told(portraits: Path, tmp_path: Path) -> None:
    blank = tmp_path / "blank.png"
    cv2.imwrite(str(blank), np.full((64, 64, 3), 90, np.uint8))
    good = make_pairs("identity-folders", portraits, 1, 0)[0]
    bad = Pair("bad", Shot(blank, "nobody"), good.target)
    found = evaluate([UnchangedTarget()], [bad, good], examiner())
    assert [pair.name for pair in found.pairs] == [good.name]
    assert "blank.png" in found.left_out["bad"]
    with pytest.raises(ReliableSwapError, match="none of the 1 pairs can be measured"):
        evaluate([UnchangedTarget()], [bad], examiner())


def test_a_folder_of_results_is_found_by_the_pairs_names(portraits: Path, tmp_path: Path) -> None:
    pairs = make_pairs("identity-folders", portraits, 3, 0)
    with pytest.raises(ReliableSwapError, match="no folder"):
        FolderMethod("mine", tmp_path / "none")
    method = FolderMethod("mine", tmp_path)
    with pytest.raises(ReliableSwapError, match="holds none of the 3 expected results"):
        method.check(pairs)
    (tmp_path / f"{pairs[1].name}.png").write_bytes(pairs[1].source.path.read_bytes())
    method.check(pairs)
    assert np.array_equal(method.result(pairs[1], pairs[1].target).pixels, pairs[1].source.read())
