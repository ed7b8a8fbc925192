"""Evaluation: every figure against an answer known beforehand."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from support.evaluation_people import NAMES, analyser, mesh_of, turned
from support.people import person

from reliableswap.errors import ReliableSwapError, WeightsError
from reliableswap.evaluation.metrics import frechet, pixels
from reliableswap.evaluation.metrics.statistics import bootstrap, ranks
from reliableswap.geometry import measures as geometry

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


def test_frechet_difference_says_whether_one_set_is_nearer(rng: np.random.Generator) -> None:
    real = rng.normal(size=(300, 4))
    near, also_near, far = rng.normal(size=(200, 4)), rng.normal(size=(200, 4)), rng.normal(size=(200, 4)) + 1
    names = [str(i) for i in range(200)]
    found = frechet.frechet_difference(far, near, real, names)
    exact = frechet.frechet_distance(far, real) - frechet.frechet_distance(near, real)
    assert found.value == pytest.approx(exact)
    assert 0 < found.low < found.value < found.high
    back = frechet.frechet_difference(near, far, real, names)
    assert (back.value, back.low, back.high) == pytest.approx((-found.value, -found.high, -found.low))
    alike = frechet.frechet_difference(near, also_near, real, names)
    assert alike.low < 0 < alike.high
    # Frames of one video are alike: with ten videos there is less to go by than with two hundred pictures.
    videos = [str(i // 20) for i in range(200)]
    frames = far + np.repeat(rng.normal(size=(10, 4)), 20, 0)
    one, all_alone = (frechet.frechet_difference(frames, near, real, groups) for groups in (videos, names))
    assert one.high - one.low > 2 * (all_alone.high - all_alone.low)


def test_frechet_difference_is_as_wide_as_other_pairs_would_differ(rng: np.random.Generator) -> None:
    real, names = rng.normal(size=(400, 3)), [str(i) for i in range(100)]
    values, widths = [], []
    for _ in range(40):
        one = frechet.frechet_difference(
            rng.normal(size=(100, 3)) * 1.3, rng.normal(size=(100, 3)) + 0.5, real, names
        )
        values.append(one.value)
        widths.append((one.high - one.low) / 2 / 1.96)
    assert np.median(widths) == pytest.approx(np.std(values), rel=0.35)


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


def test_never_in_a_few_pairs_is_not_never() -> None:
    for value, (low, high) in ((0.0, (0, 0.278)), (1.0, (0.722, 1))):
        estimate = bootstrap([value] * 10, share=True)
        assert estimate is not None
        assert (estimate.value, estimate.low, estimate.high) == pytest.approx((value, low, high), abs=1e-3)
    sure = bootstrap([0.0] * 10)
    assert sure is not None
    assert sure.high == 0


def test_intervals_of_pairs_of_a_few_people_know_that_there_are_few() -> None:
    """Results of one person, as source or as target, go well or badly together."""
    rng, people, count = np.random.default_rng(2), 30, 300
    hits = {"alone": 0, "crossed": 0}
    for trial in range(120):
        as_source, as_target = rng.normal(0, 0.7, (2, people))
        s, t = rng.integers(people, size=(2, count))
        values = 5 + as_source[s] + as_target[t] + rng.normal(0, 1, count)
        names = [[f"p{i}" for i in one] for one in (s, t)]
        for name, crossed in (("alone", []), ("crossed", names)):
            estimate = bootstrap(values, seed=trial, copies=200, crossed=crossed)
            assert estimate is not None
            hits[name] += estimate.low <= 5 <= estimate.high
    assert hits["alone"] < 0.75 * 120
    assert 0.86 * 120 < hits["crossed"] < 120
    apart = [[str(i) for i in range(50)]] * 2
    values = rng.random(50)
    assert bootstrap(values) == bootstrap(values, crossed=apart)
    sure = bootstrap([1.0] * 49 + [0.0], share=True, crossed=[["a"] * 50, ["b"] * 50])
    assert sure is not None
    assert sure.high <= 1


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
