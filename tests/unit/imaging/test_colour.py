"""Skin tone and light: means, deviations and low frequencies."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.people import portrait

from reliableswap.imaging import colour

few = settings(max_examples=12, deadline=None, derandomize=True)


@few
@given(st.integers(0, 2**31), st.floats(0.85, 1.2), st.floats(-8, 12))
def test_match_reaches_mean_and_deviation_inside_the_mask_and_then_rests(
    seed: int, gain: float, shift: float
) -> None:
    rng = np.random.default_rng(seed)
    lab = np.clip(rng.normal((60, 15, 18), (4, 2, 2), (32, 32, 3)), (50, 9, 12), (70, 21, 24)).astype(
        np.float32
    )
    reference = (lab[::-1] - (60, 15, 18)) * gain + np.array((60, 15, 18)) + shift
    weight = np.zeros((32, 32), np.float32)
    weight[4:28, 4:28] = 1
    once = colour.match(lab, reference.astype(np.float32), weight)
    for got, wanted in zip(colour.moments(once, weight), colour.moments(reference, weight), strict=True):
        np.testing.assert_allclose(got, wanted, atol=0.1)
    np.testing.assert_allclose(colour.match(once, reference.astype(np.float32), weight), once, atol=0.5)
    assert colour.match(lab, reference.astype(np.float32), weight, strength=0) is lab


def test_light_is_the_targets_and_detail_the_sources() -> None:
    rng = np.random.default_rng(0)
    grain = rng.normal(0, 3, (96, 96, 1)).astype(np.float32)
    lit_left = np.linspace(80, 40, 96, dtype=np.float32)[None, :, None]
    texture = np.dstack([lit_left + grain, np.full((96, 96, 2), 10, np.float32)])
    target = np.dstack([lit_left[:, ::-1] + 0 * grain, np.full((96, 96, 2), 20, np.float32)])
    weight = np.ones((96, 96), np.float32)
    out = colour.match_light(texture, target, weight, sigma=6)
    assert np.abs(cv2.GaussianBlur(out - target, (0, 0), 8))[16:-16, 16:-16].max() < 1.5
    inner = (slice(16, -16), slice(16, -16))
    fine = out[..., 0] - cv2.GaussianBlur(out[..., 0], (0, 0), 4)
    assert np.corrcoef(fine[inner].ravel(), grain[..., 0][inner].ravel())[0, 1] > 0.95


def test_brightening_hardly_amplifies_noise() -> None:
    rng = np.random.default_rng(0)
    grain = rng.normal(0, 1, (96, 96)).astype(np.float32)
    dark, bright = (np.dstack([np.full((96, 96), v, np.float32) for v in (lab, 10, 10)]) for lab in (30, 60))
    dark[..., 0] += grain
    for out in (
        colour.match_light(dark, bright, np.ones((96, 96), np.float32), sigma=12, max_detail_gain=1.2),
        colour.limit_light(
            dark, bright, np.ones((96, 96), np.float32), sigma=12, tolerance=np.zeros((96, 96), np.float32)
        ),
    ):
        inner = out[16:-16, 16:-16, 0]
        assert abs(inner.mean() - 60) < 1
        assert 0.9 < inner.std() / grain[16:-16, 16:-16].std() < 1.35


def test_light_from_one_side_is_removed_and_symmetric_light_stays() -> None:
    rows, columns = np.mgrid[:96, :96].astype(np.float32)
    mirror, weight = np.dstack([95 - columns, rows]), np.ones((96, 96), np.float32)
    target = np.dstack([np.full((96, 96), v, np.float32) for v in (60, 12, 14)])
    both = 0.1 * np.cos((columns - 47.5) / 5)  # symmetric, like the shading of cheeks and nose
    for side, contrast in ((0.0, 1.0), (0.5, 1.0), (0.5, 5.0)):
        texture = target.copy()
        texture[..., 0] *= np.exp(contrast * both + side * np.tanh((columns - 47.5) / 15))
        texture[..., 1] += 20 * side * np.sign(columns - 47.5)
        out = colour.even_light(texture, target, weight, mirror, sigma=2)
        reduced = colour.even_light(texture, target, weight, cv2.resize(mirror, (48, 48)) / 2, sigma=2)
        left = np.log(out[..., 0] / target[..., 0])
        assert np.abs(left - left[:, ::-1]).mean() < 0.05
        assert np.abs(out[..., 1] - 12).mean() < 2
        assert left.std() > 0.06
        assert left.std() < 0.15
        assert np.abs(reduced - out).mean() < 1.5
        if not side:
            np.testing.assert_allclose(out, texture, atol=0.1)


def test_a_shadow_on_one_side_goes_with_its_edge_and_the_other_side_stays() -> None:
    rows, columns = np.mgrid[:192, :192].astype(np.float32)
    mirror, weight = np.dstack([191 - columns, rows]), np.ones((192, 192), np.float32)
    target = np.dstack([np.full((192, 192), v, np.float32) for v in (60, 12, 14)])
    grain = np.random.default_rng(0).normal(0, 1, (192, 192))
    texture = target.copy()
    texture[..., 0] += grain
    lit = texture.copy()
    shade = (columns > 115) & (columns < 150) & (rows > 80) & (rows < 110)
    texture[shade] *= (0.6, 1.3, 1.3)
    out = colour.even_light(texture, target, weight, mirror, sigma=6)
    assert np.abs(out[:, :70] - lit[:, :70]).mean() < 0.3
    for made, least, most in ((texture, 20, 30), (out, 0, 10)):  # across the edges of the shadow
        for edge in (slice(76, 84), slice(106, 114)):
            off = np.abs(made[edge, 120:145].mean(1) - (60, 12, 14)).max()
            assert least <= off < most
    assert 0.5 < out[86:104, 120:145, 0].std() < 1.6  # skin that lay in the shadow keeps its grain


def test_stubble_is_like_skin_and_beards_and_grey_hair_are_not() -> None:
    lab = np.full((1, 5, 3), (65.0, 14.0, 18.0), np.float32)
    lab[0, 1:] = (58, 12, 16), (20, 5, 6), (62, 2, 3), (28, 12, 16)
    weight = np.float32([[1, 0, 0, 0, 0]])
    skin, stubble, *others = colour.skin_likeness(lab, weight)[0]
    assert skin == stubble == 1
    assert max(others) == 0
    assert colour.skin_likeness(lab, 0 * weight).max() == 0
    grey = colour.skin_likeness(lab * np.float32([1, 0.02, 0.02]), weight)[0]
    assert grey[[0, 1, 3]].min() == 1
    assert grey[[2, 4]].max() == 0


def test_a_beard_outside_the_weight_does_not_change_the_light_beside_it() -> None:
    texture = np.dstack([np.full((64, 64), v, np.float32) for v in (60, 12, 14)])
    bearded = texture.copy()
    bearded[40:, :, 0] = 15
    target = texture + np.float32(5)
    weight = np.ones((64, 64), np.float32)
    weight[40:] = 0
    clean = colour.match_light(texture, target, weight, sigma=6)
    beside = colour.match_light(bearded, target, weight, sigma=6)
    np.testing.assert_allclose(beside[:40], clean[:40], atol=1e-3)
    assert beside[50, 32, 0] < 20


def test_grey_areas_do_not_turn_blue_where_skin_loses_its_tint() -> None:
    lab = np.full((60, 80, 3), (60, 20, 25), np.float32)
    lab[:, 60:] = (60, 1, 2)  # a grey wall that was warped along with the skin, or a white beard
    pale = np.full_like(lab, 0) + np.float32([60, 4, 5])
    weight = np.ones((60, 80), np.float32)
    weight[:, 55:] = 0
    for made in (colour.match(lab, pale, weight), colour.match_light(lab, pale, weight, 8)):
        assert np.abs(made[:, :50, 1:] - (4, 5)).max() < 0.1  # the skin has the target's tint
        assert made[:, 60:, 1:].min() > -0.5  # a plain shift would give -15
        assert np.abs(made[:, 60:, 1:] - (1, 2)).max() < 3
    warm = colour.match_light(pale, lab, weight, 8)
    assert warm[:, :50, 1].min() > 18  # the other way round, skin gains the whole difference


def test_a_shadow_keeps_a_tint_where_skin_loses_most_of_its_own() -> None:
    """Brown skin becomes pale; its shaded part, with half of the tint, becomes pale and not grey."""
    brown, shade, pale = (55.0, 14.0, 24.0), (54.0, 7.0, 12.0), (70.0, 4.0, 7.0)
    lab = np.empty((64, 64, 3), np.float32)
    lab[:], lab[:, :16] = brown, shade
    weight = np.ones((64, 64), np.float32)
    weight[:, :16] = 0
    made = colour.match(lab, np.full_like(lab, pale), weight)
    assert np.allclose(made[:, 32:], pale, atol=0.5)
    chroma = np.hypot(made[..., 1], made[..., 2])
    assert 0.35 < chroma[:, 8].mean() / chroma[:, 40].mean() < 0.75


@pytest.mark.parametrize("tint", [(0, 0, 0), (20, 0, -30)])
def test_a_monochrome_photo_gives_its_tint(tint: tuple[int, int, int]) -> None:
    picture = portrait(1, 96)
    photo = np.clip(portrait(2, 96).mean(2, keepdims=True) + tint, 0, 255).astype(np.uint8)
    made = colour.match_monochrome(picture, photo).astype(int)
    inside = (made.min(2) > 0) & (made.max(2) < 255)
    assert np.abs(made[inside][:, 0] - made[inside][:, 2] - (tint[0] - tint[2])).max() <= 1
    assert np.corrcoef(made[..., 1].ravel(), picture.mean(2).ravel())[0, 1] > 0.95


def test_a_colour_photo_changes_nothing() -> None:
    picture = portrait(1, 96)
    assert colour.match_monochrome(picture, portrait(2, 96)) is picture


def test_local_means_without_weight_come_from_the_nearest_that_has_some() -> None:
    picture = np.full((64, 64, 3), (60, 12, 14), np.float32)
    picture[:, 32:] = (10, 0, 0)
    weight = np.zeros((64, 64), np.float32)
    weight[:, :16] = 1
    (mean,) = colour.local_means([picture], weight, sigma=3)
    np.testing.assert_allclose(mean[:, :16], picture[:, :16], atol=0.05)
    np.testing.assert_allclose(mean[:, 48:], picture[:, :16], atol=0.5)


def test_a_tint_may_change_with_the_brightness() -> None:
    paper = np.array([250, 235, 205], np.float32) / 255
    grey = portrait(2, 96).mean(2, keepdims=True)
    made = colour.match_monochrome(portrait(1, 96), np.rint(grey * paper).astype(np.uint8)).astype(float)
    inside = (made.min(2) > 20) & (made.max(2) < 255)
    assert np.abs(made[inside] / made[inside].mean(1, keepdims=True) - paper / paper.mean()).max() < 0.05


def test_dark_hair_gets_no_redder_and_skin_beside_it_does() -> None:
    before = np.full((8, 8, 3), (20.0, 2.0, 1.0), np.float32)  # dark, with hardly any colour
    after = np.full((8, 8, 3), (30.0, 20.0, 15.0), np.float32)
    hair = np.zeros((8, 8), np.float32)
    hair[:, :4] = 1
    lab = colour.limit_chroma(after, before, hair)
    np.testing.assert_array_equal(lab[:, 4:], after[:, 4:])
    np.testing.assert_array_equal(lab[..., 0], after[..., 0])
    most = (np.hypot(2, 1) + colour.MIN_CHROMA) * 30 / 20
    assert np.hypot(lab[0, 0, 1], lab[0, 0, 2]) == pytest.approx(most, rel=1e-4)
    assert lab[0, 0, 1] / lab[0, 0, 2] == pytest.approx(20 / 15, rel=1e-4)
    np.testing.assert_array_equal(colour.limit_chroma(before, before, np.ones((8, 8), np.float32)), before)


def skin_and_hair(
    skin: tuple[float, float, float], hair: tuple[float, float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """(8,8,3) Lab of a face whose last two rows are hair, and the (8,8) mask of its skin."""
    lab = np.full((8, 8, 3), skin, np.float32)
    lab[:6, ::2, 0] += 2
    lab[6:] = hair
    weight = np.ones((8, 8), np.float32)
    weight[6:] = 0
    return lab, weight


@pytest.mark.parametrize("brightness", [90.0, 60.0])
def test_dark_hair_keeps_its_contrast_to_the_skin_in_another_light(brightness: float) -> None:
    before, skin = skin_and_hair((60, 12, 16), (20, 2, 3))
    reference, _ = skin_and_hair((brightness, 12, 16), (brightness, 12, 16))
    matched = colour.match(before, reference, skin)
    lit = colour.relight_dark(matched, before, reference, skin)
    np.testing.assert_array_equal(lit[:6], matched[:6])
    np.testing.assert_array_equal(lit[..., 1:], matched[..., 1:])
    ratio = (brightness + 1) / 61
    assert lit[7, 0, 0] == pytest.approx(20 * ratio, rel=1e-3)
    assert lit[7, 0, 0] <= matched[7, 0, 0] + 1e-3


def test_dark_hair_does_not_become_black_in_little_light() -> None:
    before, skin = skin_and_hair((80, 12, 16), (30, 2, 3))
    reference, _ = skin_and_hair((35, 12, 16), (35, 12, 16))
    matched = colour.match(before, reference, skin)
    assert matched[7, 0, 0] < 0
    lit = colour.relight_dark(matched, before, reference, skin)
    by_light = 30 * 36 / 81
    assert by_light - 8.01 <= lit[7, 0, 0] < by_light


def test_hair_takes_the_tint_of_warm_light_and_none_of_even_light() -> None:
    before, skin = skin_and_hair((60, 12, 16), (30, 0, 0))
    orange, _ = skin_and_hair((60, 25, 50), (60, 25, 50))
    warm = colour.warmth(before, orange, skin)
    assert warm > 0.2
    assert colour.warmth(before, before, skin) == pytest.approx(0, abs=1e-3)
    cold, _ = skin_and_hair((60, 4, 2), (60, 4, 2))
    assert colour.warmth(before, cold, skin) == pytest.approx(0, abs=1e-3)
    shifted = before + np.array([0, 20, 40], np.float32)
    hair = 1 - skin
    grey, brown = (colour.limit_chroma(shifted, before, hair, one) for one in (0.0, warm))
    assert np.hypot(*grey[7, 0, 1:]) == pytest.approx(colour.MIN_CHROMA, rel=1e-4)
    assert np.hypot(*brown[7, 0, 1:]) == pytest.approx(30 * warm, rel=1e-4)


def test_without_skin_no_light_is_estimated() -> None:
    lab, _ = skin_and_hair((60, 12, 16), (20, 2, 3))
    nothing = np.zeros((8, 8), np.float32)
    assert colour.relight_dark(lab, lab, lab, nothing) is lab
    assert colour.warmth(lab, lab, nothing) == 0
