"""What the pixels of a face show, and the covers that follow from it."""

from __future__ import annotations

from typing import Any, ClassVar

import cv2
import numpy as np
import pytest
import torch
from support.blend_faces import BEARD, SMILE, WOMAN, face, painted_glasses

from reliableswap.faces.align import apply, similarity
from reliableswap.faces.glasses import bundled_glasses
from reliableswap.faces.parts import OWN, SIZE, Parts, find_parts, to_crop
from reliableswap.faces.visibility import find_covers
from reliableswap.geometry import regions
from reliableswap.models.face_classes import CLASSES
from reliableswap.models.visibility import VisibilityNet

SHAPE = (192, 192)


def told(picture: np.ndarray, mesh: np.ndarray, **classes: np.ndarray) -> Parts:
    """Parts that are skin everywhere, except for the given classes inside their (H,W) masks of the picture."""
    matrix = to_crop(mesh)
    number = np.full(SHAPE, CLASSES.index("skin"), np.uint8)
    for name, mask in classes.items():
        number[mask > 0] = CLASSES.index(name)
    seen = cv2.warpAffine(number, matrix, (SIZE, SIZE), flags=cv2.INTER_NEAREST)
    return Parts((seen == np.arange(len(CLASSES))[:, None, None]).astype(np.float32), matrix)


class Painter:
    """A network that calls red pixels hair and all others skin."""

    config: ClassVar[dict[str, Any]] = {}

    def __call__(self, picture: Any) -> tuple[np.ndarray]:
        red = (picture[:, 0] > 0.9) & (picture[:, 1] < -0.9)
        scores = np.zeros((1, len(CLASSES), SIZE, SIZE), np.float32)
        scores[:, CLASSES.index("hair")] = red * 20.0
        scores[:, CLASSES.index("skin")] = ~red * 20.0
        return (scores,)


def test_glasses_count_only_where_both_networks_see_them() -> None:
    picture, mesh = face(WOMAN)
    worn = painted_glasses(picture, mesh)
    frames = cv2.dilate((np.abs(worn.astype(int) - picture).max(2) > 40).astype(np.uint8), np.ones((5, 5)))
    agreed, denied = told(worn, mesh, glasses=frames), told(worn, mesh)
    assert find_covers(worn, mesh, bundled_glasses(), parts=agreed).glasses.mask.any()
    assert not find_covers(worn, mesh, bundled_glasses(), parts=denied).glasses.mask.any()


def test_parts_lie_where_the_picture_shows_them() -> None:
    picture, mesh = face(WOMAN)
    marked = picture.copy()
    x, y = np.rint(mesh[151, :2]).astype(int).tolist()
    cv2.circle(marked, (x, y), 14, (255, 0, 0), -1)
    parts = find_parts(marked, mesh, Painter())
    there = parts.on(parts.of("hair"), SHAPE, 1.0, 0.0)
    wanted = cv2.circle(np.zeros(SHAPE, np.uint8), (x, y), 14, 1, -1)
    assert np.abs(there - wanted).mean() < 0.004
    half = parts.on(parts.of("hair"), (96, 96), 0.5, 0.0)
    assert np.abs(half - cv2.resize(there, (96, 96), interpolation=cv2.INTER_AREA)).mean() < 0.006
    assert parts.of(*OWN) + parts.of("hair") == pytest.approx(1, abs=1e-4)


def test_parts_move_with_the_picture() -> None:
    picture, mesh = face(WOMAN)
    parts = told(picture, mesh, hair=regions.forehead(mesh, SHAPE))
    turn = similarity(np.array([[0, 0], [100, 0]]), np.array([[20, 10], [90, 30]]))
    moved = parts.moved(turn)
    there = moved.on(moved.of("hair"), SHAPE, 1.0, 0.0)
    expected = regions.forehead(apply(turn, mesh), SHAPE)
    assert np.abs(there - expected).mean() < 0.006


def test_hair_glasses_things_and_the_background_cover_a_face_and_its_own_parts_never_do() -> None:
    picture, mesh = face(BEARD)
    lower, brow = regions.lower_face(mesh, SHAPE), regions.forehead(mesh, SHAPE)
    inside = cv2.erode(brow, np.ones((9, 9))) > 0
    for name in ("hair", "glasses", "front", "background"):
        parts = told(picture, mesh, **{name: brow})
        for strict in (False, True):
            hidden, bare = find_covers(picture, mesh, None, strict=strict, parts=parts).on(SHAPE)
            assert hidden[inside].min() > 0.9
            assert bare[inside].max() < 0.1
            assert hidden[lower > 0].mean() < 0.05
            assert hidden[cv2.dilate(regions.oval(mesh, SHAPE), np.ones((9, 9))) == 0].max() < 0.05
    for name in set(OWN) - {"skin"}:
        hidden, bare = find_covers(picture, mesh, None, parts=told(picture, mesh, **{name: lower})).on(SHAPE)
        assert hidden.max() < 0.05
        assert bare[cv2.erode(lower, np.ones((9, 9))) > 0].max() < 0.1
        assert bare[inside].min() > 0.9


def test_between_the_hairs_of_a_beard_there_is_no_bare_skin() -> None:
    for name, grown in ((BEARD, True), (WOMAN, False)):
        picture, mesh = face(name)
        shape = picture.shape[:2]
        hair = np.zeros(SHAPE, np.float32)  # a network that takes all of the face for skin
        _, bare = find_covers(picture, mesh, None, parts=told(picture, mesh, hair=hair)).on(shape)
        lower = regions.lower_face(mesh, shape) * (1 - regions.lips(mesh, shape))
        share = float((bare * lower).sum() / lower.sum())
        assert share < 0.1 if grown else share > 0.8


def test_beside_a_goatee_cheeks_are_bare() -> None:
    picture, mesh = face(WOMAN)
    lips, lower, width = regions.lips(mesh, SHAPE), regions.lower_face(mesh, SHAPE), regions.face_width(mesh)
    around = cv2.dilate(lips, regions.disc(0.12 * width)) * lower * (1 - lips)
    inner = regions.eroded(regions.oval(mesh, SHAPE), 0.06 * width)
    cheeks = lower * inner * (1 - cv2.dilate(around, regions.disc(0.06 * width)))
    covers = find_covers(picture, mesh, None, parts=told(picture, mesh, hair=around))
    bare = covers.on(SHAPE)[1]
    assert covers.bearded > 0.5
    assert (bare * around).sum() < 0.1 * around.sum()
    assert (bare * cheeks).sum() > 0.4 * cheeks.sum()


def test_a_shaven_chin_in_the_shade_is_bare_skin() -> None:
    picture, mesh = face(SMILE)
    chin = regions.lower_face(mesh, SHAPE) * (np.arange(SHAPE[0])[:, None] > mesh[17, 1])
    grey = picture.mean(2, keepdims=True)
    shade = np.where(chin[..., None] > 0, 0.35 * (0.7 * grey + 0.3 * picture), picture).astype(np.uint8)
    skin = told(shade, mesh, hair=np.zeros(SHAPE, np.float32))
    covers = find_covers(shade, mesh, None, parts=skin)
    assert covers.bearded < 0.1
    assert (covers.on(SHAPE)[1] * chin).sum() > 0.9 * chin.sum()


def test_a_scarf_over_the_cheek_of_a_shaven_face_is_no_beard() -> None:
    picture, mesh = face(WOMAN)
    oval, lower = regions.oval(mesh, SHAPE), regions.lower_face(mesh, SHAPE)
    width = regions.face_width(mesh)
    side = np.zeros(SHAPE, np.float32)
    side[:, : int(mesh[:, 0].min() + 0.2 * width)] = 1  # the network takes scarves for hair
    scarf = side * lower * regions.eroded(oval, 0.08 * width)
    chin = lower * regions.eroded(oval, 0.08 * width) * (1 - regions.lips(mesh, SHAPE))
    assert scarf.sum() > 50
    for hair, hides in ((side * oval, True), (chin, False)):
        hidden, _ = find_covers(picture, mesh, None, parts=told(picture, mesh, hair=hair)).on(SHAPE)
        share = float((hidden * scarf).sum() / scarf.sum())
        assert share > 0.7 if hides else share < 0.1


def test_a_source_is_judged_more_strictly_than_a_target() -> None:
    picture, mesh = face(WOMAN)
    parts = told(picture, mesh, front=regions.forehead(mesh, SHAPE))
    target, source = (
        find_covers(picture, mesh, None, strict=strict, parts=parts) for strict in (False, True)
    )
    assert source.on(SHAPE)[0].sum() > 1.05 * target.on(SHAPE)[0].sum()


def test_a_source_is_not_trusted_next_to_the_background() -> None:
    """A mesh reaches beyond the outline in places, where background would be warped along with the skin."""
    picture, mesh = face(WOMAN)
    width = regions.face_width(mesh)
    x = np.arange(SHAPE[1]) - float(mesh[:, 0].max())
    parts = told(picture, mesh, background=np.tile(x > -0.06 * width, (SHAPE[0], 1)))
    target, source = (
        find_covers(picture, mesh, None, strict=strict, parts=parts).on(SHAPE)[0] for strict in (False, True)
    )
    beside = (regions.oval(mesh, SHAPE) > 0) & (x > -0.085 * width) & (x < -0.075 * width)
    assert beside.sum() > 20
    assert source[beside].mean() > 0.8
    assert target[beside].mean() < 0.2
    inner = (regions.oval(mesh, SHAPE) > 0) & (x < -0.2 * width)
    assert source[inner].mean() < 0.05


def test_the_encoder_starts_as_a_copy_of_the_given_features() -> None:
    from reliableswap.models import PerceptualFeatures

    torch.manual_seed(0)
    features, network = PerceptualFeatures(), VisibilityNet().eval()
    picture = torch.rand(1, 3, 128, 128) * 2 - 1
    with torch.inference_mode():
        before = network.stages[2](network.stages[1](network.stages[0](network.stem(picture))))
        network.start_from(features)
        x = torch.nn.functional.relu6(network.stem(network.normalise(picture)))
        for stage in network.stages[:3]:
            x = stage(x)
        assert torch.allclose(x, features(picture)[1], atol=1e-4)
        assert before.shape == x.shape
    assert network.parameter_count <= 1_000_000
