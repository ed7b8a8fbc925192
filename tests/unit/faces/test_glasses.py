"""Finding glasses with the network, and carrying them to where the losses and the pipeline need them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from support.blend_faces import OTHER, WOMAN, face, painted_glasses
from support.completed import completed

from reliableswap.data.aligned import AlignedFace
from reliableswap.data.augment import flipped
from reliableswap.data.samples import Sample, sample_tensors
from reliableswap.faces import glasses
from reliableswap.faces.glasses import bundled_glasses
from reliableswap.faces.visibility import find_covers, find_glasses
from reliableswap.geometry import regions
from reliableswap.swap.guidance import carried_glasses


def test_the_bundled_network_finds_whole_frames(rng: np.random.Generator) -> None:
    network = bundled_glasses()
    for name in (WOMAN, OTHER):
        picture, mesh = face(name)
        worn = painted_glasses(picture, mesh)
        frames = np.abs(worn.astype(int) - picture).max(2) > 40
        found = glasses.find(worn, mesh, network).on(picture.shape[:2])
        assert found[frames].mean() > 0.85
        assert glasses.find(picture, mesh, network).on(picture.shape[:2]).mean() < 0.1 * found.mean()
        # Its mirror image wears them mirrored.
        mirror = flipped(AlignedFace(worn, mesh))
        other = glasses.find(mirror.crop, mirror.mesh, network).on(picture.shape[:2])
        assert np.abs(other[:, ::-1] - found).mean() < 0.003


def test_carried_glasses_are_averaged_when_reduced() -> None:
    picture, mesh = face(WOMAN, 640)
    worn = painted_glasses(picture, mesh)
    small, over = carried_glasses(worn, mesh, (mesh + 0.5) / 8 - 0.5, (80, 80), bundled_glasses())
    there = over > 0.5
    assert there.sum() > 20
    averaged = cv2.resize(worn, (80, 80), interpolation=cv2.INTER_AREA)
    assert np.abs(small[there].astype(int) - averaged[there]).mean() < 10


def test_glasses_are_carried_to_the_target_only_for_kinds_that_compare_with_the_source(
    made: Path,
) -> None:
    picture, mesh = face(WOMAN, 160)
    worn = painted_glasses(picture, mesh)
    carried, over = carried_glasses(worn, mesh, mesh, picture.shape[:2], bundled_glasses())
    inside = (regions.oval(mesh, picture.shape[:2]) > 0) & carried.any(2)
    assert inside.sum() > 0.95 * (regions.oval(mesh, picture.shape[:2]) > 0).sum()
    assert np.abs(carried[inside].astype(int) - worn[inside]).mean() < 1
    assert np.abs(over[inside] - find_glasses(worn, mesh, bundled_glasses())[inside]).mean() < 0.01
    assert not carried_glasses(picture, mesh, mesh, picture.shape[:2], bundled_glasses())[1].any()
    (bare, bare_mesh), (plain, plain_mesh) = face(OTHER, 96), face(WOMAN, 96)
    target = AlignedFace(bare, bare_mesh)
    source = AlignedFace(painted_glasses(plain, plain_mesh), plain_mesh)
    seen = {}
    for kind in ("vanilla", "naive", "cycle", "reconstruction"):
        truth = None if kind == "vanilla" else target
        seen[kind] = float(
            completed(sample_tensors(Sample(kind, target, source, truth)))["glasses"][3].mean()
        )
    assert seen["vanilla"] == seen["naive"] > 0.01
    assert seen["cycle"] == seen["reconstruction"] == 0
    swapped = completed(sample_tensors(Sample("cycle", source, target, source)))
    assert float(swapped["glasses"][3].mean()) > 0.01
    assert torch.equal(swapped["glasses"][:3], swapped["target"])


def test_covers_include_glasses_at_any_size() -> None:
    picture, mesh = face(WOMAN)
    worn = painted_glasses(picture, mesh)
    shape = picture.shape[:2]
    frames = (np.abs(worn.astype(int) - picture).max(2) > 40) & (regions.oval(mesh, shape) > 0)
    small = find_covers(worn, mesh, bundled_glasses())
    assert small.on(shape)[0][frames].mean() > 0.7
    large = np.repeat(np.repeat(worn, 3, 0), 3, 1)
    grown = np.column_stack([(mesh[:, :2] + 0.5) * 3 - 0.5, mesh[:, 2] * 3]).astype(np.float32)
    found = find_glasses(large, grown, bundled_glasses())[1::3, 1::3]
    assert np.abs(found - find_glasses(worn, mesh, bundled_glasses())).mean() < 0.002
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    positions = np.dstack([x, y])
    assert np.abs(small.glasses.at(positions) - small.glasses.on(shape)).max() < 0.05
    assert not find_covers(picture, mesh, bundled_glasses()).glasses.mask.any()
