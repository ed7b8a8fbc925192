"""Surrogates: how they are made and filtered, and how they are stored."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.triplet_people import aligned, photo

from reliableswap.data.storage import decode_mesh, decode_picture, encode_mesh, encode_picture, write_whole
from reliableswap.errors import ReliableSwapError
from reliableswap.faces.glasses import bundled_glasses
from reliableswap.faces.visibility import find_covers
from reliableswap.geometry import regions
from reliableswap.triplets.filter import Likeness, reason_by_identity, reason_by_picture
from reliableswap.triplets.quality import sharpness
from reliableswap.triplets.records import pack_covers, unpack_covers
from reliableswap.triplets.settings import FilterSettings, Variation
from reliableswap.triplets.shards import plan
from reliableswap.triplets.surrogates import (
    AlignedFace,
    Recipe,
    draw_recipe,
    girth_mesh,
    synthesise,
    with_girth,
)


@pytest.fixture(scope="module")
def faces() -> list[AlignedFace]:
    return [aligned(n) for n in (1, 2, 3)]


def test_a_surrogate_moves_to_the_source_and_keeps_the_surroundings(faces: list[AlignedFace]) -> None:
    target, source = AlignedFace(*photo(1)), faces[1]
    surrogate = synthesise(target, source, Recipe(draw_recipe(Variation(), np.random.default_rng(0)).blend))
    shape = target.crop.shape[:2]
    reach = regions.disc(0.5 * regions.face_width(target.mesh))
    far = cv2.dilate(regions.oval(target.mesh, shape), reach) == 0
    assert far.mean() > 0.05
    changed = np.abs(surrogate.face.crop.astype(int) - target.crop).max(2)
    assert changed[far].max() == 0
    skin = regions.skin(surrogate.face.mesh, shape) > 0
    assert changed[skin].mean() > 4
    assert surrogate.shown > 0.7
    assert surrogate.folded < 0.01
    assert np.abs(surrogate.face.mesh - target.mesh).max() > 0.3
    assert reason_by_picture(surrogate, sharpness(target.crop), FilterSettings()) is None


def test_recipes_differ_within_their_ranges() -> None:
    variation = Variation(girth=(-0.1, 0.1))
    rng = np.random.default_rng(5)
    drawn = [draw_recipe(variation, rng).to_dict() for _ in range(40)]
    for name, (low, high) in dataclasses.asdict(variation).items():
        values = [one[name] for one in drawn]
        assert low - 1e-4 <= min(values) < low + 0.2 * (high - low)
        assert high - 0.2 * (high - low) < max(values) <= high + 1e-4
    with pytest.raises(ReliableSwapError, match="range of shape is 1 to 0"):
        Variation(shape=(1, 0))


def test_girth_moves_the_jaw_and_leaves_eyes_and_mouth(faces: list[AlignedFace]) -> None:
    face = faces[0]
    jaw = [172, 397]
    still = [33, 133, 362, 263, 4, 61, 291, 10]

    def width(mesh: np.ndarray) -> float:
        return float(np.linalg.norm(mesh[jaw[0]] - mesh[jaw[1]]))

    chubbier, thinner = girth_mesh(face.mesh, 0.1), girth_mesh(face.mesh, -0.1)
    assert width(thinner) < 0.95 * width(face.mesh)
    assert width(chubbier) > 1.05 * width(face.mesh)
    assert np.abs(chubbier[still] - face.mesh[still]).max() < 0.6
    assert np.array_equal(girth_mesh(face.mesh, 0.0), face.mesh)
    drawn = with_girth(face, 0.1)
    assert np.abs(drawn.crop.astype(int) - face.crop).max() > 10
    assert np.array_equal(drawn.crop[:10], face.crop[:10])


def test_each_bad_surrogate_has_its_reason(faces: list[AlignedFace]) -> None:
    target, limits = faces[0], FilterSettings()
    fine = synthesise(target, faces[1], Recipe(draw_recipe(Variation(), np.random.default_rng(0)).blend))
    replace = dataclasses.replace
    blurred = AlignedFace(cv2.GaussianBlur(fine.face.crop, (0, 0), 2.0), fine.face.mesh)
    broken = AlignedFace(fine.face.crop, np.full_like(fine.face.mesh, np.nan))
    assert reason_by_picture(replace(fine, face=blurred), sharpness(target.crop), limits) == "blurred"
    assert reason_by_picture(replace(fine, face=broken), sharpness(target.crop), limits) == "geometry"
    assert reason_by_picture(replace(fine, folded=0.2), sharpness(target.crop), limits) == "geometry"
    assert reason_by_picture(replace(fine, shown=0.3), sharpness(target.crop), limits) == "source hidden"
    assert reason_by_identity(Likeness(0.5, 0.2), limits) is None
    assert reason_by_identity(Likeness(0.1, 0.0), limits) == "unlike source"
    assert reason_by_identity(Likeness(0.7, 0.6), limits) == "like target"
    assert reason_by_identity(Likeness(0.35, 0.4), limits) == "like target"


def test_stored_covers_blend_as_fresh_ones_do(faces: list[AlignedFace]) -> None:
    target, source = faces[0], aligned(4, "amateur_selfie")
    covers = find_covers(source.crop, source.mesh, bundled_glasses(), strict=True)
    stored = unpack_covers(pack_covers(covers, 128), 128)
    assert np.abs(np.dstack(stored.on((128, 128))) - np.dstack(covers.on((128, 128)))).mean() < 0.01
    recipe = Recipe(draw_recipe(Variation(), np.random.default_rng(1)).blend)
    fresh = synthesise(target, source, recipe).face.crop
    ours = unpack_covers(pack_covers(find_covers(target.crop, target.mesh, bundled_glasses()), 128), 128)
    known = dataclasses.replace(target, target_covers=ours)
    again = synthesise(known, dataclasses.replace(source, covers=stored), recipe).face.crop
    assert np.abs(fresh.astype(int) - again).mean() < 0.3
    # They do count: a source that is covered all over has nothing to give.
    hidden = unpack_covers(np.full((120, 120, 2), 255, np.uint8) * np.uint8([1, 0]), 128)
    nothing = synthesise(target, dataclasses.replace(source, covers=hidden), recipe)
    assert nothing.shown < 0.05
    behind = synthesise(
        dataclasses.replace(target, target_covers=hidden),
        source,
        Recipe(dataclasses.replace(recipe.blend, shape=0.0)),
    )
    assert (behind.face.crop == target.crop).all()
    assert reason_by_picture(nothing, sharpness(target.crop), FilterSettings()) == "source hidden"


def test_meshes_and_pictures_come_back(rng: np.random.Generator) -> None:
    mesh = rng.uniform(-100, 900, (468, 3)).astype(np.float32)
    assert np.abs(decode_mesh(encode_mesh(mesh)) - mesh).max() <= 1 / 64 + 1e-4
    face = aligned(3).crop
    assert np.array_equal(decode_picture(encode_picture(face, "png")), face)
    error = decode_picture(encode_picture(face, "jpeg")).astype(int) - face
    assert np.abs(error).mean() < 2
    with pytest.raises(ReliableSwapError, match="can't be decoded"):
        decode_picture(b"nothing")


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    def fails(draft: Path) -> None:
        draft.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_whole(tmp_path / "a.txt", fails)
    assert list(tmp_path.iterdir()) == []
    write_whole(tmp_path / "a.txt", lambda draft: draft.write_text("whole"))
    with pytest.raises(OSError, match="disk full"):
        write_whole(tmp_path / "a.txt", fails)
    assert [p.read_text() for p in tmp_path.iterdir()] == ["whole"]


def test_the_plan_covers_every_slot_once() -> None:
    shards = plan({"train": 10, "test": 3}, 4)
    assert [(s.name, s.start, s.stop) for s in shards] == [
        ("train-00000-of-00003.parquet", 0, 4),
        ("train-00001-of-00003.parquet", 4, 8),
        ("train-00002-of-00003.parquet", 8, 10),
        ("test-00000-of-00001.parquet", 0, 3),
    ]
