"""The guidance of a generator: the source laid on the target, in its tone and light."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from support.blend_faces import BEARD, SMILE, WOMAN, face

from reliableswap.faces.glasses import bundled_glasses
from reliableswap.faces.parts import Parts, bundled_visibility, find_parts
from reliableswap.faces.visibility import find_covers
from reliableswap.geometry import regions
from reliableswap.geometry.regions import mouth_opening
from reliableswap.geometry.warp import warp_texture
from reliableswap.swap.guidance import Guidance, guidance_texture


def guidance(
    source: np.ndarray, target: np.ndarray, mesh: np.ndarray, parts: Parts | None = None
) -> Guidance:
    covers = find_covers(source, mesh, bundled_glasses(), strict=True, parts=parts)
    return guidance_texture(source, mesh, target, mesh, covers)


def test_guidance_leaves_eyes_and_inner_mouth_to_the_target() -> None:
    picture, mesh = face(SMILE)
    shape = picture.shape[:2]
    whole, everywhere = warp_texture(picture, mesh, mesh, shape)
    texture, validity, *_ = guidance(picture, picture, mesh)
    own = np.maximum(regions.eyes(mesh, shape, 0.8), regions.inner_mouth(mesh, shape)) > 0
    near = np.maximum(regions.eyes(mesh, shape, 1.1), regions.inner_mouth(mesh, shape)) > 0
    assert own.sum() > 50
    assert validity[own].max() == 0
    assert texture[own].max() == 0
    shown = ~near & (validity > 0)
    assert np.count_nonzero(shown) > 0.9 * np.count_nonzero(~near & (everywhere > 0))
    # Except where hair covers a little: there the texture comes from the other half of the face.
    assert np.quantile(np.abs(texture[shown].astype(int) - whole[shown]), 0.9) <= 2


def test_quick_guidance_hardly_differs() -> None:
    picture, mesh = (
        cv2.resize(face(SMILE)[0], None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC),
        2 * face(SMILE)[1],
    )
    warm = np.rint(picture * np.array([1.0, 0.7, 0.45])).astype(np.uint8)
    covers = find_covers(picture, mesh, bundled_glasses(), strict=True)
    exact, quick = (
        guidance_texture(picture, mesh, warm, mesh, covers, soft_light=True, quick=quick)
        for quick in (False, True)
    )
    assert regions.face_width(mesh) > 100
    assert np.array_equal(exact[1], quick[1])
    shown = exact[1] > 0.5
    off = np.abs(exact[0][shown].astype(int) - quick[0][shown])
    assert 0 < off.mean() < 1.5
    assert np.quantile(off, 0.99) < 10


def test_guidance_has_the_skin_tone_of_the_target() -> None:
    picture, mesh = face(SMILE)
    warm = np.rint(picture * np.array([1.0, 0.7, 0.45])).astype(np.uint8)
    texture, validity, *_ = guidance(picture, warm, mesh)
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

    texture, validity, *_ = guidance(picture, sunny, mesh)
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
    before, after = (guidance(p, picture, mesh)[1] for p in (picture, covered))
    assert before[inner].mean() > 0.8
    assert after[inner].mean() < 0.2
    told = guidance(covered, picture, mesh, find_parts(covered, mesh, bundled_visibility()))[1]
    assert told[inner].mean() < 0.2


def test_a_large_texture_keeps_away_from_what_covers_the_source() -> None:
    picture, mesh = cv2.resize(face(SMILE)[0], None, fx=3, fy=3), 3 * face(SMILE)[1]
    shape, width = picture.shape[:2], regions.face_width(mesh)
    end = mesh[10, 1] + 0.6 * (mesh[9, 1] - mesh[10, 1])
    fringe = np.zeros(shape, np.float32)
    fringe[: int(end)] = regions.forehead(mesh, shape)[: int(end)]
    maps = np.dstack([fringe, regions.skin(mesh, shape) * (1 - fringe)])
    covers = replace(find_covers(picture, mesh, None), maps=maps, scale=1.0, shift=np.zeros(2))
    middle = np.abs(np.arange(shape[1]) - mesh[9, 0]) < 0.1 * width
    below = (regions.forehead(mesh, shape) > 0) & (regions.skin(mesh, shape) > 0.9) & middle
    beside, further = below.copy(), below.copy()
    beside[: int(end) + 1], beside[int(end + 0.02 * width) + 1 :] = False, False
    further[: int(end + 0.06 * width)] = False
    plain, large = (
        guidance_texture(picture, mesh, picture, mesh, covers, soft_light=soft).validity
        for soft in (False, True)
    )
    assert large[beside].mean() < 0.75 * plain[beside].mean()
    np.testing.assert_allclose(large[further], plain[further], atol=1e-3)


def test_a_smiling_sources_teeth_stay_out_of_closed_lips() -> None:
    smiling, open_mouth = face(SMILE)
    picture, mesh = face(WOMAN)
    covers = find_covers(smiling, open_mouth, bundled_glasses(), strict=True)
    texture, validity, *_ = guidance_texture(smiling, open_mouth, picture, mesh, covers)
    lips = (regions.lips(mesh, picture.shape[:2]) > 0.9) & (validity > 0.5)
    plain, _ = warp_texture(smiling, open_mouth, mesh, picture.shape[:2])
    assert lips.sum() > 50

    def bright(shown: np.ndarray) -> float:
        """How much brighter the brightest tenth of the lips is than their middle: teeth are white."""
        grey = shown[lips].astype(float).mean(1)
        return float(np.quantile(grey, 0.95) - np.median(grey))

    assert mouth_opening(open_mouth) > mouth_opening(mesh) + 0.02
    assert bright(texture) < bright(plain)


def test_folds_can_be_taken_from_the_target() -> None:
    picture, mesh = face(WOMAN)
    shape, width = picture.shape[:2], regions.face_width(mesh)
    fold = np.zeros(shape, np.uint8)
    cv2.polylines(fold, [np.rint(mesh[[203, 206, 216, 212], :2]).astype(np.int32)], False, 1, 2)
    creased = np.where(fold[..., None] > 0, picture // 2, picture)
    covers = find_covers(picture, mesh, None)
    given = regions.folds(mesh, shape)
    plain = guidance_texture(creased, mesh, picture, mesh, covers)
    made = guidance_texture(creased, mesh, picture, mesh, covers, folds=given)
    line = (fold > 0) & (given > 0.5) & (plain.validity > 0.9)
    assert line.sum() > 0.5 * (fold > 0).sum()
    assert plain.folds is None
    assert made.folds is not None
    assert np.array_equal(made.texture, plain.texture)
    assert np.abs(made.folds[cv2.dilate(given, regions.disc(0.05 * width)) == 0]).max() < 1
    off = np.abs(made.texture[line].astype(float) - picture[line]).mean()
    assert off > 20
    assert np.abs(made.texture[line] + made.folds[line] - picture[line]).mean() < 0.6 * off


def test_soft_light_meets_the_targets_where_the_texture_ends() -> None:
    """The source gets darker towards its outline, and a turned target shows that part next to its own skin."""
    picture, mesh = face(WOMAN)
    shape, width = picture.shape[:2], regions.face_width(mesh)
    inside = cv2.distanceTransform((regions.oval(mesh, shape) > 0.5).astype(np.uint8), cv2.DIST_L2, 5) / width
    shading = np.clip(0.5 + inside / 0.16, 0, 1)[..., None]
    shaded = np.rint(picture * shading).astype(np.uint8)
    covers = find_covers(shaded, mesh, None)
    off = []
    for soft in (False, True):
        texture, validity, *_ = guidance_texture(
            shaded, mesh, picture, mesh, covers, soft_light=soft, match_edges=soft
        )
        edge = (inside > 0.01) & (inside < 0.05) & (validity > 0.3) & (regions.skin(mesh, shape) > 0.9)
        assert edge.sum() > 100
        off.append(float(np.log(texture[edge].mean() / picture[edge].mean())))
    assert off[0] < -0.1
    assert abs(off[1]) < 0.6 * abs(off[0])


def test_small_textures_meet_the_targets_light_on_the_forehead() -> None:
    picture, mesh = face(WOMAN)
    shape, width = picture.shape[:2], regions.face_width(mesh)
    oval = (regions.oval(mesh, shape) > 0.5).astype(np.uint8)
    inside = cv2.distanceTransform(oval, cv2.DIST_L2, 5) / width
    shaded = np.rint(picture * np.clip(0.7 + inside / 0.16, 0, 1)[..., None]).astype(np.uint8)
    covers = find_covers(shaded, mesh, None)
    edge = (inside > 0.01) & (inside < 0.03) & (regions.skin(mesh, shape) > 0.9)
    forehead = regions.forehead(mesh, shape) > 0
    off = []
    for match_edges in (False, True):
        texture, validity, *_ = guidance_texture(shaded, mesh, picture, mesh, covers, match_edges=match_edges)
        off.append(
            [
                float(np.log(texture[here].mean() / picture[here].mean()))
                for here in (edge & forehead & (validity > 0.3), edge & ~forehead & (validity > 0.3))
            ]
        )
    (above, below), (above_met, below_met) = off
    assert above < -0.1
    assert abs(above_met) < 0.8 * abs(above)
    assert abs(below_met - below) < 0.05


def test_soft_light_takes_a_hard_shadow_of_the_source_away() -> None:
    picture, mesh = face(WOMAN)
    width = regions.face_width(mesh)
    x = np.arange(picture.shape[1], dtype=np.float32)[None, :, None]
    stripe = 1 - 0.5 * np.exp(-(((x - mesh[:, 0].mean() - 0.25 * width) / (0.09 * width)) ** 2))
    shadowed = np.rint(picture * stripe).astype(np.uint8)
    covers = find_covers(shadowed, mesh, None)
    skin = regions.skin(mesh, picture.shape[:2]) * (
        np.abs(x[..., 0] - mesh[:, 0].mean() - 0.25 * width) < 0.09 * width
    )
    left = []
    for soft in (False, True):
        texture, validity, *_ = guidance_texture(shadowed, mesh, picture, mesh, covers, soft_light=soft)
        there = (skin > 0.5) & (validity > 0.9)
        assert there.sum() > 100
        left.append(float(np.abs(texture.astype(float) - picture).mean(2)[there].mean()))
    assert left[1] < 0.8 * left[0]


def test_a_mistrusted_texture_is_invalid_where_hard_light_was_removed() -> None:
    picture, mesh = face(WOMAN)
    width = regions.face_width(mesh)
    across = (np.arange(picture.shape[1], dtype=np.float32) - mesh[:, 0].mean())[None] / width
    shadow = 1 - 0.5 / (1 + np.exp(-60 * (across - 0.15)))  # an edge beside the nose

    def invalid(source: np.ndarray, left: float, right: float) -> float:
        covers = find_covers(source, mesh, None)
        trusted, mistrusted = (
            guidance_texture(source, mesh, picture, mesh, covers, soft_light=True, mistrust=one).validity
            for one in (0.0, 1.0)
        )
        assert (mistrusted <= trusted).all()
        where = (across > left) & (across < right) & (trusted > 0.9)
        assert where.sum() > 100
        return float((mistrusted[where] < 0.5).mean())

    shaded = (picture * shadow[..., None]).astype(np.uint8)
    assert invalid(shaded, 0.2, 0.3) > 0.3
    assert invalid(shaded, -0.1, 0.1) == 0  # the nose, in even light
    assert invalid(picture, -0.5, 0.5) == 0


def test_a_beard_is_where_the_lower_face_is_no_bare_skin() -> None:
    target, goal = face(WOMAN)
    shares = []
    for name in (BEARD, WOMAN):
        source, mesh = face(name)
        covers = find_covers(
            source, mesh, None, strict=True, parts=find_parts(source, mesh, bundled_visibility())
        )
        beard = guidance_texture(source, mesh, target, goal, covers).beard
        lower = regions.lower_face(goal, target.shape[:2]) > 0
        assert beard[~cv2.dilate(lower.astype(np.uint8), np.ones((9, 9))).astype(bool)].max() < 0.05
        shares.append(float(beard[lower].mean()))
    assert shares[0] > 0.3
    assert shares[1] < 0.5 * shares[0]
