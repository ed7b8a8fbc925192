"""The blend room: warp, bands, colour, detail, reshape, covers, and the engine that is made of them."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import openpeople
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reliableswap.blend import (
    BlendSettings,
    bands,
    blend_face,
    colour,
    detail,
    guidance_texture,
    looks,
    occlusion,
    regions,
    warp_texture,
)
from reliableswap.blend.expression import keep_expression
from reliableswap.blend.raster import rasterise
from reliableswap.blend.reshape import STILL, displacement, reshape, shaped_mesh
from reliableswap.blend.topology import topology
from reliableswap.blend.warp import open_lips, trust
from reliableswap.errors import ReliableSwapError

PEOPLE = Path(openpeople.__file__).parent / "data" / "curated"
MESHES = json.loads((Path(__file__).parent / "data" / "meshes.json").read_text())
WOMAN, OTHER, BEARD = "P001_studio_portrait", "P003_studio_portrait", "P005_studio_portrait"
SMILE, SMILING_MAN = "P004_amateur_selfie", "P007_amateur_selfie"
few = settings(max_examples=12, deadline=None, derandomize=True)


@lru_cache(maxsize=16)
def face(name: str, size: int = 192) -> tuple[np.ndarray, np.ndarray]:
    """A square picture of `size` pixels around the face, and its mesh."""
    person, photo = name.split("_", 1)
    path = PEOPLE / person / "assets" / f"{photo}.jpg"
    picture = cv2.imread(str(path), cv2.IMREAD_REDUCED_COLOR_2)[..., ::-1]
    mesh = np.array(MESHES[name], np.float32) / 2 - (0.25, 0.25, 0)
    middle = (mesh[:, :2].min(0) + mesh[:, :2].max(0)) / 2
    k = size / (2.0 * np.ptp(mesh[:, :2], axis=0).max())
    matrix = np.array([[k, 0, size / 2 - k * middle[0]], [0, k, size / 2 - k * middle[1]]])
    large = cv2.warpAffine(cv2.GaussianBlur(picture, (0, 0), 0.4 / k), matrix, (size, size))
    return large, (mesh * k + (matrix[0, 2], matrix[1, 2], 0)).astype(np.float32)


def mirrored(picture: np.ndarray, mesh: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    flipped = mesh[topology().mirror].copy()
    flipped[:, 0] = picture.shape[1] - 1 - flipped[:, 0]
    return np.ascontiguousarray(picture[:, ::-1]), flipped


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
    texture, validity = guidance_texture(picture, mesh, picture, mesh)
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
    texture, validity = guidance_texture(picture, mesh, warm, mesh)
    skin = (regions.skin(mesh, picture.shape[:2]) > 0.9) & (validity > 0.9)
    assert np.abs(texture[skin].mean(0) - warm[skin].mean(0)).max() < 6
    assert np.abs(picture[skin].mean(0) - warm[skin].mean(0)).max() > 25


def test_guidance_leaves_out_what_covers_the_source() -> None:
    picture, mesh = face(SMILE)
    covered = picture.copy()
    forehead = regions.forehead(mesh, picture.shape[:2]) > 0
    top = forehead & (np.arange(len(picture))[:, None] < mesh[10, 1] + 0.6 * (mesh[9, 1] - mesh[10, 1]))
    covered[top] = (25, 18, 14)  # a fringe
    inner = cv2.erode(top.astype(np.uint8), np.ones((5, 5))) > 0
    assert inner.sum() > 50
    before, after = (guidance_texture(p, mesh, picture, mesh)[1] for p in (picture, covered))
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
    out = colour.keep_light(texture, target, weight, sigma=6)
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
    clean = colour.keep_light(texture, target, weight, sigma=6)
    beside = colour.keep_light(bearded, target, weight, sigma=6)
    np.testing.assert_allclose(beside[:40], clean[:40], atol=1e-3)
    assert beside[50, 32, 0] < 20


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
    still = np.abs(move).max(2) < STILL
    moved = reshape(picture, move)
    assert (moved[still] == picture[still]).all()
    assert still.mean() > 0.05
    assert (moved != picture).any()


# covers --------------------------------------------------------------------------------------------------------------


def painted_glasses(picture: np.ndarray, mesh: np.ndarray) -> np.ndarray:
    out = picture.copy()
    thick = max(2, round(0.025 * regions.face_width(mesh)))
    for ring in topology().eyes:
        x, y = mesh[ring, :2].mean(0)
        cv2.circle(
            out,
            (round(float(x)), round(float(y))),
            round(0.16 * regions.face_width(mesh)),
            (20, 18, 18),
            thick,
        )
    a, b = (tuple(np.rint(mesh[i, :2]).astype(int).tolist()) for i in (193, 417))
    cv2.line(out, a, b, (20, 18, 18), thick)
    return out


def test_glasses_are_told_and_kept_on_the_target() -> None:
    picture, mesh = face(WOMAN)
    worn = painted_glasses(picture, mesh)
    assert looks.GLASSES.score(picture, mesh) < -2 < 0 < looks.GLASSES.score(worn, mesh)
    frames = (np.abs(worn.astype(int) - picture).max(2) > 40) & (regions.oval(mesh, picture.shape[:2]) > 0)
    still = BlendSettings(shape=0.0)
    kept = blend_face(worn, mesh, *face(OTHER), still).image
    assert np.abs(kept[frames].astype(int) - worn[frames]).mean() < 12
    # On the source they are left behind: the frames' place is as bright as with the source's bare face.
    bare = blend_face(picture, mesh, *face(OTHER), still).image
    left = blend_face(picture, mesh, painted_glasses(*face(OTHER)), face(OTHER)[1], still).image
    assert np.abs(left[frames].astype(int) - bare[frames]).mean() < 25
    assert left[frames].mean() > bare[frames].mean() - 12


def test_a_patch_of_another_colour_on_the_forehead_covers_the_face() -> None:
    picture, mesh = face(WOMAN)
    fringe = picture.copy()
    patch = regions.forehead(mesh, picture.shape[:2]) > 0
    fringe[patch] = (25, 20, 18)
    hidden, bare = occlusion.find_covers(fringe, mesh).on(picture.shape[:2])
    inside = cv2.erode(patch.astype(np.uint8), np.ones((9, 9))) > 0
    assert hidden[inside].mean() > 0.9
    assert bare[inside].mean() < 0.05
    plain, _ = occlusion.find_covers(picture, mesh).on(picture.shape[:2])
    assert plain[inside].mean() < 0.1


def test_a_hand_over_the_mouth_is_told_by_the_mouth_that_is_missing() -> None:
    picture, mesh = face(WOMAN)
    width = regions.face_width(mesh)
    tone = np.median(
        picture[regions.polygon_mask(mesh[[117, 118, 101, 36, 205, 187, 147]], (192, 192)) > 0], 0
    )
    covered = picture.copy()
    for finger in range(4):
        start = np.rint(mesh[57, :2] + (-0.05 * width, (0.13 * finger - 0.16) * width)).astype(int).tolist()
        end = [int(start[0] + 0.75 * width), start[1] + 3]
        cv2.line(covered, start, end, (0.6 * tone).tolist(), round(0.13 * width), cv2.LINE_AA)
        cv2.line(covered, start, end, tone.tolist(), round(0.1 * width), cv2.LINE_AA)
    mouth = regions.lips(mesh, picture.shape[:2]) > 0
    assert looks.MOUTH.score(picture, mesh) > 0
    hidden, _ = occlusion.find_covers(covered, mesh).on(picture.shape[:2])
    assert hidden[mouth].mean() > 0.8
    result = blend_face(covered, mesh, *face(OTHER), BlendSettings(shape=0.0))
    assert np.abs(result.image[mouth].astype(int) - covered[mouth]).mean() < 6
    for name in MESHES.keys() - {"about"}:
        hidden, _ = occlusion.find_covers(*face(name)).on((192, 192))
        assert hidden[regions.lips(face(name)[1], (192, 192)) > 0].mean() < 0.1, name


def test_a_beard_is_the_persons_own_but_not_bare_skin() -> None:
    picture, mesh = face(BEARD)
    hidden, bare = occlusion.find_covers(picture, mesh).on(picture.shape[:2])
    chin = regions.polygon_mask(mesh[[57, 18, 287, 378, 152, 149]], picture.shape[:2]) > 0
    assert hidden[chin].mean() < 0.1
    assert bare[chin].mean() < 0.3


# engine --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("target", "source"), [(WOMAN, OTHER), (SMILE, BEARD), (BEARD, SMILING_MAN)])
def test_only_the_mask_changes_and_the_face_moves_towards_the_source(target: str, source: str) -> None:
    picture, mesh = face(target, 320)
    before = picture.copy()
    result = blend_face(picture, mesh, *face(source, 320))
    assert (picture == before).all()
    assert result.image.dtype == np.uint8
    assert result.image.shape == picture.shape
    assert result.mask.dtype == np.float32
    assert result.mask.min() >= 0
    assert result.mask.max() <= 1
    untouched = result.mask == 0
    assert untouched.mean() > 0.05
    assert (result.image[untouched] == picture[untouched]).all()
    # Detail of the cheeks follows the source's texture and no longer the target's.
    cheeks = np.zeros(picture.shape[:2], np.float32)
    for ring in ([117, 118, 101, 36, 205, 187, 147], [346, 347, 330, 266, 425, 411, 376]):
        cheeks = np.maximum(cheeks, regions.polygon_mask(mesh[ring], picture.shape[:2]))
    inner = (cheeks > 0) & (result.steps["validity"] > 0.9)
    assert inner.sum() > 200

    def fine(image: np.ndarray) -> np.ndarray:
        light = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
        return (cv2.GaussianBlur(light, (0, 0), 0.8) - cv2.GaussianBlur(light, (0, 0), 3))[inner]

    to_source = np.corrcoef(fine(result.image), fine(result.steps["reenacted"]))[0, 1]
    to_target = np.corrcoef(fine(result.image), fine(result.steps["reshaped"]))[0, 1]
    assert to_source > 0.8
    assert to_source > to_target + 0.1
    # The skin tone, though, is the target's.
    tone = [colour.to_lab(p)[inner].mean(0) for p in (result.image, result.steps["reshaped"])]
    assert np.abs(tone[0] - tone[1]).max() < 4


def test_a_result_tells_its_mesh_what_is_shown_and_its_steps() -> None:
    (picture, mesh), (other, other_mesh) = face(WOMAN), face(OTHER)
    result = blend_face(picture, mesh, other, other_mesh, BlendSettings(shape=1.0))
    assert (result.mesh == shaped_mesh(mesh, other_mesh, 1.0)).all()
    inside = regions.oval(result.mesh, picture.shape[:2]) > 0
    assert result.shown == pytest.approx(result.steps["validity"][inside].mean(), abs=1e-3)
    assert 0.8 < result.shown <= 1
    assert all(step.shape[:2] == picture.shape[:2] for step in result.steps.values())
    assert result.steps is result.steps
    covered = other.copy()
    covered[regions.forehead(other_mesh, other.shape[:2]) > 0] = (25, 20, 18)
    assert blend_face(picture, mesh, covered, other_mesh).shown < result.shown - 0.1


def test_covers_that_are_known_already_give_the_same_swap() -> None:
    target, source = face(WOMAN), face(OTHER)
    ours, theirs = occlusion.find_covers(*target), occlusion.find_covers(*source, strict=True)
    known = blend_face(*target, *source, source_covers=theirs, target_covers=ours)
    assert (known.image == blend_face(*target, *source).image).all()


def test_a_bare_face_is_hardly_covered_and_a_dark_spot_within_it_is_no_cover() -> None:
    # What is taken for a cover of a source stays the target's, so a false find costs likeness.
    for name in MESHES.keys() - {"about"}:
        picture, mesh = face(name)
        face_area = regions.oval(mesh, picture.shape[:2]) > 0
        hidden, _ = occlusion.find_covers(picture, mesh, strict=True).on(picture.shape[:2])
        assert hidden[face_area].mean() < 0.1, name
    picture, mesh = face(WOMAN)
    spotted = picture.copy()
    x, y = np.rint(mesh[118, :2]).astype(int).tolist()
    cv2.circle(spotted, (x, y), 4, (40, 25, 20), -1)
    hidden, _ = occlusion.find_covers(spotted, mesh, strict=True).on(picture.shape[:2])
    assert hidden[y - 3 : y + 4, x - 3 : x + 4].max() < 0.05


def test_no_likeness_is_the_target_itself_and_more_likeness_changes_more() -> None:
    picture, mesh = face(WOMAN)
    none = blend_face(picture, mesh, *face(OTHER), BlendSettings(likeness=0.0))
    assert (none.image == picture).all()
    assert (none.mask == 0).all()
    change = [
        np.abs(
            blend_face(picture, mesh, *face(OTHER), BlendSettings(likeness=v)).image.astype(int) - picture
        ).mean()
        for v in (0.3, 0.6, 1.0)
    ]
    assert 0 < change[0] < change[1] < change[2]


def test_a_closed_mouth_stays_closed() -> None:
    (picture, mesh), (smile, smile_mesh) = face(WOMAN), face(SMILE)
    assert regions.mouth_opening(mesh) < regions.CLOSED < regions.mouth_opening(smile_mesh)
    marked = smile.copy()
    marked[regions.polygon_mask(smile_mesh[topology().regions["inner_lips"]], smile.shape[:2]) > 0] = (
        0,
        255,
        0,
    )
    result = blend_face(picture, mesh, marked, smile_mesh, BlendSettings(shape=0.0))
    mouth = cv2.dilate(regions.lips(mesh, picture.shape[:2]), np.ones((5, 5))) > 0
    shift = result.image[mouth].astype(int) - blend_face(picture, mesh, smile, smile_mesh).image[mouth]
    greener = result.image[mouth].astype(int)[:, 1] - result.image[mouth].astype(int)[:, 0]
    assert greener.max() < 60  # the green mouth itself would give 255
    assert np.abs(shift).mean() < 12
    assert (open_lips(mesh, mesh) == mesh).all()


def test_an_open_mouth_keeps_its_own_teeth_and_eyes_their_gaze() -> None:
    picture, mesh = face(SMILE)
    result = blend_face(picture, mesh, *face(OTHER), BlendSettings(shape=0.0))
    for own in (regions.inner_mouth(mesh, picture.shape[:2]), regions.eyes(mesh, picture.shape[:2])):
        inside = cv2.erode(own, np.ones((3, 3))) > 0
        assert inside.sum() > 5
        assert np.abs(result.image[inside].astype(int) - picture[inside]).mean() < 8


def test_mirrored_pictures_give_the_mirrored_result() -> None:
    target, source = face(WOMAN), face(OTHER)
    result = blend_face(*target, *source)
    reflected = blend_face(*mirrored(*target), *mirrored(*source))
    difference = np.abs(reflected.image[:, ::-1].astype(int) - result.image)
    assert difference.mean() < 0.5
    assert np.quantile(difference, 0.99) <= 6


@few
@given(st.integers(1, 6), st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 360))
def test_small_faces_borders_and_turned_sources_are_no_trouble(
    tenth: int, dx: float, dy: float, turn: float
) -> None:
    picture, mesh = face(WOMAN)
    size = 12 * tenth + 10
    k = size / 192
    small = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
    shift = np.array([0.5 * k - 0.5 + 0.6 * size * dx, 0.5 * k - 0.5 + 0.6 * size * dy, 0])
    moved = (mesh * k + shift).astype(np.float32)
    source, source_mesh = face(OTHER)
    matrix = cv2.getRotationMatrix2D((96, 96), turn, 0.9)
    source = cv2.warpAffine(source, matrix, (192, 192))
    xy = source_mesh[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    result = blend_face(
        small, moved, source, np.column_stack([xy, source_mesh[:, 2] * 0.9]).astype(np.float32)
    )
    assert result.image.shape == small.shape
    assert np.isfinite(result.mask).all()
    assert (result.image[result.mask == 0] == small[result.mask == 0]).all()


@pytest.mark.parametrize("piece", [(slice(1), slice(1)), (slice(1), slice(None)), (slice(3), slice(3))])
def test_slivers_of_a_target_or_source_are_no_trouble(piece: tuple[slice, slice]) -> None:
    (picture, mesh), (source, source_mesh) = face(WOMAN), face(OTHER)
    sliver = picture[piece].copy()
    assert (blend_face(sliver, mesh, source, source_mesh).image == sliver).all()
    assert blend_face(picture, mesh, source[piece].copy(), source_mesh).image.shape == picture.shape
    away = mesh + np.array([500, 0, 0], np.float32)
    assert (blend_face(picture, away, source, source_mesh).image == picture).all()


def test_a_turned_target_gives_the_turned_result() -> None:
    target, mesh = face(WOMAN)
    upright = blend_face(target, mesh, *face(OTHER)).image
    turned = np.column_stack([mesh[:, 1], 191 - mesh[:, 0], mesh[:, 2]]).astype(np.float32)
    result = blend_face(np.ascontiguousarray(np.rot90(target)), turned, *face(OTHER)).image
    assert np.abs(np.rot90(result, -1).astype(int) - upright).mean() < 0.6


def broken(mesh: np.ndarray, kind: str) -> np.ndarray:
    out = mesh.copy()
    if kind == "nan":
        out[7] = np.nan
    elif kind == "short":
        out = out[:100]
    else:
        out[:, 0] = 3.0
    return out


@pytest.mark.parametrize(("kind", "words"), [("nan", "not finite"), ("short", "shape"), ("flat", "2 px")])
@pytest.mark.parametrize("whose", ["target", "source"])
def test_unusable_meshes_are_refused_by_name(kind: str, words: str, whose: str) -> None:
    target, source = face(WOMAN), face(OTHER)
    meshes = {"target": target[1], "source": source[1]}
    meshes[whose] = broken(meshes[whose], kind)
    with pytest.raises(ReliableSwapError, match=f"(?s){whose}.*{words}"):
        blend_face(target[0], meshes["target"], source[0], meshes["source"])


def test_pictures_of_another_kind_and_settings_out_of_range_are_refused() -> None:
    picture, mesh = face(WOMAN)
    with pytest.raises(ReliableSwapError, match="source picture is float64"):
        blend_face(picture, mesh, picture.astype(float), mesh)
    with pytest.raises(ReliableSwapError, match="target picture"):
        blend_face(picture[..., 0], mesh, picture, mesh)
    with pytest.raises(ReliableSwapError, match=r"likeness is 1\.5"):
        BlendSettings(likeness=1.5)
