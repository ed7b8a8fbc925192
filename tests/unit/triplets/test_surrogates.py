"""How surrogates are made."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import cv2
import numpy as np
import pytest
from support.triplet_people import aligned, photo

from reliableswap.data.aligned import AlignedFace
from reliableswap.errors import ReliableSwapError
from reliableswap.faces.glasses import bundled_glasses
from reliableswap.faces.quality import sharpness
from reliableswap.faces.visibility import find_covers
from reliableswap.geometry import regions
from reliableswap.geometry.measures import eye_openings, mouth_opening, pose_error
from reliableswap.triplets.filter import reason_by_picture
from reliableswap.triplets.records import pack_covers, unpack_covers
from reliableswap.triplets.settings import FilterSettings, SourceVariation, Variation
from reliableswap.triplets.surrogates.source import (
    SourceSurrogate,
    make_source_surrogate,
    moved_mesh,
    moved_picture,
)
from reliableswap.triplets.surrogates.target import (
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
    # Stored covers do have an effect: a source that is covered everywhere contributes nothing.
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


def test_a_source_surrogate_is_the_person_in_another_pose(faces: list[AlignedFace]) -> None:
    face, other = AlignedFace(*photo(1)), AlignedFace(*photo(5, "amateur_selfie"))
    apart = pose_error(face.mesh, other.mesh)
    goal, turn = moved_mesh(face.mesh, other.mesh, 90.0, 1.0)
    assert turn == pytest.approx(apart, rel=0.15)
    assert pose_error(goal, other.mesh) < 0.3 * apart
    # A turn ends at the given limit: beyond it the photo has nothing to show.
    limited, turn = moved_mesh(face.mesh, other.mesh, 0.3 * apart, 1.0)
    assert turn == pytest.approx(0.3 * apart, rel=0.15)
    assert pose_error(limited, face.mesh) == pytest.approx(turn, rel=0.2)
    # The eyes keep their opening; the mouth takes the other person's.
    assert eye_openings(goal) == pytest.approx(eye_openings(face.mesh), rel=0.15)
    assert (
        abs(mouth_opening(goal) - mouth_opening(other.mesh))
        < abs(mouth_opening(face.mesh) - mouth_opening(other.mesh)) + 0.02
    )
    picture = moved_picture(face, goal, other)
    assert picture.shape == face.crop.shape
    assert np.abs(picture.astype(int) - face.crop)[regions.skin(goal, face.crop.shape[:2]) > 0].mean() > 2


def test_source_surrogates_follow_from_their_draws(faces: list[AlignedFace]) -> None:
    def draw(seed: int, **changes: float) -> SourceSurrogate:
        variation = dataclasses.replace(SourceVariation(), **changes)
        return make_source_surrogate(faces[0], faces[1], 96, variation, np.random.default_rng(seed))

    one, again, another = draw(1), draw(1), draw(2)
    assert np.array_equal(one.face.crop, again.face.crop)
    assert one.recipe == again.recipe
    assert not np.array_equal(one.face.crop, another.face.crop)
    assert one.face.crop.shape == (96, 96, 3)
    assert one.folded < 0.03
    quiet = draw(1, lit=0, recoloured=0, softened=0, background=0, glasses=0)
    assert quiet.recipe.to_dict() == {
        "turn": round(quiet.recipe.turn, 4), "expression": round(quiet.recipe.expression, 4),
        "lit": False, "recoloured": False, "softened": 0.0, "background": False, "glasses": False,
    }  # fmt: skip
    worn = draw(1, lit=0, recoloured=0, softened=0, background=0, glasses=1)
    eyes = regions.dilated(regions.eyes(worn.face.mesh, (96, 96), 1.3), 6) > 0
    changed = np.abs(worn.face.crop.astype(int) - quiet.face.crop).max(2)
    assert worn.recipe.glasses
    assert changed[eyes].mean() > 2 * changed[~eyes].mean()


@pytest.mark.slow
def test_a_process_that_makes_triplets_without_a_generator_imports_no_network() -> None:
    code = "import sys, reliableswap.triplets.factory; print('diffusers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
