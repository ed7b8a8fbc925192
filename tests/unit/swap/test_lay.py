"""A layered generator's mixture, laid over the photo at the photo's own size."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from support.jobs import job, tiny
from support.people import person, portrait

from reliableswap import ReliableSwapPipeline
from reliableswap.faces.align import apply
from reliableswap.geometry import regions
from reliableswap.geometry.shape import displacement
from reliableswap.geometry.shape import reshape as warped
from reliableswap.models.identity import IdentityEncoder
from reliableswap.models.layer_maps import CHANNELS
from reliableswap.models.light import LightGenerator
from reliableswap.swap.engines import run
from reliableswap.swap.settings import SwapSettings
from reliableswap.swap.steps.grain import grain
from reliableswap.swap.steps.guide import guide
from reliableswap.swap.steps.lay import lay
from reliableswap.swap.steps.mix import mix
from reliableswap.swap.steps.opacity import opacity
from reliableswap.swap.steps.reshape import reshape_roughly

# the neural engine of a layered generator, without the expression step
MIXED = (reshape_roughly, mix, opacity, lay, grain)


@pytest.fixture(scope="module")
def identity() -> IdentityEncoder:
    torch.manual_seed(0)
    return IdentityEncoder(body="mobilefacenet", embedding_size=128).eval()


class White(LightGenerator):
    """Draws one colour everywhere."""

    colour = (1.0, 1.0, 1.0)

    def maps(
        self, target: torch.Tensor, identity: torch.Tensor, guidance: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        answer = torch.zeros(1, CHANNELS, 128, 128)
        answer[:, :2], answer[:, 2], answer[:, -2:] = -30, 30, -30
        drawn = torch.tensor(self.colour)[:, None, None].expand_as(target)
        return drawn, answer, torch.full_like(target[:, :1], 30)


class Orange(White):
    colour = (1.0, 0.0, -1.0)


def test_in_a_large_photo_a_layered_generator_draws_inside_the_outline_only(
    pipe: ReliableSwapPipeline, identity: IdentityEncoder
) -> None:
    networks = {"generator": tiny(White, layers=True), "identity": identity, "fixer": None}
    outside = []
    for side in (150, 400):
        done = run(MIXED, job(pipe, portrait(1, side), portrait(2, 150), SwapSettings(shape=0), **networks))
        face = regions.oval(done.goal, done.image.shape[:2]) > 0
        changed = np.abs(done.image.astype(int) - done.target.pixels).max(2) > 16
        outside.append(int((changed & ~face).sum()))
        x, y = np.rint(done.goal[4, :2]).astype(int)  # the nose
        assert done.image[y, x].min() > 240
    assert outside[0] > 100
    assert outside[1] == 0


def test_in_a_large_photo_a_cheek_that_no_texture_shows_stays_the_targets(
    pipe: ReliableSwapPipeline, identity: IdentityEncoder
) -> None:
    networks = {"generator": tiny(White, layers=True), "identity": identity, "fixer": None}
    one = guide(
        reshape_roughly(job(pipe, portrait(1, 400), portrait(2, 150), SwapSettings(shape=0), **networks))
    )
    guidance, valid = one.layer("guidance").copy(), one.layer("valid").copy()
    for plane in (guidance[0, 3], valid):
        plane[:, : plane.shape[1] // 2] = 0
    done = run((mix, opacity, lay), one.with_layers(guidance=guidance, valid=valid))
    cheeks = done.goal[[116, 345]]
    cheek, nose = (
        tuple(np.rint(p[1::-1]).astype(int)) for p in (cheeks[np.argmin(cheeks[:, 0])], done.goal[4])
    )
    assert np.abs(done.image[cheek].astype(int) - done.target.pixels[cheek]).max() < 16
    assert done.image[nose].min() > 230


class OneLayer(LightGenerator):
    """Lets only the texture (0) or the target (1) through."""

    layer = 0

    def maps(
        self, target: torch.Tensor, identity: torch.Tensor, guidance: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        answer = torch.zeros(1, CHANNELS, 128, 128)
        answer[:, :3], answer[:, -2:] = -30, -30
        answer[:, self.layer] = 30
        return torch.zeros_like(target), answer, torch.full_like(target[:, :1], 30)


class TargetAlone(OneLayer):
    layer = 1


def test_a_mixture_of_the_target_alone_is_the_untouched_photo(
    pipe: ReliableSwapPipeline, identity: IdentityEncoder
) -> None:
    networks = {"generator": tiny(TargetAlone, layers=True), "identity": identity, "fixer": None}
    for side in (150, 400):
        begun = job(pipe, portrait(1, side), portrait(2, 150), SwapSettings(shape=0), **networks)
        done = run((reshape_roughly, mix, opacity, lay), begun)
        assert done.mask.max() > 0.9
        assert np.array_equal(done.image, done.target.pixels)


def test_a_texture_is_as_sharp_as_its_photo(pipe: ReliableSwapPipeline, identity: IdentityEncoder) -> None:
    """If source and target are one photo, the texture alone reproduces it, apart from one resampling."""
    networks = {"generator": tiny(OneLayer, layers=True), "identity": identity, "fixer": None}
    photo = portrait(1, 500)
    moved = np.ascontiguousarray(np.roll(photo, 1, axis=1))  # the same face, one pixel to the right
    done = run(
        (reshape_roughly, mix, opacity, lay), job(pipe, moved, photo, SwapSettings(shape=0), **networks)
    )
    skin = done.mask > 0.95
    assert skin.sum() > 5000

    def fine(picture: np.ndarray) -> float:
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
        return float((grey - cv2.GaussianBlur(grey, (0, 0), 0.7))[skin].std())

    assert fine(done.image) > 0.8 * fine(done.target.pixels)


def test_an_expression_is_laid_as_if_it_had_been_drawn_afterwards(
    pipe: ReliableSwapPipeline, identity: IdentityEncoder
) -> None:
    networks = {"generator": tiny(OneLayer, layers=True), "identity": identity, "fixer": None}
    one = run(
        (reshape_roughly, mix, opacity),
        job(pipe, portrait(1, 300), portrait(2, 300), SwapSettings(), **networks),
    )
    mesh = one.goal.copy()
    mesh[:, 1] += 2 * np.sin(mesh[:, 0] / 20)
    move = displacement(one.goal, mesh, one.target.shape)
    at_once, after = lay(one.with_layers(expressed=move)).image, warped(lay(one).image, move)
    plain = lay(one).image
    there = (np.abs(move).max(2) > 0.5) & (lay(one).mask > 0.5)
    assert (
        np.abs(at_once.astype(float) - after)[there].mean()
        < 0.3 * np.abs(plain.astype(float) - after)[there].mean()
    )


@pytest.mark.slow
def test_on_a_closed_mouth_the_targets_lips_replace_those_of_a_smile(pipe: ReliableSwapPipeline) -> None:
    closed, smiling = portrait(1, 900), portrait(10, 900, "amateur_selfie")

    def kept(source: np.ndarray) -> float:
        """How much of the target's own picture the middle of the lower lip shows."""
        done = run((reshape_roughly, mix), job(pipe, closed, source, SwapSettings(shape=0)))
        x, y = np.rint(apply(done.crop.matrix, done.goal[[14, 17]])[:, :2].mean(0)).astype(int)
        return float(done.layer("of_target")[y, x])

    assert kept(smiling) > 0.95
    assert kept(portrait(9, 900)) < 0.7


@pytest.mark.slow
def test_beside_a_closed_mouth_the_targets_folds_replace_those_of_a_smile(pipe: ReliableSwapPipeline) -> None:
    closed, smiling = portrait(1, 900), portrait(10, 900, "amateur_selfie")
    done = run((reshape_roughly, mix), job(pipe, closed, smiling, SwapSettings(shape=0)))
    mesh, seen = apply(done.crop.matrix, done.goal), done.layer("seen")
    width, beside = regions.face_width(mesh), regions.folds(mesh, seen.shape[:2]) > 0

    def relief(picture: np.ndarray) -> np.ndarray:
        grey = cv2.cvtColor(np.clip(picture, 0, 255).astype(np.uint8), cv2.COLOR_RGB2GRAY).astype(np.float32)
        fine, coarse = (cv2.GaussianBlur(grey, (0, 0), reach * width) for reach in (0.012, 0.06))
        return np.asarray((fine - coarse)[beside])

    def likeness(picture: np.ndarray) -> float:
        return float(np.corrcoef(relief(picture), relief(seen))[0, 1])

    made = done.layer("generated")
    with_a_smile = made - done.layer("of_texture")[..., None] * done.layer("folds")
    assert likeness(with_a_smile) < 0.6
    assert likeness(made) > 0.9
    assert "folds" not in run((reshape_roughly, guide), job(pipe, closed, portrait(9, 900))).layers


@pytest.mark.slow
def test_no_line_is_left_of_a_smiles_folds(pipe: ReliableSwapPipeline) -> None:
    closed, smiling = portrait(1, 1400), portrait(10, 1400, "amateur_selfie")
    begun = run((reshape_roughly, mix, opacity), job(pipe, closed, smiling, SwapSettings(shape=0)))
    folded = begun.layer("folded")

    def deepest(image: np.ndarray) -> float:
        """How dark the darkest thin lines beside the mouth are, in grey levels."""
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
        beside = regions.eroded(regions.folds(begun.goal, image.shape[:2]), 0.02 * begun.width) > 0
        fine = grey - cv2.GaussianBlur(grey, (0, 0), 1.5 / begun.crop.scale)
        return -float(np.quantile(fine[beside], 0.002))

    lines = deepest(lay(begun.with_layers(folded=np.zeros_like(folded))).image)
    assert lines > 20
    assert deepest(lay(begun).image) < 0.6 * lines


@pytest.mark.slow
def test_a_source_that_looks_aside_is_trusted_less_on_a_frontal_target(pipe: ReliableSwapPipeline) -> None:
    sheet = Image.open(person(1, "character_sheet")).convert("RGB")
    aside = np.asarray(sheet.crop((760, 150, 1160, 600)).resize((800, 900)))

    def trust(target: np.ndarray) -> float:
        """How far the generator may trust what the source shows."""
        one = run((reshape_roughly, guide), job(pipe, target, aside, SwapSettings(shape=0)))
        assert one.has_finer_detail
        return float(one.layer("guidance")[0, 3].max() / one.layer("valid").max())

    assert trust(portrait(2, 900)) < 0.7
    assert trust(aside) > 0.99


@pytest.mark.slow
@pytest.mark.parametrize(("side", "paler"), [(400, True), (150, False)])
def test_drawn_skin_of_a_large_photo_is_no_more_colourful_than_the_targets(
    pipe: ReliableSwapPipeline, identity: IdentityEncoder, side: int, paler: bool
) -> None:
    networks = {"generator": tiny(Orange, layers=True), "identity": identity, "fixer": None}
    done = run(
        (reshape_roughly, mix),
        job(pipe, portrait(1, side), portrait(2, 150), SwapSettings(shape=0), **networks),
    )
    mesh, drawn = apply(done.crop.matrix, done.goal), done.layer("generated")
    skin = (regions.skin(mesh, drawn.shape[:2]) > 0.5) & (regions.eyes(mesh, drawn.shape[:2], 2) == 0)
    chroma = np.ptp(drawn, axis=2)
    assert chroma[:4].mean() > 180  # beside the face
    assert (chroma[skin].mean() < 130) == paler


@pytest.mark.slow
def test_lips_that_the_source_hides_are_the_targets(pipe: ReliableSwapPipeline) -> None:
    begun = run(
        (reshape_roughly, guide), job(pipe, portrait(1, 900), portrait(9, 900), SwapSettings(shape=0))
    )
    valid = begun.layer("valid").copy()
    x, y = np.rint(apply(begun.crop.matrix, begun.goal[[14, 17]])[:, :2].mean(0)).astype(int)
    valid[:, :x] = 0  # behind a hand
    shown, hidden = (mix(one).layer("of_target")[y, x + 3] for one in (begun, begun.with_layers(valid=valid)))
    assert shown < 0.7
    assert hidden > 0.95
