"""What frozen networks see of aligned crops."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.completed import Completed

from reliableswap.bundled import bundled
from reliableswap.data.augment import NONE
from reliableswap.data.mix import Mix
from reliableswap.geometry.measures_torch import openings
from reliableswap.models import MeshNet
from reliableswap.training.tasks.generator.views import MeshReader, fixer_window, identity_window, jitter


def test_windows_are_slices_of_the_crop() -> None:
    crop = torch.arange(3 * 128 * 128, dtype=torch.float32).reshape(1, 3, 128, 128)
    assert torch.equal(identity_window(crop), crop[..., 0:112, 8:120])
    assert torch.equal(fixer_window(crop), identity_window(crop)[..., 56:112, 28:84])
    assert identity_window(torch.zeros(1, 3, 256, 256)).shape == (1, 3, 112, 112)


def test_a_jittered_crop_is_the_same_face_a_little_moved() -> None:
    torch.manual_seed(0)
    pictures = torch.rand(6, 3, 4, 4).repeat_interleave(16, 2).repeat_interleave(16, 3) * 2 - 1
    assert torch.allclose(jitter(pictures, 0.0).abs().mean(), pictures.abs().mean(), atol=1e-3)
    moved = jitter(pictures)
    assert moved.shape == pictures.shape
    assert float((moved - pictures).abs().mean((1, 2, 3)).min()) > 0.02
    straight = (moved - pictures).abs().mean((1, 2, 3))
    mirrored = (moved - pictures.flip(3)).abs().mean((1, 2, 3))
    assert 0 < int((mirrored < straight).sum()) < 6
    assert float(torch.minimum(straight, mirrored).max()) < 0.3


def vanilla_samples(triplets: Path, split: str) -> Completed:
    mix = Mix(cycle=0, naive=0, real_source=0, reconstruction=0, vanilla=1)
    return Completed(triplets, split, mix=mix, augmentation=NONE)


@pytest.fixture(scope="module")
def mesh_reader() -> MeshReader:
    return MeshReader(MeshNet.from_pretrained(bundled("landmarks")).float())


def test_a_mesh_is_read_with_eyes_and_mouth_as_open_as_they_are(
    triplets: Path, mesh_reader: MeshReader
) -> None:
    sample = vanilla_samples(triplets, "validation")[0]
    with torch.no_grad():
        mesh = mesh_reader(sample["target"][None])
    known = sample["mesh"] / (sample["mesh"][33] - sample["mesh"][263]).norm()
    # The known mesh was found in the photo itself, at a higher resolution than these 64 px.
    assert torch.allclose(openings(mesh), openings(known[None]), atol=0.06)


def test_crops_for_the_mesh_are_exact_under_autocast(triplets: Path, mesh_reader: MeshReader) -> None:
    samples = vanilla_samples(triplets, "train")
    pictures = torch.stack([samples[i]["target"] for i in range(2)])
    with torch.no_grad():
        exact = mesh_reader.crops(pictures)
        with torch.autocast("cpu", torch.bfloat16):
            crops = mesh_reader.crops(pictures)
            mesh = mesh_reader.landmarks(crops)[0]
    assert torch.equal(crops, exact)
    # The convolutions are rounded, but the points are not multiples of half a pixel.
    assert mesh.dtype == torch.float32
    assert not torch.equal(mesh, mesh.bfloat16().float())
