"""Glasses: painted on faces that wear none, told from them by a network, and found where the pipeline looks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.blend_faces import MESHES, OTHER, WOMAN, face, painted_glasses
from torch.utils.data import default_collate

from reliableswap.bundled import bundled
from reliableswap.data.augment import flipped
from reliableswap.data.triplet_dataset import Sample, TripletDataset
from reliableswap.errors import ReliableSwapError
from reliableswap.faces import glasses
from reliableswap.faces.glasses import bundled_glasses
from reliableswap.faces.visibility import find_covers, find_glasses
from reliableswap.geometry import regions
from reliableswap.geometry.raster import rasterise
from reliableswap.imaging.painted_glasses import before_head, onto, paint_glasses, shape
from reliableswap.models import GlassesNet, load_network
from reliableswap.swap.guidance import carried_glasses
from reliableswap.training.tasks.faces.glasses import GlassesSettings, GlassesTask, PaintedFaces, run
from reliableswap.triplets.surrogates import AlignedFace


def settings_for(triplets: Path | str, **values: object) -> GlassesSettings:
    return GlassesSettings(
        **{
            "triplets": str(triplets),
            "train_batch_size": 4,
            "dataloader_num_workers": 0,
            "mixed_precision": "no",
            **values,
        }
    )


def test_painted_glasses_lie_around_the_eyes_and_change_nothing_below(rng: np.random.Generator) -> None:
    for name in (WOMAN, OTHER):
        picture, mesh = face(name)
        before = picture.copy()
        for _ in range(8):
            out, worn = paint_glasses(picture, mesh, rng)
            assert out.shape == picture.shape
            assert out.dtype == np.uint8
            assert 0 < worn.max() <= 1
            sure = worn > 0.8
            assert np.abs(out.astype(int) - picture)[sure].mean() > 12
            y, _ = np.nonzero(sure)
            assert mesh[10, 1] < y.min()
            assert y.max() < mesh[2, 1]
            below = slice(int(mesh[0, 1]), None)
            assert np.abs(out[below].astype(int) - picture[below]).mean() < 1
        assert np.array_equal(picture, before)


def test_painted_glasses_turn_with_the_head() -> None:
    straight = np.array(MESHES[WOMAN])
    angle = np.radians(30)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    middle = straight.mean(0)
    turned = (straight - middle) @ turn.T + middle
    bridge = np.array([[0.0, 0.0, -0.4, 1.0]])
    moved = (bridge @ onto(turned))[0] - middle
    assert moved == pytest.approx(turn @ ((bridge @ onto(straight))[0] - middle), abs=1e-3)


def test_a_temple_ends_where_the_head_hides_it() -> None:
    mesh = np.array(MESHES[WOMAN], np.float32)
    middle = mesh.mean(0)
    angle = np.radians(40)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    turned = ((mesh - middle) @ turn.T + middle).astype(np.float32)
    turned[:, :2] += 40 - turned[:, :2].min(0)
    shape_hw = tuple(np.ceil(turned[:, 1::-1].max(0) + 40).astype(int).tolist())
    depth = rasterise(turned, shape_hw).picture(turned[:, 2:], outside=np.inf)[..., 0]
    place, slack = onto(turned), 0.03 * float(np.linalg.norm(turned[263] - turned[33]))
    # The side that is nearer is seen whole, the other one hardly at all.
    near, far = (33, 263) if turned[33, 2] < turned[263, 2] else (263, 33)
    sign = {33: 0, 263: 1}
    for seed in range(6):
        temples = shape(np.random.default_rng(seed)).temples
        left = [len(before_head(temple, place, depth, slack)) for temple in temples]
        assert left[sign[near]] == len(temples[0])
        assert left[sign[far]] < 0.5 * len(temples[0])


def test_every_photo_comes_whatever_folders_and_workers_there_are(triplets: Path) -> None:
    both = settings_for(f"{triplets}, {triplets}", dataloader_num_workers=2)
    faces = PaintedFaces(both, "train")
    assert len(faces.photos) == 2
    assert all(photos.lanes == 2 for photos in faces.photos)
    read: list[set[int]] = [set(), set()]
    for number, photos in enumerate(faces.photos):
        place = photos.place

        def noted(i: int, number: int = number, place: Any = place) -> Any:
            read[number].add(place(i)[0])
            return place(i)

        photos.place = noted  # type: ignore[method-assign]
    for i in range(0, 400, 2):
        faces[i]
    filled = {s for s, count in enumerate(faces.photos[0].counts) if count}
    assert read == [filled, filled]


def test_a_sample_follows_from_the_seed_and_its_number(triplets: Path) -> None:
    one, same = (PaintedFaces(settings_for(triplets), "train") for _ in range(2))
    other = PaintedFaces(settings_for(triplets, seed=1), "train")
    bare = PaintedFaces(settings_for(triplets, painted_share=0.0), "train")
    for i in range(6):
        assert all(torch.equal(one[i][name], same[i][name]) for name in one[i])
        assert one[i]["picture"].shape == (64, 128, 3)
        assert set(one[i]["worn"].unique().tolist()) <= {0.0, 1.0}
        assert not bare[i]["worn"].any()
    assert any(not torch.equal(one[i]["picture"], other[i]["picture"]) for i in range(6))
    assert sum(bool(one[i]["worn"].any()) for i in range(12)) >= 8


def test_losses_move_the_network_but_not_by_faces_that_wear_some(triplets: Path) -> None:
    torch.manual_seed(0)
    task, network = GlassesTask(settings_for(triplets)), GlassesNet(channels=(4, 8))
    batch = default_collate([task.dataset[i] for i in range(4)])
    batch["counts"] = torch.ones(4)
    for name, loss in task.losses(network, batch).items():
        grads = torch.autograd.grad(loss, list(network.parameters()), retain_graph=True)
        assert 0 < sum(float(g.abs().sum()) for g in grads) < float("inf"), name
    network.eval()
    batch["counts"][1] = 0
    changed = {**batch, "worn": batch["worn"].clone()}
    changed["worn"][1] = 1 - changed["worn"][1]
    ours, theirs = task.losses(network, batch), task.losses(network, changed)
    assert all(float(ours[name].detach()) == float(theirs[name].detach()) for name in ours)


def test_a_training_ends_in_a_network_that_loads(triplets: Path, tmp_path: Path) -> None:
    settings = settings_for(
        triplets, output_dir=tmp_path / "run", max_train_steps=2, validation_steps=2, validation_pictures=6
    )
    figures = run(settings)
    assert {"overlap", "found", "right", "false"} <= set(figures)
    assert isinstance(load_network(tmp_path / "run"), GlassesNet)
    assert "all glasses are painted" in (tmp_path / "run" / "README.md").read_text()
    with pytest.raises(ReliableSwapError, match="--triplets names no folder"):
        PaintedFaces(GlassesSettings(triplets=" , "), "train")


def test_the_bundled_network_finds_whole_frames(rng: np.random.Generator) -> None:
    network = load_network(bundled("glasses"))
    assert isinstance(network, GlassesNet)
    for name in (WOMAN, OTHER):
        picture, mesh = face(name)
        worn = painted_glasses(picture, mesh)
        frames = np.abs(worn.astype(int) - picture).max(2) > 40
        odds = glasses.find(worn, mesh, network).on(picture.shape[:2])
        assert odds[frames].mean() > 0.85
        assert glasses.find(picture, mesh, network).on(picture.shape[:2]).mean() < 0.1 * odds.mean()
        # Its mirror image wears them mirrored.
        mirror = flipped(AlignedFace(worn, mesh))
        other = glasses.find(mirror.crop, mirror.mesh, network).on(picture.shape[:2])
        assert np.abs(other[:, ::-1] - odds).mean() < 0.003


def test_glasses_are_carried_where_the_loss_looks_and_only_for_kinds_whose_source_says_who(
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
    size = TripletDataset(made).size
    (bare, bare_mesh), (plain, plain_mesh) = face(OTHER, size), face(WOMAN, size)
    target = AlignedFace(bare, bare_mesh)
    source = AlignedFace(painted_glasses(plain, plain_mesh), plain_mesh)
    dataset = TripletDataset(made)
    seen = {}
    for kind in ("vanilla", "naive", "cycle", "reconstruction"):
        truth = None if kind == "vanilla" else target
        seen[kind] = float(dataset._tensors(Sample(kind, target, source, truth))["glasses"][3].mean())
    assert seen["vanilla"] == seen["naive"] > 0.01
    assert seen["cycle"] == seen["reconstruction"] == 0
    swapped = dataset._tensors(Sample("cycle", source, target, source))["glasses"]
    assert float(swapped[3].mean()) > 0.01
    assert torch.equal(swapped[:3], dataset._tensors(Sample("cycle", source, target, source))["target"])


def test_what_hides_a_face_knows_its_glasses_at_any_size() -> None:
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
    assert not find_covers(picture, mesh, bundled_glasses()).glasses.odds.any()
