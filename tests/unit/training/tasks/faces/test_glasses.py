"""Training GlassesNet on painted glasses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.utils.data import default_collate

from reliableswap.errors import ReliableSwapError
from reliableswap.models import GlassesNet, load_network
from reliableswap.training.tasks.faces.glasses import GlassesSettings, GlassesTask, PaintedFaces, run


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


def painted_faces(settings: GlassesSettings) -> PaintedFaces:
    return PaintedFaces(settings, "train", settings.folders)


def test_every_row_of_every_folder_comes_once_per_epoch(triplets: Path) -> None:
    settings = settings_for(f"{triplets}, {triplets}", dataloader_num_workers=2, train_batch_size=2)
    faces = painted_faces(settings)
    read: list[list[tuple[int, int]]] = [[], []]
    for i in range(400):
        dataset, number = faces.triplets.locate(i)
        read[faces.triplets.datasets.index(dataset)].append(dataset.place(number))
    for dataset, places in zip(faces.triplets.datasets, read, strict=True):
        assert dataset.lanes == 2
        rows = sum(dataset.counts)
        counts = [places.count(place) for place in set(places)]
        assert len(counts) == rows
        assert max(counts) <= min(counts) * 1.5


def test_a_sample_follows_from_the_seed_and_its_number(triplets: Path) -> None:
    one, same = (painted_faces(settings_for(triplets)) for _ in range(2))
    other = painted_faces(settings_for(triplets, seed=1))
    bare = painted_faces(settings_for(triplets, painted_share=0.0))
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
    batch["weight"] = torch.ones(4)
    for name, loss in task.losses(network, batch).items():
        grads = torch.autograd.grad(loss, list(network.parameters()), retain_graph=True)
        assert 0 < sum(float(g.abs().sum()) for g in grads) < float("inf"), name
    network.eval()
    batch["weight"][1] = 0
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
        GlassesTask(GlassesSettings(triplets=" , "))


def test_training_without_validation_is_possible_when_asked_for(triplets: Path) -> None:
    task = GlassesTask(settings_for(triplets, validation_pictures=0))
    assert task.validate(GlassesNet(channels=(4, 8))) == {}
    assert task.grid(GlassesNet(channels=(4, 8))) is None
