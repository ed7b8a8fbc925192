"""The figures "told from photos" and refusals, from photos to the report."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from support.evaluation_people import examiner
from support.executors import Backwards
from support.people import portrait

from reliableswap.errors import RefusedError, ReliableSwapError
from reliableswap.evaluation.measure import evaluate
from reliableswap.evaluation.methods import RecompressedTarget, Result, UnchangedTarget
from reliableswap.evaluation.natural.natural import Natural
from reliableswap.evaluation.natural.views import FaceViews, Viewer, patch_features, patches_inside
from reliableswap.evaluation.protocols.pairs import make_pairs, photos_of_others
from reliableswap.evaluation.protocols.shots import Pair, Shot
from reliableswap.evaluation.report.html import page
from reliableswap.evaluation.report.info import RunInfo
from reliableswap.evaluation.report.json_csv import as_csv, as_json
from reliableswap.evaluation.report.texts import markdown
from reliableswap.evaluation.results import Evaluation
from reliableswap.evaluation.work import ChunkMaker, DistributedWork, Instruments
from reliableswap.faces.align import align, apply
from reliableswap.faces.face import Face

INFO = RunInfo("identity-folders", "people", 0, "untrained", analyser="bundled", version="0", command="x")
KEYS = [f"told_{kind}_{network}" for kind in ("whole", "patches", "patch") for network in Viewer.NETWORKS]


class Edges(Viewer):
    """Fast features: brightness and the strength of edges."""

    def __init__(self) -> None:
        pass

    def __call__(self, image: np.ndarray, face: Face) -> FaceViews:
        large, matrix = align(image, face.points5, 512)
        grey = cv2.cvtColor(large, cv2.COLOR_RGB2GRAY).astype(np.float32)
        edges = np.abs(cv2.Laplacian(grey, cv2.CV_32F))
        fine, coarse = (
            torch.from_numpy(cv2.resize(np.dstack([grey, edges]), (n, n), interpolation=cv2.INTER_AREA))
            .permute(2, 0, 1)[None]
            .log1p()
            for n in (64, 32)
        )
        patches = patch_features(fine, coarse)[patches_inside(apply(matrix, face.mesh))]
        whole = patches.mean(0, keepdims=True)
        return FaceViews(dict.fromkeys(self.NETWORKS, whole), dict.fromkeys(self.NETWORKS, patches))


class Blurred:
    """A method that blurs the target; every tenth person is refused."""

    name, control = "blurred", False

    def result(self, pair: Pair, target: Shot) -> Result:
        if int(target.person) % 10 == 0:
            raise RefusedError("the swap was refused: it is a test")
        return Result(cv2.GaussianBlur(target.read(), (0, 0), 2.5))


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty people: ten portraits in six sizes and brightnesses."""
    folder, rng = tmp_path_factory.mktemp("crowd"), np.random.default_rng(0)
    portraits = [portrait(number, 420) for number in range(1, 11)]
    for number in range(60):
        image = cv2.resize(
            portraits[number % 10], None, fx=(s := rng.uniform(0.6, 0.9)), fy=s, interpolation=3
        )
        (folder / f"{number}").mkdir()
        light = np.clip(image * rng.uniform(0.8, 1.1), 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number}" / "photo.jpg"), light[..., ::-1])
    return folder


@pytest.fixture(scope="module")
def found(crowd: Path) -> Evaluation:
    pairs = make_pairs("identity-folders", crowd, 18, 0)
    looks = examiner()
    natural = Natural(Edges(), photos_of_others("identity-folders", crowd, pairs, 0))
    methods = [UnchangedTarget(), RecompressedTarget(looks.analyser), Blurred()]
    return evaluate(methods, pairs, looks, 0, natural=natural)


@pytest.mark.slow
def test_nodes_measure_the_same(crowd: Path, found: Evaluation) -> None:
    pairs, looks, viewer = make_pairs("identity-folders", crowd, 18, 0), examiner(), Edges()
    methods = [UnchangedTarget(), RecompressedTarget(looks.analyser), Blurred()]
    maker = ChunkMaker(lambda: Instruments(looks, methods, viewer))
    natural = Natural(viewer, photos_of_others("identity-folders", crowd, pairs, 0))
    executor = Backwards(copies=False)
    there = evaluate(methods, pairs, looks, 0, natural=natural, work=DistributedWork(executor, maker))
    assert executor.units
    assert as_csv(there) == as_csv(found)
    assert as_json(there, INFO) == as_json(found, INFO)


@pytest.mark.slow
def test_blurred_faces_are_told_and_unchanged_ones_are_not(found: Evaluation) -> None:
    unchanged, recompressed, blurred = (method.estimates for method in found.methods)
    for key in KEYS:
        # With 18 photos, the AUC differs a little from 0.5 by chance.
        assert unchanged[key].low <= 0.55
        assert unchanged[key].high >= 0.45
        assert unchanged[key].value < blurred[key].value - 0.2
        assert blurred[key].value > (0.75 if "patch_" in key else 0.95)
        assert blurred[key].value > recompressed[key].value
    assert found.real_photos >= 16


@pytest.mark.slow
def test_controls_have_the_seams_that_are_known(found: Evaluation) -> None:
    unchanged, recompressed, _ = (method.estimates for method in found.methods)
    assert (unchanged["seam"].value, unchanged["seam_high"].value) == pytest.approx((1, 1))
    assert recompressed["seam"].value == pytest.approx(1, abs=0.1)
    assert found.methods[1].estimates["psnr"].value > 35


@pytest.mark.slow
def test_refused_pairs_are_reported_and_not_counted(found: Evaluation) -> None:
    blurred = found.methods[2]
    refused = [one for one in blurred.pairs if one.refused]
    assert refused
    assert all(one.metrics == {} for one in refused)
    left = len(blurred.pairs) - len(refused)
    assert {blurred.estimates[key].count for key in ("failed", "top1", *KEYS)} == {left}
    assert blurred.estimates["failed"].value == 0
    text = markdown(found, INFO)
    assert f"**A safety gate refused {len(refused)} of 18 pairs of blurred, so its figures cover only" in text
    assert "The first refusal: the swap was refused: it is a test.**" in text
    assert f"- blurred: {len(refused)} × the swap was refused: it is a test" in text
    assert "## Failures" not in text
    assert "Refused by the safety gates" in page(found, INFO)
    assert sum(
        line.endswith("1,the swap was refused: it is a test") for line in as_csv(found).splitlines()
    ) == len(refused)


@pytest.mark.slow
def test_every_format_has_the_figures(found: Evaluation) -> None:
    document = json.loads(as_json(found, INFO))
    assert set(KEYS) <= set(document["methods"]["blurred"]["figures"])
    assert document["real_photos"] == found.real_photos
    text = markdown(found, INFO)
    assert f"Told from photos: against {found.real_photos} photos of {found.real_people} people." in text
    assert "- told from photos, whole (Lite1) (`told_whole_lite1`): AUC of linear probes" in text
    assert set(KEYS) <= set(as_csv(found).splitlines()[0].split(","))


@pytest.mark.slow
def test_too_few_people_are_refused_before_anything_is_swapped(portraits: Path) -> None:
    class Never(UnchangedTarget):
        def result(self, pair: Pair, target: Shot) -> Result:
            raise AssertionError("swapped in vain")

    pairs = make_pairs("identity-folders", portraits, 10, 0)
    with pytest.raises(ReliableSwapError, match="--natural needs at least 16 results"):
        evaluate([Never()], pairs, examiner(), 0, natural=Natural(Edges()))
