"""Covers of a face, and the blend engine as a whole."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.blend_faces import (
    BEARD,
    MESHES,
    OTHER,
    SMILE,
    SMILING_MAN,
    WOMAN,
    face,
    mirrored,
    painted_glasses,
)

from reliableswap.errors import ReliableSwapError
from reliableswap.faces import looks
from reliableswap.faces import visibility as occlusion
from reliableswap.faces.glasses import bundled_glasses
from reliableswap.geometry import regions
from reliableswap.geometry.shape import shaped_mesh
from reliableswap.geometry.topology import topology
from reliableswap.geometry.warp import open_lips
from reliableswap.imaging import colour
from reliableswap.swap.blend import blend_face
from reliableswap.swap.settings import SwapSettings

# Mouth openings below this are lips that touch: ten closed mouths measured 0.01 to 0.07, smiles 0.13 and more.
CLOSED_MOUTH = 0.08

# covers --------------------------------------------------------------------------------------------------------------


def test_glasses_are_detected_and_kept_on_the_target() -> None:
    picture, mesh = face(WOMAN)
    network = bundled_glasses()
    worn = painted_glasses(picture, mesh)
    assert looks.GLASSES.score(picture, mesh) < -2 < 0 < looks.GLASSES.score(worn, mesh)
    painted = np.abs(worn.astype(int) - picture).max(2) > 40
    told = occlusion.find_glasses(worn, mesh, network)
    assert told[painted].mean() > 0.8
    assert told.mean() < 3 * painted.mean()
    assert not occlusion.find_glasses(picture, mesh, network).any()
    frames = painted & (regions.oval(mesh, picture.shape[:2]) > 0)
    still = SwapSettings(shape=0.0)
    kept = blend_face(worn, mesh, *face(OTHER), still, glasses=network).image
    assert np.abs(kept[frames].astype(int) - worn[frames]).mean() < 12
    off = blend_face(worn, mesh, *face(OTHER), SwapSettings(shape=0.0, glasses=0.0), glasses=network).image
    assert np.abs(off[frames].astype(int) - worn[frames]).mean() > 40
    # A source's glasses are left behind: where they would be, the result is as bright as with the bare source.
    bare = blend_face(picture, mesh, *face(OTHER), still, glasses=network).image
    left = blend_face(
        picture, mesh, painted_glasses(*face(OTHER)), face(OTHER)[1], still, glasses=network
    ).image
    assert np.abs(left[frames].astype(int) - bare[frames]).mean() < 25
    assert left[frames].mean() > bare[frames].mean() - 12


def test_a_patch_of_another_colour_on_the_forehead_covers_the_face() -> None:
    picture, mesh = face(WOMAN)
    fringe = picture.copy()
    patch = regions.forehead(mesh, picture.shape[:2]) > 0
    fringe[patch] = (25, 20, 18)
    hidden, bare = occlusion.find_covers(fringe, mesh, bundled_glasses()).on(picture.shape[:2])
    inside = cv2.erode(patch.astype(np.uint8), np.ones((9, 9))) > 0
    assert hidden[inside].mean() > 0.9
    assert bare[inside].mean() < 0.05
    plain, _ = occlusion.find_covers(picture, mesh, bundled_glasses()).on(picture.shape[:2])
    assert plain[inside].mean() < 0.1


def test_a_hand_over_the_mouth_is_detected_by_the_missing_mouth() -> None:
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
    hidden, _ = occlusion.find_covers(covered, mesh, bundled_glasses()).on(picture.shape[:2])
    assert hidden[mouth].mean() > 0.8
    result = blend_face(covered, mesh, *face(OTHER), SwapSettings(shape=0.0))
    assert np.abs(result.image[mouth].astype(int) - covered[mouth]).mean() < 6
    for name in MESHES.keys() - {"about"}:
        hidden, _ = occlusion.find_covers(*face(name), bundled_glasses()).on((192, 192))
        assert hidden[regions.lips(face(name)[1], (192, 192)) > 0].mean() < 0.1, name


def test_a_beard_is_the_persons_own_but_not_bare_skin() -> None:
    picture, mesh = face(BEARD)
    hidden, bare = occlusion.find_covers(picture, mesh, bundled_glasses()).on(picture.shape[:2])
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


def test_a_result_has_its_mesh_its_shown_share_and_its_steps() -> None:
    (picture, mesh), (other, other_mesh) = face(WOMAN), face(OTHER)
    result = blend_face(picture, mesh, other, other_mesh, SwapSettings(shape=1.0))
    assert (result.mesh == shaped_mesh(mesh, other_mesh, 1.0)).all()
    inside = regions.oval(result.mesh, picture.shape[:2]) > 0
    assert result.shown == pytest.approx(result.steps["validity"][inside].mean(), abs=1e-3)
    assert 0.8 < result.shown <= 1
    assert all(step.shape[:2] == picture.shape[:2] for step in result.steps.values())
    assert result.steps is result.steps
    covered = other.copy()
    covered[regions.forehead(other_mesh, other.shape[:2]) > 0] = (25, 20, 18)
    assert blend_face(picture, mesh, covered, other_mesh).shown < result.shown - 0.1


def test_given_covers_give_the_same_swap() -> None:
    target, source = face(WOMAN), face(OTHER)
    ours, theirs = (
        occlusion.find_covers(*target, bundled_glasses()),
        occlusion.find_covers(*source, bundled_glasses(), strict=True),
    )
    known = blend_face(*target, *source, source_covers=theirs, target_covers=ours)
    assert (known.image == blend_face(*target, *source).image).all()


def test_a_bare_face_is_hardly_covered_and_a_dark_spot_within_it_is_no_cover() -> None:
    # The target stays where a source seems covered, so a false positive costs likeness.
    for name in MESHES.keys() - {"about"}:
        picture, mesh = face(name)
        face_area = regions.oval(mesh, picture.shape[:2]) > 0
        hidden, _ = occlusion.find_covers(picture, mesh, bundled_glasses(), strict=True).on(picture.shape[:2])
        assert hidden[face_area].mean() < 0.1, name
    picture, mesh = face(WOMAN)
    spotted = picture.copy()
    x, y = np.rint(mesh[118, :2]).astype(int).tolist()
    cv2.circle(spotted, (x, y), 4, (40, 25, 20), -1)
    hidden, _ = occlusion.find_covers(spotted, mesh, bundled_glasses(), strict=True).on(picture.shape[:2])
    assert hidden[y - 3 : y + 4, x - 3 : x + 4].max() < 0.05


def test_no_likeness_is_the_target_itself_and_more_likeness_changes_more() -> None:
    picture, mesh = face(WOMAN)
    none = blend_face(picture, mesh, *face(OTHER), SwapSettings(likeness=0.0))
    assert (none.image == picture).all()
    assert (none.mask == 0).all()
    change = [
        np.abs(
            blend_face(picture, mesh, *face(OTHER), SwapSettings(likeness=v)).image.astype(int) - picture
        ).mean()
        for v in (0.3, 0.6, 1.0)
    ]
    assert 0 < change[0] < change[1] < change[2]


@pytest.mark.parametrize("name", ["light_reach", "band_reach", "margin", "feather"])
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_invalid_lengths_are_refused(name: str, value: float) -> None:
    with pytest.raises(ReliableSwapError, match=f"{name} is "):
        SwapSettings(**{name: value})


def test_a_closed_mouth_stays_closed() -> None:
    (picture, mesh), (smile, smile_mesh) = face(WOMAN), face(SMILE)
    assert regions.mouth_opening(mesh) < CLOSED_MOUTH < regions.mouth_opening(smile_mesh)
    marked = smile.copy()
    marked[regions.polygon_mask(smile_mesh[topology().regions["inner_lips"]], smile.shape[:2]) > 0] = (
        0,
        255,
        0,
    )
    result = blend_face(picture, mesh, marked, smile_mesh, SwapSettings(shape=0.0))
    mouth = cv2.dilate(regions.lips(mesh, picture.shape[:2]), np.ones((5, 5))) > 0
    shift = result.image[mouth].astype(int) - blend_face(picture, mesh, smile, smile_mesh).image[mouth]
    greener = result.image[mouth].astype(int)[:, 1] - result.image[mouth].astype(int)[:, 0]
    assert greener.max() < 60  # the green mouth itself would give 255
    assert np.abs(shift).mean() < 12
    assert (open_lips(mesh, mesh) == mesh).all()


def test_an_open_mouth_keeps_its_own_teeth_and_eyes_their_gaze() -> None:
    picture, mesh = face(SMILE)
    result = blend_face(picture, mesh, *face(OTHER), SwapSettings(shape=0.0))
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


@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.integers(1, 6), st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 360))
def test_small_faces_borders_and_rotated_sources_work(tenth: int, dx: float, dy: float, turn: float) -> None:
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
def test_slivers_of_a_target_or_source_work(piece: tuple[slice, slice]) -> None:
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
        SwapSettings(likeness=1.5)
