"""The blend room: warp, bands, colour, detail, reshape."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.blend_faces import BEARD, SMILE, WOMAN, face

from reliableswap.faces.glasses import bundled_glasses
from reliableswap.geometry import regions
from reliableswap.geometry.expression import keep_expression
from reliableswap.geometry.raster import rasterise
from reliableswap.geometry.shape import MIN_MOVE, displacement, reshape, shaped_mesh
from reliableswap.geometry.topology import topology
from reliableswap.geometry.warp import trust, warp_texture
from reliableswap.imaging import bands, colour
from reliableswap.imaging import grain as detail
from reliableswap.swap.guidance import guidance_texture

few = settings(max_examples=12, deadline=None, derandomize=True)


def noise(seed: int, height: int = 40, width: int = 52) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return cv2.GaussianBlur(rng.uniform(0, 255, (height, width, 3)).astype(np.float32), (0, 0), 1.5)


# topology ------------------------------------------------------------------------------------------------------------


def test_the_mesh_is_one_disc_with_the_oval_as_its_border_and_every_ring_along_its_edges() -> None:
    top = topology()
    edges: dict[tuple[int, int], int] = {}
    for triangle in top.triangles.tolist():
        for a, b in zip(triangle, triangle[1:] + triangle[:1], strict=True):
            edges[min(a, b), max(a, b)] = edges.get((min(a, b), max(a, b)), 0) + 1
    assert set(edges.values()) == {1, 2}
    assert len(np.unique(top.triangles)) - len(edges) + len(top.triangles) == 1  # Euler: a disc
    border = {edge for edge, count in edges.items() if count == 1}

    def around(name: str) -> set[tuple[int, int]]:
        ring = top.regions[name].tolist()
        return {(min(a, b), max(a, b)) for a, b in zip(ring, ring[1:] + ring[:1], strict=True)}

    assert border == around("oval")
    for name in ("lips", "inner_lips", "right_eye", "left_eye"):
        assert around(name) <= edges.keys(), name


def test_the_mirror_map_is_an_involution_that_keeps_the_mesh() -> None:
    top = topology()
    assert (top.mirror[top.mirror] == np.arange(468)).all()
    triangles = {tuple(sorted(t)) for t in top.triangles.tolist()}
    assert {tuple(sorted(t)) for t in top.mirror[top.triangles].tolist()} == triangles
    np.testing.assert_allclose(top.canonical[top.mirror] * (-1, 1, 1), top.canonical, atol=2e-4)


# warp ----------------------------------------------------------------------------------------------------------------


def test_a_raster_covers_each_triangle_exactly_where_a_plain_test_of_every_pixel_says() -> None:
    rng = np.random.default_rng(3)
    points = np.column_stack([rng.uniform(-3, 33, (3, 2)), np.zeros(3)]).astype(np.float32)
    raster = rasterise(points, (30, 30), np.array([[0, 1, 2]]))
    y, x = np.mgrid[:30, :30]
    pixels = np.column_stack([x.ravel(), y.ravel(), np.ones(900)])
    inside = (pixels @ raster.inverses[..., 0].T).min(1)
    got = np.zeros(900, bool)
    got[raster.flat] = True
    clear = np.abs(inside) > 1e-3
    assert (got == (inside > 0))[clear].all()
    assert got.any()
    assert not got.all()


def test_the_nearer_triangle_wins_whatever_the_order() -> None:
    square = np.array([[2, 2, 5], [17, 2, 5], [2, 17, 5], [2, 2, 1], [17, 2, 1], [2, 17, 1]], np.float32)
    for triangles in ([[0, 1, 2], [3, 4, 5]], [[3, 4, 5], [0, 1, 2]]):
        raster = rasterise(square, (20, 20), np.array(triangles))
        near = triangles.index([3, 4, 5])
        assert (raster.ids == near).all()
        assert len(raster.ids) > 100


def test_a_mesh_on_itself_returns_the_picture() -> None:
    picture, mesh = face(WOMAN)
    texture, validity = warp_texture(picture, mesh, mesh, picture.shape[:2])
    certain = validity > 0.999
    assert certain.sum() > 0.9 * regions.oval(mesh, picture.shape[:2]).sum()
    assert np.abs(texture[certain].astype(int) - picture[certain]).max() <= 2
    outside = cv2.dilate(regions.oval(mesh, picture.shape[:2]), np.ones((3, 3))) == 0
    assert (texture[outside] == 0).all()
    assert (validity[outside] == 0).all()


@few
@given(st.floats(-180, 180), st.floats(0.75, 1.3), st.floats(-8, 8), st.floats(-8, 8))
def test_a_similarity_of_the_mesh_warps_like_an_affine_map(
    angle: float, k: float, dx: float, dy: float
) -> None:
    picture, mesh = face(WOMAN)
    picture = cv2.GaussianBlur(
        picture, (0, 0), 1.5
    )  # two resamplings of a sharp picture differ more than this
    matrix = cv2.getRotationMatrix2D((96, 96), angle, k) + np.array([[0, 0, dx], [0, 0, dy]])
    goal = np.column_stack([mesh[:, :2] @ matrix[:, :2].T + matrix[:, 2], mesh[:, 2] * k]).astype(np.float32)
    texture, validity = warp_texture(picture, mesh, goal, picture.shape[:2])
    plain = cv2.warpAffine(picture, matrix, (192, 192))
    certain = cv2.erode((validity > 0.99).astype(np.uint8), np.ones((3, 3))) > 0
    assert certain.sum() > 1000
    assert np.abs(texture[certain].astype(int) - plain[certain]).mean() < 1.0


def test_guidance_leaves_what_is_between_lids_and_lips_to_the_target() -> None:
    picture, mesh = face(SMILE)
    shape = picture.shape[:2]
    whole, everywhere = warp_texture(picture, mesh, mesh, shape)
    texture, validity = guidance_texture(picture, mesh, picture, mesh, bundled_glasses())
    own = np.maximum(regions.eyes(mesh, shape, 0.8), regions.inner_mouth(mesh, shape)) > 0
    near = np.maximum(regions.eyes(mesh, shape, 1.1), regions.inner_mouth(mesh, shape)) > 0
    assert own.sum() > 50
    assert validity[own].max() == 0
    assert texture[own].max() == 0
    shown = ~near & (validity > 0)
    assert np.count_nonzero(shown) > 0.9 * np.count_nonzero(~near & (everywhere > 0))
    # But for the little that hair covers, which comes from the face's other half.
    assert np.quantile(np.abs(texture[shown].astype(int) - whole[shown]), 0.9) <= 2


def test_guidance_has_the_skin_tone_of_the_target() -> None:
    picture, mesh = face(SMILE)
    warm = np.rint(picture * np.array([1.0, 0.7, 0.45])).astype(np.uint8)
    texture, validity = guidance_texture(picture, mesh, warm, mesh, bundled_glasses())
    skin = (regions.skin(mesh, picture.shape[:2]) > 0.9) & (validity > 0.9)
    assert np.abs(texture[skin].mean(0) - warm[skin].mean(0)).max() < 6
    assert np.abs(picture[skin].mean(0) - warm[skin].mean(0)).max() > 25


def test_guidance_stands_in_the_light_of_the_target() -> None:
    picture, mesh = face(SMILE)
    middle = float(mesh[1, 0])
    across = (np.arange(picture.shape[1], dtype=np.float32) - middle) / regions.face_width(mesh)
    lit = np.clip(1.0 - 0.9 * across, 0.4, 1.6)[None, :, None]
    sunny = np.clip(np.rint(picture * lit), 0, 255).astype(np.uint8)
    skin = (regions.skin(mesh, picture.shape[:2]) > 0.9) & (across > -0.35) & (across < 0.35)

    def left_against_right(photo: np.ndarray, sure: np.ndarray) -> float:
        light = photo.mean(2)
        return float(light[sure & (across < -0.15)].mean() / light[sure & (across > 0.15)].mean())

    texture, validity = guidance_texture(picture, mesh, sunny, mesh, bundled_glasses())
    own, wanted, given = (left_against_right(p, skin & (validity > 0.9)) for p in (picture, sunny, texture))
    assert wanted > own * 1.5
    assert abs(np.log(given / wanted)) < 0.35 * abs(np.log(own / wanted))


def test_guidance_leaves_out_what_covers_the_source() -> None:
    picture, mesh = face(SMILE)
    covered = picture.copy()
    forehead = regions.forehead(mesh, picture.shape[:2]) > 0
    top = forehead & (np.arange(len(picture))[:, None] < mesh[10, 1] + 0.6 * (mesh[9, 1] - mesh[10, 1]))
    covered[top] = (25, 18, 14)  # a fringe
    inner = cv2.erode(top.astype(np.uint8), np.ones((5, 5))) > 0
    assert inner.sum() > 50
    before, after = (guidance_texture(p, mesh, picture, mesh, bundled_glasses())[1] for p in (picture, covered))
    assert before[inner].mean() > 0.8
    assert after[inner].mean() < 0.2


def test_a_half_that_is_hidden_comes_from_the_other_half_and_is_never_stretched() -> None:
    picture, mesh = face(WOMAN)
    angle = np.radians(50)  # the source turned away: its far cheek is hidden
    turn = np.array(
        [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]], np.float32
    )
    centre = mesh.mean(0)
    turned = (mesh - centre) @ turn.T + centre
    direct, flipped = trust(turned, mesh)
    cheeks = np.array([234, 454])
    assert direct[cheeks].min() < 0.1
    assert direct[cheeks].max() > 0.9
    assert np.abs(flipped - direct[topology().mirror]).mean() < 0.03  # no face is quite symmetric
    assert trust(mesh, mesh)[0].min() > 0.9
    # A source painted red on the half that can be seen gives a target red on both.
    red = np.zeros_like(picture)
    red[..., 0] = 200
    texture, validity = warp_texture(red, turned, mesh, picture.shape[:2])
    assert (texture[..., 0][validity > 0.5] >= 199).all()
    assert (validity > 0.5).sum() > 0.9 * regions.oval(mesh, picture.shape[:2]).sum()


# bands ---------------------------------------------------------------------------------------------------------------


@few
@given(st.integers(0, 2**31), st.integers(0, 6), st.integers(9, 70), st.integers(9, 70))
def test_a_pyramid_collapses_to_its_picture(seed: int, count: int, height: int, width: int) -> None:
    picture = noise(seed, height, width)
    found = bands.collapse(bands.laplacian_pyramid(picture, bands.bands_for((height, width), count)))
    np.testing.assert_allclose(found, picture, atol=1e-3)


@few
@given(st.integers(0, 2**31), st.integers(0, 6))
def test_a_mask_of_ones_or_zeros_returns_one_picture(seed: int, count: int) -> None:
    over, under = noise(seed), noise(seed + 1)
    zeros = np.zeros(over.shape[:2], np.float32)
    assert (bands.blend_bands(over, under, zeros, count) == under).all()
    np.testing.assert_allclose(bands.blend_bands(over, under, zeros + 1, count), over, atol=1e-3)


def test_fine_bands_mix_more_narrowly_than_coarse_ones() -> None:
    mask = np.zeros((64, 64), np.float32)
    mask[:, 32:] = 1
    flat = np.zeros((64, 64, 3), np.float32)
    coarse = bands.blend_bands(flat + 100, flat, mask, 4)[32, :, 0]
    stripes = flat.copy()
    stripes[:, ::2] = 100
    fine = bands.blend_bands(stripes, flat + 50, mask, 4)[32, :, 0]
    assert 0 < np.count_nonzero(np.abs(np.diff(coarse)) > 20) <= 2 or np.abs(np.diff(coarse)).max() < 20
    assert np.abs(fine[:24] - 50).max() < 5
    assert np.abs(np.diff(fine[40:])).min() > 80


# colour and detail ---------------------------------------------------------------------------------------------------


@few
@given(st.integers(0, 2**31), st.floats(0.85, 1.2), st.floats(-12, 12))
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
        np.testing.assert_allclose(got, wanted, atol=0.05)
    np.testing.assert_allclose(colour.match(once, reference.astype(np.float32), weight), once, atol=0.1)
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


def test_what_has_no_tint_does_not_turn_blue_where_skin_loses_its_own() -> None:
    lab = np.full((60, 80, 3), (60, 20, 25), np.float32)
    lab[:, 60:] = (60, 1, 2)  # a grey wall that was warped along with the skin, and a white beard's colour
    pale = np.full_like(lab, 0) + np.float32([60, 4, 5])
    weight = np.ones((60, 80), np.float32)
    weight[:, 55:] = 0
    for made in (colour.match(lab, pale, weight), colour.match_light(lab, pale, weight, 8)):
        assert np.abs(made[:, :50, 1:] - (4, 5)).max() < 0.1  # the skin has the target's tint
        assert made[:, 60:, 1:].min() > -0.5  # it would be 15 below nothing
        assert np.abs(made[:, 60:, 1:] - (1, 2)).max() < 3
    warm = colour.match_light(pale, lab, weight, 8)
    assert warm[:, :50, 1].min() > 18  # and gains what it lacks in full


def test_detail_softens_a_sharp_face_for_a_soft_photo_and_lends_grain_to_a_smooth_one() -> None:
    rng = np.random.default_rng(1)
    sharp = rng.normal(60, 6, (64, 64)).astype(np.float32)
    smooth = cv2.GaussianBlur(sharp, (0, 0), 2)
    whole = np.ones((64, 64), np.float32)

    def fine(picture: np.ndarray) -> float:
        return float((picture - cv2.GaussianBlur(picture, (0, 0), 1)).std())

    softened = detail.match_detail(sharp, smooth, whole, whole, 60)
    assert fine(softened) < 0.4 * fine(sharp)
    grained = detail.match_detail(smooth, sharp, whole, whole, 60)
    assert fine(grained) == pytest.approx(fine(sharp), rel=0.25)
    assert detail.match_detail(sharp, smooth, whole, whole, 60, strength=0) is sharp


# reshape -------------------------------------------------------------------------------------------------------------


def test_no_strength_leaves_mesh_and_picture_as_they_are() -> None:
    picture, mesh = face(WOMAN)
    goal = shaped_mesh(mesh, face(BEARD)[1], 0.0)
    assert (goal == mesh).all()
    assert (reshape(picture, displacement(mesh, goal, picture.shape[:2])) == picture).all()


def test_the_goal_keeps_the_targets_mouth_and_moves_towards_the_sources_outline() -> None:
    _, target = face(WOMAN)
    _, smiling = face(SMILE)
    goal = shaped_mesh(target, smiling, 1.0)
    assert regions.mouth_opening(smiling) > 0.1
    assert regions.mouth_opening(goal) < regions.mouth_opening(target) + 0.03
    assert 0.002 < np.linalg.norm(goal - target, axis=1).mean() / regions.face_width(target) < 0.06
    np.testing.assert_allclose(
        shaped_mesh(target, target * 1.7 + 5, 1.0), target, atol=0.05
    )  # size is not shape
    half = shaped_mesh(target, smiling, 0.5)
    np.testing.assert_allclose(half, (goal + target) / 2, atol=0.01)


def test_a_smile_that_was_made_too_wide_is_drawn_back_and_the_rest_stays() -> None:
    picture, mesh = face(WOMAN, 256)
    eyes = np.linalg.norm(mesh[33] - mesh[263])
    smiling = mesh.copy()
    for corner, side in ((61, -1), (291, 1)):
        near = np.exp(-np.square(np.linalg.norm(mesh - mesh[corner], axis=1) / (0.25 * eyes)))
        smiling[:, :2] += near[:, None] * np.array([0.05 * side, -0.05]) * eyes
    made = reshape(picture, displacement(mesh, smiling, picture.shape[:2]))
    kept, moved = keep_expression(made, smiling, mesh, 1.0)
    mouth = cv2.dilate(regions.inner_mouth(smiling, picture.shape[:2]), regions.disc(0.15 * eyes)) > 0
    before, after = (np.abs(one.astype(float) - picture).mean(2)[mouth].mean() for one in (made, kept))
    assert after < 0.8 * before
    assert np.array_equal(kept[moved == 0], made[moved == 0])
    for asked, share in (((made, smiling, mesh), 0.0), ((picture, mesh, mesh), 1.0)):
        same, still = keep_expression(*asked, share)
        assert np.array_equal(same, asked[0])
        assert still.max() == 0
    forehead = mesh[10, 1] + 0.1 * (mesh[168, 1] - mesh[10, 1])
    assert np.array_equal(kept[: int(forehead)], made[: int(forehead)])


def test_what_is_far_from_the_face_stays_bit_equal_when_the_outline_moves() -> None:
    picture, mesh = face(WOMAN)
    move = displacement(mesh, shaped_mesh(mesh, face(BEARD)[1], 1.0), picture.shape[:2])
    still = np.abs(move).max(2) < MIN_MOVE
    moved = reshape(picture, move)
    assert (moved[still] == picture[still]).all()
    assert still.mean() > 0.05
    assert (moved != picture).any()
