"""The steps around a generator, and the expression step of both engines."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from support import blend_faces
from support.jobs import job, tiny
from support.people import portrait

from reliableswap import ReliableSwapPipeline
from reliableswap.errors import ReliableSwapError
from reliableswap.geometry.measures import expression_error
from reliableswap.geometry.regions import eyes
from reliableswap.geometry.shape import MIN_MOVE, displacement
from reliableswap.geometry.shape import reshape as warped
from reliableswap.models.fixer import FixerNet
from reliableswap.models.generator import GeneratorOutput
from reliableswap.models.identity import IdentityEncoder
from reliableswap.models.light import LightGenerator
from reliableswap.models.simswap import SimSwapGenerator
from reliableswap.swap.engines import run
from reliableswap.swap.settings import SwapSettings
from reliableswap.swap.steps.attributes import put_on_glasses
from reliableswap.swap.steps.compose import compose
from reliableswap.swap.steps.detail import detail
from reliableswap.swap.steps.expression import corrected, correction
from reliableswap.swap.steps.generate import generate
from reliableswap.swap.steps.grain import grain
from reliableswap.swap.steps.guide import identity_request
from reliableswap.swap.steps.opacity import opacity
from reliableswap.swap.steps.reshape import reshape


@pytest.fixture(scope="module")
def identity() -> IdentityEncoder:
    torch.manual_seed(0)
    return IdentityEncoder(body="mobilefacenet", embedding_size=128).eval()


# the neural engine without the expression step, of a generator that draws pictures
GENERATED = (reshape, generate, detail, opacity, compose, grain)


class Keep(LightGenerator):
    """Returns its target, so that only the steps around it have an effect."""

    def forward(
        self, target: torch.Tensor, identity: torch.Tensor, guidance: torch.Tensor | None = None
    ) -> GeneratorOutput:
        assert guidance is not None
        assert guidance.shape == (1, 4, 128, 128)
        return GeneratorOutput(image=target, mask=torch.ones_like(target[:, :1]))


class Soft(LightGenerator):
    """Returns its target, blurred."""

    def forward(
        self, target: torch.Tensor, identity: torch.Tensor, guidance: torch.Tensor | None = None
    ) -> GeneratorOutput:
        blurred = torch.nn.functional.avg_pool2d(target, 3, 1, 1, count_include_pad=False)
        return GeneratorOutput(image=blurred, mask=torch.ones_like(target[:, :1]))


def test_too_smooth_skin_gets_the_photos_grain(pipe: ReliableSwapPipeline, identity: IdentityEncoder) -> None:
    noise = np.random.default_rng(0).normal(0, 6, (*portrait(2, 150).shape[:2], 1))
    pixels = np.clip(portrait(2, 150) + noise, 0, 255).astype(np.uint8)
    networks = {"generator": tiny(Soft), "identity": identity, "fixer": None}

    def grain(image: np.ndarray, mask: np.ndarray) -> float:
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
        return float((grey - cv2.GaussianBlur(grey, (0, 0), 1))[mask > 0.9].std())

    jobs = [
        run(GENERATED, job(pipe, pixels, portrait(1, 150), SwapSettings(detail=share, shape=0), **networks))
        for share in (0, 1)
    ]
    smooth, grained = (grain(done.image, done.mask) for done in jobs)
    wanted = grain(jobs[0].target.pixels, jobs[0].mask)
    # This network's mask includes hair and clothes, which get no grain.
    assert smooth + 0.2 * (wanted - smooth) < grained < 1.1 * wanted


class Coloured(LightGenerator):
    """Returns its target, red all over."""

    def forward(
        self, target: torch.Tensor, identity: torch.Tensor, guidance: torch.Tensor | None = None
    ) -> GeneratorOutput:
        red = torch.tensor([1.0, -0.5, -0.5])[:, None, None]
        return GeneratorOutput(image=0.5 * target + 0.4 * red, mask=torch.ones_like(target[:, :1]))


def colour_changes(pipe: ReliableSwapPipeline, network: LightGenerator, identity: IdentityEncoder) -> tuple:
    """How much redder the result is than its target (H,W), the area between the target's lids, a cheek, a temple."""
    networks = {"generator": network, "identity": identity, "fixer": None}
    settings = SwapSettings(shape=0, detail=0)
    done = run(GENERATED, job(pipe, portrait(2, 150), portrait(1, 150), settings, **networks))
    made, target = done.image, done.target
    inside = eyes(target.face.mesh, made.shape[:2], 0.6) > 0
    cheek, temple = (tuple(np.rint(target.face.mesh[i, 1::-1]).astype(int)) for i in (50, 71))

    def redness(image: np.ndarray) -> np.ndarray:
        return image[..., 0].astype(float) - image[..., 2]

    return redness(made) - redness(target.pixels), inside, cheek, temple


def test_between_the_lids_the_colours_are_the_targets(
    pipe: ReliableSwapPipeline, identity: IdentityEncoder
) -> None:
    free = tiny(Coloured, guidance_channels=0)
    change, inside, cheek, temple = colour_changes(pipe, free, identity)
    assert inside.sum() > 8
    assert abs(change[inside].mean()) < 10
    assert min(change[cheek], change[temple]) > 28


def test_with_guidance_a_face_has_the_colours_that_it_or_the_target_show_nearby(
    pipe: ReliableSwapPipeline, identity: IdentityEncoder
) -> None:
    told = tiny(Coloured)
    change, inside, cheek, temple = colour_changes(pipe, told, identity)
    assert abs(change[inside].mean()) < 10
    assert change[cheek] < 12
    assert change[temple] < 30


@pytest.mark.slow
def test_a_generator_works_at_the_smallest_of_its_sizes_that_holds_the_photo(
    pipe: ReliableSwapPipeline, identity: IdentityEncoder
) -> None:
    networks = {"generator": tiny(sizes=(256, 128)), "identity": identity, "fixer": None}
    photos = [portrait(1, side) for side in (150, 400, 1600)]
    jobs = [job(pipe, photo, portrait(2, 150), **networks) for photo in photos]
    assert [one.crop.size for one in jobs] == [128, 256, 256]
    small = job(pipe, photos[2], photos[0], generator=tiny(), identity=identity, fixer=None)
    assert small.crop.size == 128
    done = run(GENERATED, jobs[1])
    assert done.image.shape == done.target.pixels.shape
    assert done.mask.max() > 0
    with pytest.raises(ValueError, match=r"sizes is \(100,\)"):
        LightGenerator(sizes=(100,))


def test_detail_finer_than_the_crop_comes_from_the_source_photo(
    pipe: ReliableSwapPipeline, identity: IdentityEncoder
) -> None:
    networks = {"generator": tiny(Keep), "identity": identity, "fixer": None}
    done, plain = (
        run(GENERATED, job(pipe, portrait(2), portrait(1), settings, **networks))
        for settings in (SwapSettings(), SwapSettings(detail=0))
    )
    sharp, soft, mask = done.image, plain.image, done.mask
    face = mask > 0.9

    def sharpness(image: np.ndarray) -> float:
        return float(np.abs(cv2.Laplacian(image.astype(np.float32), cv2.CV_32F)[face]).mean())

    assert sharpness(sharp) > 1.3 * sharpness(soft)
    # Only fine detail differs: at the crop's resolution both are the same.
    small_sharp, small_soft = (cv2.resize(i, (32, 32), interpolation=cv2.INTER_AREA) for i in (sharp, soft))
    assert np.abs(small_sharp.astype(int) - small_soft).mean() < 3
    untouched = mask == 0
    assert np.array_equal(sharp[untouched], done.target.pixels[untouched])


def test_the_vector_is_the_sources_turned_away_from_the_targets(pipe: ReliableSwapPipeline) -> None:
    assert pipe.identity is not None
    turned, same = job(pipe, portrait(2), portrait(1)), job(pipe, portrait(1), portrait(1))
    vectors = (
        np.concatenate([turned.person.v_id, turned.person.v_fix], 1),
        np.concatenate([turned.target.v_id, turned.target.v_fix], 1),
        identity_request(turned),
        identity_request(same),
    )
    split = (np.split(vector, [pipe.identity.embedding_size], 1) for vector in vectors)
    for v, t, w, s in zip(*split, strict=True):
        assert float(np.linalg.norm(w)) == pytest.approx(1, abs=1e-3)
        assert float((w * v).sum()) > 0.9
        assert float((w * t).sum()) < float((v * t).sum()) - 0.2
        assert np.allclose(s, v, atol=1e-2)


@pytest.mark.parametrize("away", [0.0, 0.35])
def test_vectors_keep_their_length_and_generators_may_use_the_plain_one(
    pipe: ReliableSwapPipeline, identity: IdentityEncoder, away: float
) -> None:
    torch.manual_seed(0)
    raw = FixerNet(body="mobilefacenet", embedding_size=16, normalised=False).eval()
    networks = {"generator": tiny(fixer_dim=16, away=away), "identity": identity, "fixer": raw}
    other, same = (job(pipe, portrait(n), portrait(1), **networks) for n in (2, 1))
    plain = np.concatenate([other.person.v_id, other.person.v_fix], 1)
    turned = identity_request(other)
    assert abs(float(np.linalg.norm(plain[:, 128:])) - 1) > 0.01
    assert float(np.linalg.norm(turned[:, 128:])) == pytest.approx(
        float(np.linalg.norm(plain[:, 128:])), rel=1e-4
    )
    assert np.allclose(identity_request(same), plain, atol=1e-4)
    if away == 0:
        assert np.allclose(turned, plain, atol=1e-5)


def test_a_generator_without_the_setting_is_asked_for_the_plain_vector(
    pipe: ReliableSwapPipeline, identity: IdentityEncoder
) -> None:
    older = SimSwapGenerator(channels=8, identity_dim=128)
    asked = job(pipe, portrait(2), portrait(1), generator=older, identity=identity, fixer=None)
    assert np.allclose(identity_request(asked), asked.person.v_id, atol=1e-5)


def test_the_sources_glasses_go_behind_what_is_in_front_of_the_target(pipe: ReliableSwapPipeline) -> None:
    worn = blend_faces.painted_glasses(*blend_faces.face(blend_faces.WOMAN, 320))
    settings = SwapSettings(shape=0).with_attributes({"glasses": "source"})
    seen = job(pipe, portrait(3, 320), worn, settings)
    covers = seen.target.covers
    everything = np.zeros_like(covers.maps)
    everything[..., 0] = 1
    behind = replace(seen, target=seen.target.with_results(covers=replace(covers, maps=everything)))
    assert not np.array_equal(put_on_glasses(seen).image, seen.image)
    assert np.array_equal(put_on_glasses(behind).image, behind.image)


@pytest.mark.slow
def test_glasses_of_the_target_stay_in_front_of_the_made_face(pipe: ReliableSwapPipeline) -> None:
    picture, mesh = blend_faces.face(blend_faces.WOMAN, 320)
    worn = blend_faces.painted_glasses(picture, mesh)
    frames = np.abs(worn.astype(int) - picture).max(2) > 60
    frames = cv2.erode(frames.astype(np.uint8), np.ones((3, 3))) > 0
    source = portrait(3, 320)
    kept, plain = (pipe(source, photo, expression=0).pictures[0].pixels for photo in (worn, picture))
    off = pipe(source, worn, expression=0, glasses=0).pictures[0].pixels
    # Without shape=0 the outline would move, and the glasses with it.
    still = pipe(source, worn, expression=0, shape=0).pictures[0].pixels
    inside = frames & (plain != picture).any(2)
    assert inside.sum() > 300
    assert np.abs(still[inside].astype(int) - worn[inside]).mean() < 10
    assert kept[inside].mean() < off[inside].mean() - 30
    below = np.rint(mesh[[50, 280, 18], 1::-1]).astype(int)
    assert np.abs(kept[tuple(below.T)].astype(int) - off[tuple(below.T)]).max() < 20
    with pytest.raises(ReliableSwapError, match=r"glasses is -1; choose a value from 0 to 1"):
        pipe(source, worn, glasses=-1)


@pytest.mark.slow
def test_the_made_face_gets_the_targets_expression_back(pipe: ReliableSwapPipeline) -> None:
    def read(image: np.ndarray) -> np.ndarray:
        return pipe.find(image)[0].mesh

    errors: dict[float, list[float]] = {0.0: [], 0.8: []}
    # No source has a full beard: in one, the mesh of the mouth is less exact than the correction.
    for one, other in ((1, 2), (3, 4), (9, 6), (7, 8)):
        target = portrait(other, 320, "amateur_selfie")
        made = {share: pipe(portrait(one, 320), target, expression=share) for share in errors}
        for share, result in made.items():
            errors[share].append(expression_error(read(result.pictures[0].pixels), read(target)))
        changed = np.abs(made[0.0].pictures[0].pixels.astype(int) - made[0.8].pictures[0].pixels).max(2)
        swapped = np.abs(made[0.0].pictures[0].pixels.astype(int) - target).max(2) > 0
        rows, columns = (np.flatnonzero(swapped.any(axis)) for axis in (1, 0))
        assert changed.max() > 0
        # Leave 5 px for the soft edge.
        changed[rows[0] - 5 : rows[-1] + 6, columns[0] - 5 : columns[-1] + 6] = 0
        assert not changed.any()  # nothing beside the swapped face moves
    # Smaller errors are within the noise of the mesh.
    clear = [n for n, before in enumerate(errors[0.0]) if before > 0.0115]
    assert len(clear) >= 2
    assert all(errors[0.8][n] < errors[0.0][n] for n in clear)
    assert max(errors[0.8]) < max(errors[0.0])
    assert np.mean(errors[0.8]) < 0.95 * np.mean(errors[0.0])


def test_eyes_and_inner_mouth_of_the_target_move_with_the_expression(pipe: ReliableSwapPipeline) -> None:
    """The expression also moves what the blend leaves to the target, so that a moved lip leaves no edge."""
    target = portrait(3, 320, "amateur_selfie")
    plain, drawn = (
        pipe(portrait(1, 320), target, engine="blend", shape=0, expression=share).pictures[0].pixels
        for share in (0, 1)
    )
    mesh = pipe.find(plain)[0].mesh
    goal = pipe.find(target)[0].mesh
    move = displacement(mesh, corrected(mesh, correction(mesh, goal), 1.0), plain.shape[:2])
    wanted = warped(plain, move)
    there = np.abs(move).max(2) >= MIN_MOVE
    assert there.any()
    # The mesh found in the face's region differs from that of the whole picture by a fraction of a pixel.
    assert (
        np.abs(drawn.astype(float) - wanted)[there].mean()
        < 0.5 * np.abs(plain.astype(float) - wanted)[there].mean()
    )


def test_an_expression_share_outside_its_range_is_refused(pipe: ReliableSwapPipeline) -> None:
    with pytest.raises(ReliableSwapError, match=r"expression is 1\.5; choose a value from 0 to 1"):
        pipe(portrait(1), portrait(2), expression=1.5)
