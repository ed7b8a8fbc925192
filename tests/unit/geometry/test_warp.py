"""Textures on other meshes: positions, validity, and what a turned head does not show."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.blend_faces import SMILE, WOMAN, face

from reliableswap.geometry import regions
from reliableswap.geometry.raster import rasterise
from reliableswap.geometry.topology import topology
from reliableswap.geometry.trust import trust
from reliableswap.geometry.warp import (
    Copies,
    Sampler,
    lips_stretch,
    mouth_width_ratio,
    open_lips,
    reenact,
    warp_texture,
)

CHEEKS = np.array([234, 454])

few = settings(max_examples=12, deadline=None, derandomize=True)


def turned_away(mesh: np.ndarray, degrees: float) -> np.ndarray:
    """The mesh turned about the vertical axis, so that one cheek is hidden."""
    angle = np.radians(degrees)
    turn = np.array(
        [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]], np.float32
    )
    centre = mesh.mean(0)
    return (mesh - centre) @ turn.T + centre


def test_a_mesh_on_itself_returns_the_picture() -> None:
    picture, mesh = face(WOMAN)
    texture, validity = warp_texture(picture, mesh, mesh, picture.shape[:2])
    certain = validity > 0.999
    assert certain.sum() > 0.9 * regions.oval(mesh, picture.shape[:2]).sum()
    assert np.abs(texture[certain].astype(int) - picture[certain]).max() <= 2


def test_outside_the_mesh_there_is_nothing() -> None:
    picture, mesh = face(WOMAN)
    texture, validity = warp_texture(picture, mesh, mesh, picture.shape[:2])
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
    )  # on a sharp picture, two resamplings differ by more than the tolerance
    matrix = cv2.getRotationMatrix2D((96, 96), angle, k) + np.array([[0, 0, dx], [0, 0, dy]])
    goal = np.column_stack([mesh[:, :2] @ matrix[:, :2].T + matrix[:, 2], mesh[:, 2] * k]).astype(np.float32)
    texture, validity = warp_texture(picture, mesh, goal, picture.shape[:2])
    plain = cv2.warpAffine(picture, matrix, (192, 192))
    certain = cv2.erode((validity > 0.99).astype(np.uint8), np.ones((3, 3))) > 0
    assert certain.sum() > 1000
    assert np.abs(texture[certain].astype(int) - plain[certain]).mean() < 1.0


def test_a_mesh_is_trusted_for_itself() -> None:
    _, mesh = face(WOMAN)
    assert trust(mesh, mesh)[0].min() > 0.9


def test_a_turned_head_is_not_trusted_for_the_cheek_that_it_hides() -> None:
    _, mesh = face(WOMAN)
    own, mirrored = trust(turned_away(mesh, 50), mesh)
    assert own[CHEEKS].min() < 0.1
    assert own[CHEEKS].max() > 0.9
    assert np.abs(mirrored - own[topology().mirror]).mean() < 0.03  # no face is quite symmetric


def test_a_hidden_half_is_taken_from_the_other_half() -> None:
    picture, mesh = face(WOMAN)
    red = np.zeros_like(picture)
    red[..., 0] = 200
    texture, validity = warp_texture(red, turned_away(mesh, 50), mesh, picture.shape[:2])
    assert (texture[..., 0][validity > 0.5] >= 199).all()
    assert (validity > 0.5).sum() > 0.9 * regions.oval(mesh, picture.shape[:2]).sum()


@pytest.mark.parametrize(("end", "softly"), [(0.35, True), (0.85, False)])
def test_the_halves_of_a_face_meet_softly_where_much_is_hidden(end: float, softly: bool) -> None:
    """Hair hides the outer part of a source's right side, and its shadow darkens the rest to black beside it."""
    picture, mesh = face(WOMAN)
    shape, width = picture.shape[:2], regions.face_width(mesh)
    nose, cheek = mesh[1, 0], mesh[CHEEKS[1], 0]
    away = (np.arange(shape[1]) - nose) / (cheek - nose)  # 0 at the nose, 1 at the cheek's end
    shaded = np.tile((200 * np.clip(1 - away / end, 0, 1)).astype(np.uint8)[None, :, None], (shape[0], 1, 3))

    def covers_at(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        hidden = ((positions[..., 0] - nose) / (cheek - nose) > end).astype(np.float32)
        return hidden, np.ones_like(hidden)

    there = (away > 0) & (away < 0.9) & (np.abs(np.arange(shape[0]) - mesh[1, 1]) < 0.1 * width)[:, None]
    steps = []
    for seam in (0.0, 0.1 * width):
        texture = reenact(shaded, mesh, mesh, rasterise(mesh, shape), covers_at, seam=seam).image[..., 0]
        steps.append(int(np.abs(np.diff(texture.astype(int), axis=1))[there[:, 1:]].max()))
    assert steps[0] > 100
    assert steps[1] < 0.6 * steps[0] if softly else steps[1] == steps[0]


def test_a_turned_nose_is_not_taken_from_the_half_that_it_hides() -> None:
    """The source looks aside, and its picture is black beyond the nose."""
    picture, mesh = face(WOMAN)
    shape, width, turned = picture.shape[:2], regions.face_width(mesh), turned_away(mesh, 35)
    rows, columns = np.mgrid[: shape[0], : shape[1]]

    def beyond_nose(of: np.ndarray) -> np.ndarray:
        """(H,W) how many pixels each pixel lies to the left of the ridge of the mesh's nose."""
        ridge = of[[6, 197, 195, 5, 4]]
        return np.asarray(np.interp(rows, ridge[:, 1], ridge[:, 0]) - columns)

    halved = np.where(beyond_nose(turned)[..., None] > 0, 0, 200).astype(np.uint8).repeat(3, 2)
    texture = reenact(halved, turned, mesh, rasterise(mesh, shape), seam=0.08 * width).image[..., 0]
    off = beyond_nose(mesh) / width
    beside = (off > -0.06) & (off < -0.02) & (rows > mesh[197, 1]) & (rows < mesh[5, 1])
    assert beside.sum() > 20
    assert texture[beside].min() > 150


def test_lips_are_pulled_off_the_teeth_only_if_the_source_opens_its_mouth_wider() -> None:
    (_, closed), (_, opened) = face(WOMAN), face(SMILE)
    assert open_lips(closed, opened) is closed
    moved = open_lips(opened, closed)
    assert regions.mouth_opening(moved) > regions.mouth_opening(opened)
    assert np.array_equal(moved[topology().regions["lips"]], opened[topology().regions["lips"]])


@pytest.mark.parametrize("size", [1.0, 3.0])
def test_lips_are_stretched_where_the_targets_are_thicker(size: float) -> None:
    thick = face(WOMAN)[1]
    thin = thick.copy()
    thin[17] += 0.5 * (thin[14] - thin[17])  # the lower lip's outer edge, halfway to the inner one
    assert lips_stretch(size * thick, thick) == pytest.approx(1, rel=1e-4)
    assert lips_stretch(size * thin, thick) == pytest.approx(2, rel=0.02)
    assert lips_stretch(size * thick, thin) < 1.05


@pytest.mark.parametrize("size", [1.0, 3.0])
def test_mouths_are_compared_at_one_size(size: float) -> None:
    mesh = face(WOMAN)[1]
    wide = mesh.copy()
    wide[[61, 291]] += 0.1 * (mesh[[61, 291]] - mesh[[291, 61]])
    assert mouth_width_ratio(size * mesh, mesh) == pytest.approx(1, rel=1e-4)
    assert mouth_width_ratio(size * wide, mesh) == pytest.approx(1.2, rel=0.01)
    assert mouth_width_ratio(size * mesh, wide) == pytest.approx(1.2, rel=0.01)


@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_a_source_of_another_size_gives_the_same_texture(scale: float) -> None:
    picture, mesh = face(WOMAN, 192)
    size = (round(192 * scale),) * 2
    resized = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    resized_mesh = np.column_stack([(mesh[:, :2] + 0.5) * scale - 0.5, mesh[:, 2] * scale])
    wanted, validity = warp_texture(picture, mesh, mesh, (192, 192))
    texture, _ = warp_texture(resized, resized_mesh.astype(np.float32), mesh, (192, 192))
    certain = validity > 0.99
    assert np.abs(texture[certain].astype(int) - wanted[certain]).mean() < 4


def test_copies_of_a_source_are_kept_and_show_what_the_source_shows() -> None:
    picture = cv2.GaussianBlur(np.random.default_rng(3).uniform(0, 255, (240, 320, 3)), (0, 0), 6)
    picture = np.clip(128 + 8 * (picture - 128), 0, 255).astype(np.uint8)
    y, x = np.mgrid[5:230:3.1, 5:310:3.1].astype(np.float32)
    positions = np.column_stack([x.ravel(), y.ravel()])
    copies = Copies(picture)
    for scale in (0.6, 1.2, 1.6, 3.1, 3.2, 3.3):
        mine = copies.at_scale(scale).at(positions, cv2.INTER_LANCZOS4)
        exact = Sampler(picture, scale).at(positions, cv2.INTER_LANCZOS4)
        assert np.abs(mine.astype(int) - exact).max() <= 3, scale
    assert copies.at_scale(3.13) is copies.at_scale(3.2)  # neighbouring frames use one copy
    assert copies.at_scale(1.2).picture is picture
    for scale in np.linspace(1.6, 12, 40):
        assert copies.at_scale(scale).picture.shape[0] >= 240 / scale - 1
    assert len(copies._kept) <= 4
