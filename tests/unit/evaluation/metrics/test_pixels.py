"""Pixel metrics, on pictures with known results."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support.evaluation_people import mesh_of

from reliableswap.evaluation.metrics import pixels


def test_psnr_of_a_known_error(rng: np.random.Generator) -> None:
    image = rng.integers(0, 200, (40, 50, 3), dtype=np.uint8)
    assert pixels.psnr(image, image + 10) == pytest.approx(20 * math.log10(255 / 10), abs=1e-4)
    assert pixels.psnr(image, image) == pixels.PSNR_LIMIT
    nowhere = np.zeros((40, 50), bool)
    assert math.isnan(pixels.psnr(image, image, nowhere))
    assert math.isnan(pixels.ssim(image, image, nowhere))


def test_ssim_of_flat_pictures_is_its_formula(rng: np.random.Generator) -> None:
    one, other = (np.full((30, 30, 3), value, np.uint8) for value in (100, 150))
    c1 = (0.01 * 255) ** 2
    wanted = (2 * 100 * 150 + c1) / (100**2 + 150**2 + c1)
    assert pixels.ssim(one, other) == pytest.approx(wanted, abs=1e-6)
    noisy = rng.integers(0, 256, (30, 30, 3), dtype=np.uint8)
    assert pixels.ssim(noisy, noisy) == pytest.approx(1.0)
    assert pixels.ssim(noisy, noisy[::-1]) < 0.3


def test_what_changes_inside_the_face_does_not_count_outside(rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (200, 200, 3), dtype=np.uint8)
    mesh = mesh_of()
    mesh = (mesh - mesh.min(0)) / np.ptp(mesh[:, 1]) * 80 + 50
    region = pixels.face_region(mesh, (200, 200))
    swapped = np.where(region[..., None], 255 - image, image)
    assert 0.05 < region.mean() < 0.5
    assert pixels.psnr(swapped, image, ~region) == pixels.PSNR_LIMIT
    assert pixels.ssim(swapped, image, ~region) == pytest.approx(1.0, abs=1e-9)
    assert pixels.ssim(swapped, image) < 0.95


def test_flicker_is_change_beyond_that_of_the_target() -> None:
    ramp = np.tile(np.arange(60, dtype=np.uint8) * 2, (20, 1))[..., None].repeat(3, 2)
    moving = np.stack([ramp, ramp + 10, ramp + 20])  # an even change is no flicker
    blinking = moving.copy()
    blinking[1] += 6
    everywhere = np.ones((20, 60), bool)
    assert pixels.flicker(moving, moving, everywhere) == 0
    assert pixels.flicker(blinking, moving, everywhere) == pytest.approx(6.0)
    assert pixels.flicker(moving, blinking, everywhere) == pytest.approx(-6.0)
