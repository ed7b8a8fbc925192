"""Evaluation: every figure against an answer known beforehand, protocols, judges, reports, the truth set."""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
from collections.abc import Iterator
from functools import lru_cache
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from conftest import person
from huggingface_hub.repocard_data import model_index_to_eval_results

from reliableswap.errors import ReliableSwapError, WeightsError
from reliableswap.evaluation import (
    command,
    frechet,
    geometry,
    judge,
    measure,
    pixels,
    plots,
    protocols,
    render,
    truth,
)
from reliableswap.evaluation.figures import BY_KEY
from reliableswap.evaluation.heads import HeadModel, Person
from reliableswap.evaluation.methods import FolderMethod, Made, SourcePhoto, UnchangedTarget
from reliableswap.evaluation.page import page
from reliableswap.evaluation.report import Facts, as_csv, as_json, markdown, model_index
from reliableswap.evaluation.results import Evaluation
from reliableswap.evaluation.shots import Pair, Shot, frame_count, read_frame, spread_frames
from reliableswap.evaluation.statistics import bootstrap, ranks
from reliableswap.evaluation.truth import Scene, make_set, picture_of
from reliableswap.faces.analyse import BundledAnalyser
from reliableswap.faces.face import Face
from reliableswap.models.fixer import FixerNet
from reliableswap.models.identity import IdentityEncoder

MESHES = json.loads((Path(__file__).parent / "data" / "meshes.json").read_text())
NAMES = [name for name in MESHES if name != "about"]


def mesh_of(name: str = "P001_studio_portrait") -> np.ndarray:
    return np.array(MESHES[name], np.float32)


def turned(mesh: np.ndarray, degrees: float, axis: int) -> np.ndarray:
    """Turned about the x, y or z axis, about its own middle."""
    i, j = [(1, 2), (0, 2), (0, 1)][axis]
    matrix = np.eye(3)
    matrix[i, i] = matrix[j, j] = math.cos(math.radians(degrees))
    matrix[i, j], matrix[j, i] = math.sin(math.radians(degrees)), -math.sin(math.radians(degrees))
    middle = mesh.mean(0)
    return ((mesh - middle) @ matrix + middle).astype(np.float32)


@lru_cache(maxsize=1)
def analyser() -> BundledAnalyser:
    return BundledAnalyser()


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Small networks, small pictures: a second thread only waits, and on a busy machine it waits long."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@lru_cache(maxsize=8)
def encoder(seed: int = 0) -> IdentityEncoder:
    """Untrained, but its norms have seen faces: otherwise all faces would look alike to it."""
    torch.manual_seed(seed)
    network = IdentityEncoder(embedding_size=32).train()
    for module in network.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.momentum = None  # the mean of all that was seen
    crops = [
        cv2.resize(cv2.imread(str(person(n, kind)), cv2.IMREAD_REDUCED_COLOR_8)[..., ::-1], (112, 112))
        for n in range(6, 11)
        for kind in ("studio_portrait", "amateur_selfie")
    ]
    with torch.no_grad():
        network(torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 127.5 - 1)
    return network.eval()


def examiner(features: frechet.Features | None = None, lower: bool = False) -> measure.Examiner:
    torch.manual_seed(7)
    fixer = judge.FixerJudge(FixerNet(embedding_size=16), "chin") if lower else None
    return measure.Examiner(analyser(), judge.EncoderJudge(encoder(), "untrained"), fixer, features)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five people's folders with a portrait and a selfie each, 320 px high."""
    folder = tmp_path_factory.mktemp("people")
    for number in range(1, 6):
        for kind in ("studio_portrait", "amateur_selfie"):
            image = cv2.imread(str(person(number, kind)), cv2.IMREAD_REDUCED_COLOR_4)
            scale = 320 / image.shape[0]
            image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            path = folder / f"P{number:03d}" / f"{kind}.png"
            path.parent.mkdir(exist_ok=True)
            cv2.imwrite(str(path), image)
    return folder


@pytest.fixture(scope="module")
def evaluation(people: Path) -> Evaluation:
    pairs = protocols.make_pairs("identity-folders", people, 10, 0)
    return measure.evaluate([UnchangedTarget(), SourcePhoto()], pairs, examiner(lower=True))


# Geometry


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("degrees", [10.0, -25.0, 0.001])
def test_a_turned_mesh_is_read_as_turned_by_that_angle(axis: int, degrees: float) -> None:
    mesh = mesh_of()
    other = turned(mesh * 1.7 + (30, -12, 5), degrees, axis)
    assert geometry.pose_error(mesh, other) == pytest.approx(abs(degrees), abs=0.01)


@pytest.mark.parametrize(("axis", "name"), [(1, 0), (0, 1), (2, 2)])
def test_yaw_pitch_and_roll_each_follow_their_own_axis(axis: int, name: int) -> None:
    canonical = geometry.topology().canonical
    angles = geometry.pose_of(turned(canonical, 20.0, axis))
    expected = [0.0, 0.0, 0.0]
    expected[name] = 20.0
    assert angles == pytest.approx(expected, abs=0.01)


def test_a_photo_turned_by_ten_degrees_is_read_as_ten() -> None:
    image = cv2.imread(str(person(1)), cv2.IMREAD_REDUCED_COLOR_4)[..., ::-1].copy()
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 10, 1.0)
    other = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    meshes = [analyser()(picture)[0].mesh for picture in (image, other)]
    assert geometry.pose_error(*meshes) == pytest.approx(10.0, abs=1.0)
    assert geometry.pose_of(meshes[1])[2] - geometry.pose_of(meshes[0])[2] == pytest.approx(-10.0, abs=1.0)


@pytest.mark.parametrize("name", NAMES)
def test_pose_and_scale_are_no_expression_and_no_shape(name: str) -> None:
    mesh = mesh_of(name)
    other = turned(turned(mesh * 0.4, 15, 1), -8, 2)
    assert geometry.expression_error(other, mesh) < 1e-4
    assert geometry.shape_distance(other, mesh) < 1e-4
    assert geometry.eye_openings(other) == pytest.approx(geometry.eye_openings(mesh), abs=1e-3)
    assert geometry.mouth_opening(other) == pytest.approx(geometry.mouth_opening(mesh), abs=1e-3)


def test_an_open_mouth_and_a_shut_eye_are_read_as_such() -> None:
    mesh = mesh_of()
    down = mesh[152] - mesh[10]
    opened = mesh.copy()
    lower = [14, 87, 317, 178, 402, 88, 318, 17, 84, 314, 16, 15, 152, 148, 377, 176, 400]
    opened[lower] += 0.08 * down
    shut = mesh.copy()
    for up, low, *_ in geometry._EYES:
        shut[up] = shut[low]
    assert geometry.mouth_opening(opened) > geometry.mouth_opening(mesh) + 0.2
    assert geometry.eye_openings(shut) == pytest.approx([0, 0], abs=1e-6)
    assert geometry.expression_error(opened, mesh) > geometry.expression_error(shut, mesh) > 0.002
    assert geometry.mouth_opening(shut) == pytest.approx(geometry.mouth_opening(mesh), abs=1e-3)


@pytest.mark.parametrize("across", [-0.15, 0.0, 0.15])
def test_gaze_is_where_the_iris_was_painted(across: float) -> None:
    mesh = mesh_of() * 0.5
    image = np.full((1100, 1100, 3), 230, np.uint8)
    mesh[:, :2] += np.array([550, 550]) - mesh[:, :2].mean(0)
    for _, _, left, right in geometry._EYES:
        side = mesh[right, :2] - mesh[left, :2]
        at = (mesh[left, :2] + mesh[right, :2]) / 2 + across * side
        cv2.circle(
            image, tuple(int(v) for v in np.rint(at)), int(0.12 * np.linalg.norm(side)), (40, 30, 20), -1
        )
    assert geometry.gaze_of(image, mesh)[0] == pytest.approx(across, abs=0.03)


def test_an_eye_of_two_pixels_has_no_gaze() -> None:
    image = np.zeros((50, 50, 3), np.uint8)
    assert np.isnan(geometry.gaze_of(image, mesh_of() * 0.01)).all()


# Pixels


def test_psnr_of_a_known_error(rng: np.random.Generator) -> None:
    image = rng.integers(0, 200, (40, 50, 3), dtype=np.uint8)
    assert pixels.psnr(image, image + 10) == pytest.approx(20 * math.log10(255 / 10), abs=1e-4)
    assert pixels.psnr(image, image) == pixels.PSNR_LIMIT
    nowhere = np.zeros((40, 50), bool)
    assert math.isnan(pixels.psnr(image, image, nowhere))
    assert math.isnan(pixels.ssim(image, image, nowhere))


def test_ssim_of_flat_pictures_is_its_formula(rng: np.random.Generator) -> None:
    one, other = (np.full((30, 30, 3), value, np.uint8) for value in (100, 150))
    c1 = (0.01 * 255) ** 2
    wanted = (2 * 100 * 150 + c1) / (100**2 + 150**2 + c1)
    assert pixels.ssim(one, other) == pytest.approx(wanted, abs=1e-6)
    noisy = rng.integers(0, 256, (30, 30, 3), dtype=np.uint8)
    assert pixels.ssim(noisy, noisy) == pytest.approx(1.0)
    assert pixels.ssim(noisy, noisy[::-1]) < 0.3


def test_what_changes_inside_the_face_does_not_count_outside(rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (200, 200, 3), dtype=np.uint8)
    mesh = mesh_of()
    mesh = (mesh - mesh.min(0)) / np.ptp(mesh[:, 1]) * 80 + 50
    region = pixels.face_region(mesh, (200, 200))
    swapped = np.where(region[..., None], 255 - image, image)
    assert 0.05 < region.mean() < 0.5
    assert pixels.psnr(swapped, image, ~region) == pixels.PSNR_LIMIT
    assert pixels.ssim(swapped, image, ~region) == pytest.approx(1.0, abs=1e-9)
    assert pixels.ssim(swapped, image) < 0.95


def test_flicker_is_what_the_target_does_not_have() -> None:
    ramp = np.tile(np.arange(60, dtype=np.uint8) * 2, (20, 1))[..., None].repeat(3, 2)
    moving = np.stack([ramp, ramp + 10, ramp + 20])  # an even change is no flicker
    blinking = moving.copy()
    blinking[1] += 6
    everywhere = np.ones((20, 60), bool)
    assert pixels.flicker(moving, moving, everywhere) == 0
    assert pixels.flicker(blinking, moving, everywhere) == pytest.approx(6.0)
    assert pixels.flicker(moving, blinking, everywhere) == pytest.approx(-6.0)


# Sets of pictures


def test_frechet_distance_in_closed_form(rng: np.random.Generator) -> None:
    x = rng.normal(size=(500, 6)) @ rng.normal(size=(6, 6))
    shift = np.arange(6.0)
    assert frechet.frechet_distance(x, x) == pytest.approx(0, abs=1e-8)
    assert frechet.frechet_distance(x, x + shift) == pytest.approx((shift**2).sum(), rel=1e-9)
    x -= x.mean(0)
    # Covariances C and 4C commute: the distance is the trace of (2-1)² C.
    assert frechet.frechet_distance(x, 2 * x) == pytest.approx(np.trace(np.cov(x, rowvar=False)), rel=1e-9)


def test_frechet_distance_holds_with_fewer_pictures_than_features(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(20, 64)), rng.normal(size=(30, 64))
    there, back = frechet.frechet_distance(x, y), frechet.frechet_distance(y, x)
    assert there == pytest.approx(back, rel=1e-6)
    assert there > 0
    assert frechet.frechet_distance(x, x[::-1]) == pytest.approx(0, abs=1e-6)


def test_frechet_distance_refuses_what_means_nothing(rng: np.random.Generator) -> None:
    with pytest.raises(ReliableSwapError, match="at least 16"):
        frechet.frechet_distance(rng.normal(size=(15, 4)), rng.normal(size=(50, 4)))
    with pytest.raises(ReliableSwapError, match="shapes"):
        frechet.frechet_distance(rng.normal(size=(20, 4)), rng.normal(size=(20, 5)))


def test_only_inception_is_called_fid() -> None:
    assert frechet.label_of("inception_v3") == "FID"
    assert "FID" not in frechet.label_of("efficientnet-lite0")
    with pytest.raises(WeightsError, match="unknown features"):
        frechet.features_of("resnet")


# Statistics


def test_ranks_of_copies_strangers_and_a_shuffled_gallery(rng: np.random.Generator) -> None:
    gallery = rng.normal(size=(50, 16))
    gallery /= np.linalg.norm(gallery, axis=1, keepdims=True)
    names = [f"p{i}" for i in range(50)]
    assert (ranks(gallery, names, gallery, names) == 1).all()
    many = np.repeat(gallery, 40, axis=0) + rng.normal(0, 0.01, (2000, 16))
    shuffled = [names[i] for i in rng.permutation(np.repeat(np.arange(50), 40))]
    found = ranks(many, shuffled, gallery, names)
    assert (found == 1).mean() == pytest.approx(1 / 50, abs=0.012)
    assert (found <= 5).mean() == pytest.approx(5 / 50, abs=0.03)


def test_a_person_is_as_near_as_their_nearest_photo_and_ties_count_against() -> None:
    gallery = np.array([[1.0, 0], [0, 1], [0.6, 0.8]])
    people = ["a", "b", "a"]
    assert ranks(np.array([[0.6, 0.8]]), ["a"], gallery, people)[0] == 1
    assert ranks(np.array([[0.1, 0.9]]), ["a"], gallery, people)[0] == 2
    alike = np.ones((4, 3))
    assert (ranks(alike[:1], ["b"], alike, list("abcd")) == 4).all()
    with pytest.raises(ValueError, match="nobody called z"):
        ranks(alike[:1], ["z"], alike, list("abcd"))


def test_bootstrap_intervals_cover_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    hits = 0
    for trial in range(200):
        estimate = bootstrap(rng.normal(3, 1, 60), seed=trial, copies=300)
        assert estimate is not None
        hits += estimate.low <= 3 <= estimate.high
    assert 0.88 <= hits / 200 <= 0.99


def test_frames_of_one_video_are_drawn_together(rng: np.random.Generator) -> None:
    values = np.repeat(rng.normal(size=20), 10)
    groups = [str(i // 10) for i in range(200)]
    alone, together = bootstrap(values), bootstrap(values, groups=groups)
    assert alone is not None
    assert together is not None
    assert together.value == pytest.approx(alone.value)
    assert together.high - together.low > 2 * (alone.high - alone.low)
    assert bootstrap([math.nan, math.nan]) is None
    middle = bootstrap([1, 2, 100, math.nan], median=True)
    assert middle is not None
    assert (middle.value, middle.count) == (2, 3)


# Protocols


def test_pairs_follow_the_seed_and_never_join_a_person_with_themselves(people: Path) -> None:
    one, again, other = (protocols.make_pairs("identity-folders", people, 15, seed) for seed in (3, 3, 4))
    assert one == again
    assert one != other
    assert len({pair.name for pair in one}) == 15
    for pair in one:
        assert pair.source.person != pair.target.person
        assert pair.reference is not None
        assert pair.reference.person == pair.source.person
        assert pair.reference.path != pair.source.path
    first = one[:5]
    assert len({pair.target.person for pair in first}) == 5


def test_every_photo_is_a_person_in_ffhq(people: Path) -> None:
    pairs = protocols.make_pairs("ffhq", people, 90, 0)
    assert len({(p.source.path, p.target.path) for p in pairs}) == 90
    with pytest.raises(ReliableSwapError, match="at most 90"):
        protocols.make_pairs("ffhq", people, 91, 0)


def test_celebahq_knows_people_by_its_lists(tmp_path: Path) -> None:
    for number in range(4):
        cv2.imwrite(str(tmp_path / f"{number}.jpg"), np.zeros((8, 8, 3), np.uint8))
    rows = ["idx orig_idx orig_file", *(f"{i} {i + 100} {i + 101:06d}.jpg" for i in range(4))]
    (tmp_path / "CelebA-HQ-to-CelebA-mapping.txt").write_text("\n".join(rows))
    with pytest.raises(ReliableSwapError, match=r"identity_CelebA.txt is missing"):
        protocols.make_pairs("celebahq", tmp_path, 2, 0)
    (tmp_path / "identity_CelebA.txt").write_text(
        "\n".join(f"{i + 101:06d}.jpg {7 + i // 2}" for i in range(4))
    )
    for seed in range(5):
        for pair in protocols.make_pairs("celebahq", tmp_path, 2, seed):
            assert {pair.source.person, pair.target.person} == {"7", "8"}


def test_a_pair_list_survives_being_written_and_read(people: Path, tmp_path: Path) -> None:
    pairs = protocols.make_pairs("identity-folders", people, 6, 0)
    table = people / "list.tsv"
    protocols.write_pairs(pairs, table)
    assert protocols.make_pairs("pairs", table, 100) == [
        Pair(p.name, p.source, p.target, p.reference) for p in pairs
    ]
    table.unlink()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("source\tgoal\nx\ty\n", "first line must name source and target"),
        ("source\ttarget\n", "lists no pairs"),
        ("source\ttarget\nnobody.png\tnobody.png\n", "line 2: there is no source"),
        ("source\ttarget\nx.png\t\n", "line 2 has no source or no target"),
        ("source\ttarget\tname\nx.png\tx.png\ta\nx.png\tx.png\ta\n", "two pairs are called a"),
    ],
)
def test_a_broken_pair_list_is_told_by_line(text: str, says: str, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "x.png"), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "pairs.tsv").write_text(text)
    with pytest.raises(ReliableSwapError, match=says):
        protocols.make_pairs("pairs", tmp_path)


def test_layouts_say_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ReliableSwapError, match=r"original_sequences.youtube.c23.videos"):
        protocols.make_pairs("ffpp", tmp_path)
    (tmp_path / "original_sequences/youtube/c23/videos").mkdir(parents=True)
    with pytest.raises(ReliableSwapError, match=r"train\.json"):
        protocols.make_pairs("ffpp", tmp_path)
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits/test.json").write_text('[["071", "054"]]')
    with pytest.raises(ReliableSwapError, match=r"054\.mp4, which is missing"):
        protocols.make_pairs("ffpp", tmp_path)
    with pytest.raises(ReliableSwapError, match="no pictures below"):
        protocols.make_pairs("ffhq", tmp_path)
    cv2.imwrite(str(tmp_path / "x.png"), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(ReliableSwapError, match="PERSON/PHOTO"):
        protocols.make_pairs("identity-folders", tmp_path)
    with pytest.raises(ReliableSwapError, match="at least two people"):
        protocols.make_pairs("ffhq", tmp_path)


# Judges


def test_the_pipelines_own_encoder_is_no_judge() -> None:
    import copy

    own, other = encoder(0), encoder(1)
    mine, half = (
        judge.EncoderJudge(own, "mine"),
        judge.EncoderJudge(copy.deepcopy(own).half().float(), "half"),
    )
    assert judge.same_encoder(mine, half)
    assert not judge.same_encoder(mine, judge.EncoderJudge(other, "other"))
    with pytest.raises(ReliableSwapError, match="--allow-same-judge"):
        judge.check_judges(half, None, {"pipe/neural": (own, None)})
    told = judge.check_judges(half, None, {"pipe/neural": (own, None)}, allow_same=True)
    assert told == ["the judge half is the identity encoder of pipe/neural"]
    assert judge.check_judges(half, None, {"a": (other, None), "b": (None, None)}) == []
    fixer = FixerNet(embedding_size=8)
    with pytest.raises(ReliableSwapError, match="FixerNet of pipe"):
        judge.check_judges(half, judge.FixerJudge(fixer, "chin"), {"pipe": (None, fixer)})


def test_an_onnx_judge_gets_pixels_as_it_was_told(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    h = onnx.helper
    shapes = (("x", [1, 3, 112, 112]), ("y", [1, 3, 1, 1]))
    ends = [h.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in shapes]
    graph = h.make_graph([h.make_node("GlobalAveragePool", ["x"], ["y"])], "mean", ends[:1], ends[1:])
    path = tmp_path / "mean.onnx"
    onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=9), path)
    face = analyser()(cv2.imread(str(person(1)), cv2.IMREAD_REDUCED_COLOR_8)[..., ::-1].copy())[0]
    image = np.full((400, 400, 3), (255, 128, 0), np.uint8)
    found = judge.open_judge(str(path), (0.5, 0.25, 0), (0.25, 1, 0.5)).embed(image, face)
    wanted = np.array([2.0, 128 / 255 - 0.25, 0.0])
    assert found == pytest.approx(wanted / np.linalg.norm(wanted), abs=1e-5)


def test_onnx_features_are_named_by_their_file(tmp_path: Path, rng: np.random.Generator) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    h = onnx.helper
    shapes = (("x", [1, 3, 299, 299]), ("y", [1, 3, 1, 1]))
    ends = [h.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in shapes]
    graph = h.make_graph([h.make_node("GlobalAveragePool", ["x"], ["y"])], "mean", ends[:1], ends[1:])
    path = tmp_path / "inception_small.onnx"
    onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=9), path)
    features = frechet.features_of(str(path))
    assert frechet.label_of(features.name) == "FID"
    image = np.full((300, 300, 3), (0, 255, 51), np.uint8)
    points = np.array([[120, 120], [180, 120], [150, 150], [125, 180], [175, 180]], np.float32)
    face = Face(np.array([100, 90, 200, 210], np.float32), points, 1.0)
    assert features(image, face) == pytest.approx([-1, 1, -0.6], abs=1e-3)


def test_wrong_judges_are_refused(tmp_path: Path) -> None:
    FixerNet(embedding_size=8).save_pretrained(tmp_path)
    with pytest.raises(WeightsError, match="a judge is an IdentityEncoder"):
        judge.open_judge(str(tmp_path))
    assert judge.open_lower_judge(str(tmp_path)).name == tmp_path.name
    with pytest.raises(WeightsError, match="there is no file"):
        judge.open_judge(str(tmp_path / "none.onnx"))


# Measuring


def test_controls_get_the_answers_known_beforehand(evaluation: Evaluation) -> None:
    unchanged, source = evaluation.methods
    value = {m.name: {k: e.value for k, e in m.estimates.items()} for m in evaluation.methods}
    assert evaluation.left_out == {}
    kept, copied = value[unchanged.name], value[source.name]
    assert (kept["copied"], kept["top1"], kept["failed"]) == (1, 0, 0)
    assert (copied["copied"], copied["top1"], copied["top5"]) == (0, 1, 1)
    assert copied["lower_top1"] == 1
    assert (kept["cos_target"], copied["cos_source"]) == pytest.approx((1, 1))
    assert (kept["psnr"], kept["ssim"]) == pytest.approx((pixels.PSNR_LIMIT, 1))
    for key in ("pose", "expression", "gaze", "eyelid", "mouth"):
        assert kept[key] == pytest.approx(0, abs=1e-4), key
        assert copied[key] > 0, key
    assert copied["shape_source"] == pytest.approx(0, abs=1e-4)
    assert copied["cos_reference"] == pytest.approx(
        evaluation.calibration["cosine of two photos of one person"]
    )
    assert kept["cos_source"] == pytest.approx(evaluation.calibration["cosine of source and target"])


class Half:
    """Makes every second result; the others are a grey picture or nothing."""

    name, control = "half <b>", False

    def __init__(self) -> None:
        self.count = 0

    def make(self, pair: Pair, target: Shot) -> Made:
        self.count += 1
        if self.count % 4 == 0:
            raise ReliableSwapError("it would not")
        image = target.read()
        return Made(
            np.full_like(image, 128) if self.count % 4 == 2 else image[::2, ::2].copy(), 5.0 * self.count
        )


@pytest.fixture(scope="module")
def with_failures(people: Path) -> Evaluation:
    pairs = protocols.make_pairs("identity-folders", people, 8, 1)
    return measure.evaluate([Half(), UnchangedTarget()], pairs, examiner())


def test_failures_are_counted_and_found_nowhere(with_failures: Evaluation) -> None:
    half = with_failures.methods[0]
    assert half.estimates["failed"].value == 0.5
    assert [row.failure for row in half.rows[:4]] == ["", "no face in the result", "", "it would not"]
    assert half.estimates["top1"].count == 8  # a failure is a miss
    assert half.estimates["copied"].count == 4  # but it copies nobody
    assert half.estimates["milliseconds"].count == 4
    # A result of half the size is measured at the target's.
    assert half.estimates["ssim"].value > 0.8


def test_photos_without_a_face_are_left_out_and_said(people: Path, tmp_path: Path) -> None:
    blank = tmp_path / "blank.png"
    cv2.imwrite(str(blank), np.full((64, 64, 3), 90, np.uint8))
    good = protocols.make_pairs("identity-folders", people, 1, 0)[0]
    bad = Pair("bad", Shot(blank, "nobody"), good.target)
    found = measure.evaluate([UnchangedTarget()], [bad, good], examiner())
    assert [pair.name for pair in found.pairs] == [good.name]
    assert "blank.png" in found.left_out["bad"]
    with pytest.raises(ReliableSwapError, match="none of the 1 pairs can be measured"):
        measure.evaluate([UnchangedTarget()], [bad], examiner())


def test_a_folder_of_results(people: Path, tmp_path: Path) -> None:
    pairs = protocols.make_pairs("identity-folders", people, 3, 0)
    with pytest.raises(ReliableSwapError, match="no folder"):
        FolderMethod("mine", tmp_path / "none")
    method = FolderMethod("mine", tmp_path)
    with pytest.raises(ReliableSwapError, match="holds none of the 3 results"):
        method.check(pairs)
    (tmp_path / f"{pairs[1].name}.png").write_bytes(pairs[1].source.path.read_bytes())
    method.check(pairs)
    assert np.array_equal(method.make(pairs[1], pairs[1].target).pixels, pairs[1].source.read())


# Reports


FACTS = Facts("identity-folders", "people", 0, "untrained", analyser="bundled", version="0", command="x")


class _Page(HTMLParser):
    """What a browser would ask the network for, and whether tags close."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.open: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.asked += [v or "" for k, v in attrs if k in ("src", "href", "srcset", "data")]
        if tag not in ("meta", "img", "br", "link", "line", "path"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("line", "path"):
            return
        assert self.open.pop() == tag


def test_the_page_is_whole_and_asks_for_nothing(with_failures: Evaluation) -> None:
    shared = Facts(**{**FACTS.__dict__, "shared": ["the judge is <script>"]})
    text = page(with_failures, shared)
    parsed = _Page()
    parsed.feed(text)
    assert parsed.open == []
    assert parsed.asked
    assert all(one.startswith("data:image/jpeg;base64,") for one in parsed.asked)
    assert "script" not in parsed.tags
    assert "half &lt;b&gt;" in text
    assert parsed.tags.count("svg") >= 2
    assert "http" not in text.replace("http-equiv", "")
    assert '<p class="warning">Same judge: the judge is &lt;script&gt;' in text
    assert "prefers-color-scheme: dark" in text


def test_the_texts_agree_with_what_was_measured(with_failures: Evaluation) -> None:
    half = with_failures.methods[0]
    told = markdown(with_failures, Facts(**{**FACTS.__dict__, "shared": ["the judge is own"]}))
    assert "**Same judge: the judge is own." in told
    assert "| failures (%) ↓ | 50.0 [" in told
    assert "half <b>: 2 × it would not" in told
    document = json.loads(as_json(with_failures, FACTS))
    assert document["methods"]["half <b>"]["figures"]["failed"]["value"] == 0.5
    rows = list(csv.DictReader(io.StringIO(as_csv(with_failures))))
    assert len(rows) == 16
    assert [row["failure"] for row in rows[:2]] == ["", "no face in the result"]
    mean = np.mean([float(row["pose"]) for row in rows[:8] if row["pose"]])
    assert mean == pytest.approx(half.estimates["pose"].value)


def test_the_cards_block_is_what_the_hub_reads(with_failures: Evaluation) -> None:
    block = yaml.safe_load(model_index(with_failures, FACTS))
    name, results = model_index_to_eval_results(block["model-index"])
    assert name == "reliableswap"
    told = {result.metric_type: result.metric_value for result in results}
    assert told["failed"] == 50.0
    assert {result.task_name for result in results} == {"Face swapping, half <b>"}  # no controls


def test_plots_hold_their_dots() -> None:
    from reliableswap.evaluation.statistics import Estimate

    same = Estimate(0.5, 0.5, 0.5, 1)
    dots = [plots.Dot(f"method {i}", same, Estimate(i, i - 0.5, i + 0.5, 9), False, "#000") for i in range(4)]
    svg = plots.scatter(dots, BY_KEY["cos_source"], BY_KEY["pose"])
    places = [float(part.split('"')[0]) for part in svg.split(' cy="')[1:]]
    assert places == sorted(places, reverse=True)
    assert all(16 <= y <= 254 for y in places)
    heights = sorted(float(part.split(' y="')[1].split('"')[0]) for part in svg.split('class="name"')[1:])
    assert min(np.diff(heights)) >= 13
    assert plots.scatter([], BY_KEY["cos_source"], BY_KEY["pose"]) == ""


# The command


def run(*words: str | Path) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([str(word) for word in words]))


def test_the_command_compares_our_engine_with_a_folder(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    encoder(0).save_pretrained(tmp_path / "judge")
    common = ("--protocol", "identity-folders", "--faces", people, "--pairs", 4)
    assert run(*common, "--list-pairs", tmp_path / "pairs.tsv") == 0
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for pair in protocols.make_pairs("pairs", tmp_path / "pairs.tsv"):
        (theirs / f"{pair.name}.png").write_bytes(pair.target.path.read_bytes())
    words = (*common, "--pipeline", "bundled", "--engine", "blend", "--outputs", f"theirs={theirs}")
    words = (*words, "--judge", tmp_path / "judge", "--features", "none", "--keep", tmp_path / "kept")
    assert run(*words, "-o", tmp_path / "report") == 0
    assert sorted(p.name for p in (tmp_path / "report").iterdir()) == sorted(command.FILES)
    found = json.loads((tmp_path / "report/report.json").read_text())["methods"]
    assert set(found) == {"bundled/blend", "theirs"}
    assert found["theirs"]["figures"]["copied"]["value"] == 1
    ours = found["bundled/blend"]["figures"]
    assert ours["failed"]["value"] == 0
    assert ours["psnr"]["value"] > 30
    assert 0 < ours["pose"]["value"] < 8
    assert ours["cos_target"]["value"] < 0.99
    assert ours["milliseconds"]["value"] > 1
    assert len(list((tmp_path / "kept/bundled-blend").glob("*.png"))) == 4
    assert "| ID retrieval" in capsys.readouterr().out
    with pytest.raises(ReliableSwapError, match="holds a report"):
        run(*words, "-o", tmp_path / "report")


def test_the_command_says_what_is_missing(people: Path, tmp_path: Path) -> None:
    common = ("--protocol", "ffhq", "--faces", people, "--pairs", 2)
    with pytest.raises(ReliableSwapError, match="give -o FOLDER"):
        run(*common)
    with pytest.raises(ReliableSwapError, match="nothing to evaluate"):
        run(*common, "-o", tmp_path / "x")
    with pytest.raises(ReliableSwapError, match="no judge of identity"):
        run(*common, "-o", tmp_path / "x", "--controls")
    encoder(0).save_pretrained(tmp_path / "judge")
    with pytest.raises(ReliableSwapError, match="is not NAME=FOLDER"):
        run(
            *common,
            "-o",
            tmp_path / "x",
            "--judge",
            tmp_path / "judge",
            "--outputs",
            "here",
            "--features",
            "none",
        )


def test_engines_belong_to_the_pipeline_before_them() -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    words = (
        "--protocol ffhq --faces x --engine blend --pipeline a --engine blend --engine neural --pipeline b"
    )
    assert parser.parse_args(words.split()).compared == [
        ("bundled", ["blend"]),
        ("a", ["blend", "neural"]),
        ("b", []),
    ]


# Videos


@pytest.fixture(scope="module")
def ffpp(people: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos of fourteen frames in FaceForensics++'s layout: heads that drift."""
    av = pytest.importorskip("av")
    root = tmp_path_factory.mktemp("ffpp")
    folder = root / "original_sequences/youtube/c23/videos"
    folder.mkdir(parents=True)
    (root / "splits").mkdir()
    (root / "splits/test.json").write_text('[["000", "003"]]')
    for name, number in (("000", 1), ("003", 4)):
        image = cv2.imread(str(people / f"P{number:03d}/studio_portrait.png"))
        side = min(image.shape[:2]) // 16 * 16
        with av.open(str(folder / f"{name}.mp4"), "w") as container:
            stream = container.add_stream("mpeg4", rate=25)
            stream.width = stream.height = side
            stream.bit_rate = 4_000_000
            for step in range(14):
                frame = np.ascontiguousarray(np.roll(image, step, axis=1)[:side, :side, ::-1])
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode())
    return root


def test_frames_are_read_by_number_in_any_order(ffpp: Path) -> None:
    path = ffpp / "original_sequences/youtube/c23/videos/000.mp4"
    assert frame_count(path) == 14
    in_order = [read_frame(path, i) for i in range(14)]
    read_frame.cache_clear()
    for index in (9, 2, 13, 0):
        assert np.array_equal(read_frame(path, index), in_order[index])
    with pytest.raises(ReliableSwapError, match="no frame 14; it ends after 14"):
        read_frame(path, 14)
    assert spread_frames(14, 10)[0] == 1
    assert spread_frames(14, 10)[-1] == 12
    with pytest.raises(ReliableSwapError, match="too short"):
        spread_frames(11, 10)


def test_videos_get_steadiness_and_flicker(ffpp: Path) -> None:
    pairs = protocols.make_pairs("ffpp", ffpp, 1)
    assert len(pairs) == 10
    assert {pair.clip for pair in pairs} == {"000_003"}
    found = measure.evaluate([UnchangedTarget(), SourcePhoto()], pairs, examiner())
    unchanged, still = ({k: e.value for k, e in m.estimates.items()} for m in found.methods)
    assert unchanged["flicker"] == 0
    assert unchanged["identity_variance"] > 0
    assert still["identity_variance"] == pytest.approx(0, abs=1e-9)  # one frame, ten times
    assert still["flicker"] < 0
    assert still["top1"] == 1


def test_another_tools_videos_and_frames_are_found(ffpp: Path, tmp_path: Path) -> None:
    pairs = protocols.make_pairs("ffpp", ffpp, 1)
    copy = (ffpp / "original_sequences/youtube/c23/videos/000.mp4").read_bytes()
    (tmp_path / "000_003.mp4").write_bytes(copy)
    videos = FolderMethod("videos", tmp_path)
    videos.check(pairs)
    assert np.array_equal(videos.make(pairs[4], pairs[4].target).pixels, pairs[4].target.read())
    (tmp_path / "000_003").mkdir()
    still = np.full((16, 16, 3), 7, np.uint8)
    cv2.imwrite(str(tmp_path / "000_003" / f"{pairs[4].target.frame:05d}.png"), still)
    assert np.array_equal(videos.make(pairs[4], pairs[4].target).pixels, still)
    broken = tmp_path / "broken"
    broken.mkdir()
    for content in (b"no video", copy[: len(copy) // 2]):
        (broken / "000_003.mp4").write_bytes(content)
        found = measure.evaluate([FolderMethod("broken", broken)], pairs[:1], examiner())
        assert found.methods[0].estimates["failed"].value == 1
        assert "000_003.mp4" in found.methods[0].rows[0].failure


# The truth


def test_the_nearer_triangle_wins_and_areas_are_right() -> None:
    near = [(10, 10, 1.0), (10, 50, 1.0), (50, 10, 1.0)]
    far = [(0, 0, 2.0), (0, 60, 2.0), (60, 60, 2.0), (60, 0, 2.0)]
    points = np.array(near + far)
    triangles = np.array([[3, 4, 5], [0, 1, 2], [3, 5, 6]])
    seen = render.rasterise(points, triangles, (64, 64))
    assert (seen.triangle == 1).sum() == 41 * 42 / 2  # whole pixels, edges included
    assert seen.covered.sum() == 61 * 61
    assert seen.depth[15, 15] == pytest.approx(1.0)
    assert seen.depth[55, 55] == pytest.approx(2.0)
    turned_away = render.rasterise(points, triangles[:, ::-1], (64, 64))
    assert not turned_away.covered.any()


def test_values_are_linear_inside_triangles_and_chunks_change_nothing(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    points = np.column_stack([rng.uniform(0, 80, (60, 2)), rng.uniform(1, 2, 60)])
    triangles = rng.integers(0, 60, (90, 3))
    whole = render.rasterise(points, triangles, (80, 80))
    monkeypatch.setattr(render, "_CHUNK", 700)
    assert np.array_equal(render.rasterise(points, triangles, (80, 80)).triangle, whole.triangle)
    y, x = np.nonzero(whole.covered)
    assert whole.spread(points[:, :2], triangles) == pytest.approx(np.column_stack([x, y]), abs=1e-6)


def test_light_from_everywhere_and_from_one_side(rng: np.random.Generator) -> None:
    normal = rng.normal(size=(200, 3))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    ambient = render.light_of(np.zeros((0, 3)) + 1, np.zeros((0, 3)), np.array([0.2, 0.4, 0.6]))
    assert render.shade(normal, ambient) == pytest.approx(np.tile([0.2, 0.4, 0.6], (200, 1)), abs=1e-5)
    one = render.light_of(np.array([[0, 0, 1.0]]), np.ones((1, 3)), np.zeros(3))
    # The second degree comes within a tenth of the cosine law.
    assert render.shade(normal, one)[:, 0] == pytest.approx(np.clip(normal[:, 2], 0, None), abs=0.1)


@lru_cache(maxsize=1)
def dome() -> HeadModel:
    """A smooth mask with the model's holes: enough of a head to be drawn."""
    x, y = np.meshgrid(np.linspace(-9, 9, 73), np.linspace(-16, 12, 113))
    z = 11 * np.sqrt(np.clip(1 - (x / 10) ** 2 - ((y + 2) / 17) ** 2, 0, 1)) - 1.5
    points = np.stack([x, y, z], -1).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(112), np.arange(72), indexing="ij")
    a = (i * 73 + j).ravel()
    triangles = np.concatenate([np.stack([a, a + 1, a + 74], 1), np.stack([a, a + 74, a + 73], 1)])
    middle = points[triangles].mean(1)
    eye = ((np.abs(middle[:, 0]) - 3.25) / 1.2) ** 2 + ((middle[:, 1] - 3.55) / 0.7) ** 2 < 1
    lips = (middle[:, 0] / 2.3) ** 2 + ((middle[:, 1] + 3.4) / 0.5) ** 2 < 1
    rng = np.random.default_rng(5)
    identity = np.zeros((100, len(points), 3), np.float32)
    identity[:, :, 2] = rng.normal(0, 0.1, (100, 1)) * np.cos(points[:, 0] / 3)
    names = sorted({name for e in truth._EXPRESSIONS for name in e})
    expression = np.zeros((len(names), len(points), 3), np.float32)
    return HeadModel(points, identity, expression, names, triangles[~(eye | lips)])


def test_a_truth_set_follows_its_seed_and_shares_the_scene(tmp_path: Path) -> None:
    table = make_set(dome(), tmp_path / "one", pairs=2, people=3, seed=4)
    make_set(dome(), tmp_path / "two", pairs=2, people=3, seed=4)
    files = sorted(p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*.png"))
    assert len(files) == 8
    assert all((tmp_path / "one" / f).read_bytes() == (tmp_path / "two" / f).read_bytes() for f in files)
    for pair in protocols.make_pairs("pairs", table):
        assert pair.truth is not None
        assert pair.reference is not None
        target, right = pair.target.read(), Shot(pair.truth, "").read()
        assert np.array_equal(target[:20, :20], right[:20, :20])  # the background is the scene's
        middle = np.abs(target[80:180, 80:180].astype(int) - right[80:180, 80:180]).mean()
        assert middle > 1
        assert not np.array_equal(pair.source.read(), pair.reference.read())
    with pytest.raises(ReliableSwapError, match="is not empty"):
        make_set(dome(), tmp_path / "one")


def test_the_same_person_in_the_same_scene_is_the_same_picture() -> None:
    rng = np.random.default_rng(0)
    who, scene = Person.drawn(rng), Scene.drawn(rng)
    image = picture_of(dome(), who, scene, 96)
    assert np.array_equal(image, picture_of(dome(), who, scene, 96))
    assert image.std() > 10


def test_a_perfect_answer_is_perfect(people: Path) -> None:
    source, target = people / "P001/studio_portrait.png", people / "P002/studio_portrait.png"
    pair = Pair("x", Shot(source, "a"), Shot(target, "b"), truth=target)
    found = measure.evaluate([UnchangedTarget()], [pair], examiner())
    value = {k: e.value for k, e in found.methods[0].estimates.items()}
    assert (value["truth_psnr"], value["truth_ssim"], value["truth_cos"]) == pytest.approx((100, 1, 1))
    assert value["truth_mesh"] == pytest.approx(0, abs=1e-6)


def test_a_missing_head_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(ReliableSwapError, match="there is no head model"):
        HeadModel.load(tmp_path / "none.npz")
    np.savez(tmp_path / "bad.npz", neutral=np.zeros((4, 3)))
    with pytest.raises(ReliableSwapError, match="lacks expression"):
        HeadModel.load(tmp_path / "bad.npz")
