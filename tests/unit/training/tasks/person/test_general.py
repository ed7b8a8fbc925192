"""The network that people's own networks start from: short trainings of it, and what starts from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.person_runs import SIDE, TINY, drawn_frames, person_settings
from support.toy_training import same_run

from reliableswap.data.crops import CROP, Crops, Shown
from reliableswap.data.mapped import MappedRows
from reliableswap.errors import ReliableSwapError
from reliableswap.models import CombAutoencoder, GeneralAutoencoder, PerceptualFeatures
from reliableswap.training.core.trainer import train
from reliableswap.training.tasks.person import build, general
from reliableswap.training.tasks.person.frames import Frames
from reliableswap.training.tasks.person.general import GeneralSettings, GeneralTask, mean_face

LIGHT = {**TINY, "blocks": "light"}


@pytest.fixture
def crops(tmp_path: Path) -> Crops:
    """Two photos of one person, one of another, and two of people who are held out."""
    pixels = np.random.default_rng(0).integers(0, 256, (5, CROP, CROP, 3), np.uint8)
    np.save(tmp_path / "pixels.npy", pixels)
    shown = [Shown(name, name in "ab", name == "b") for name in "aabcd"]
    place = np.column_stack([np.zeros(5, np.int64), np.arange(5)])
    return Crops(tmp_path, shown, np.ones(5, bool), MappedRows([tmp_path / "pixels.npy"], place), "drawn")


def task_of(crops: Crops, output: Path, **more: Any) -> GeneralTask:
    values: dict[str, Any] = {
        **LIGHT, "train_batch_size": 4, "max_train_steps": 4, "lr_warmup_steps": 0, "lr_scheduler": "constant",
        "logging_steps": 1, "report_to": "none", "mixed_precision": "no", "dataloader_num_workers": 0,
        "validation_steps": 2, "checkpointing_steps": 100, "validation_photos": 2,
    }  # fmt: skip
    vectors = np.eye(5, 128, dtype=np.float32)
    return GeneralTask(GeneralSettings(output_dir=output, **{**values, **more}), crops, vectors)


def network() -> GeneralAutoencoder:
    torch.manual_seed(0)
    found = GeneralAutoencoder(**LIGHT)
    found.grow(SIDE)
    return found


def prepared(task: GeneralTask, count: int) -> dict[str, torch.Tensor]:
    """The first samples as a batch."""
    task.start(0, torch.device("cpu"))
    return task.prepare(torch.utils.data.default_collate([task.dataset[i] for i in range(count)]))


def test_a_sample_is_told_who_by_any_photo_of_the_person(crops: Crops, tmp_path: Path) -> None:
    task = task_of(crops, tmp_path / "run")
    batch = prepared(task, 60)
    told = batch["v_id"].argmax(1)
    assert set(told.tolist()) == {0, 1, 2}  # nobody held out
    own = crops.pixels[2]
    assert batch["picture"].shape == (60, SIDE, SIDE, 3)
    of_b = [one.numpy() for one in batch["picture"][told == 2]]
    assert len({picture.tobytes() for picture in of_b}) == 2  # and mirrored
    assert abs(np.mean(of_b) - own.mean()) < 1


def test_photos_that_are_too_many_to_be_held_give_the_same(
    crops: Crops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    held = prepared(task_of(crops, tmp_path / "run"), 6)
    monkeypatch.setattr(general, "MAX_BYTES", 100)
    torch.manual_seed(0)
    read = prepared(task_of(crops, tmp_path / "run"), 6)
    assert held.keys() == read.keys() == {"picture", "v_id", "jitter", "warp"}
    assert all(torch.equal(held[name], read[name]) for name in held)


def test_the_mean_face_is_where_templates_have_it() -> None:
    face = mean_face(64)
    assert face[36, 32] == pytest.approx(1)
    assert face[0, 0] == face[63, 0] == 0
    assert 0.3 < face.mean() < 0.7


def test_it_learns_and_goes_on_where_it_stopped(crops: Crops, tmp_path: Path) -> None:
    def run(name: str, **more: Any) -> None:
        task = task_of(crops, tmp_path / name, **more)
        figures = train(network(), task, task.settings)
        assert figures.keys() == {"psnr", "ssim", "psnr_strange"}

    run("whole")
    run("halves", max_train_steps=2)
    run("halves", resume_from_checkpoint="latest")
    assert same_run(tmp_path / "whole", tmp_path / "halves")
    assert "5 of 5 photos show a face" in (tmp_path / "whole" / "README.md").read_text()


def test_losses_fall_on_what_is_seen_often(crops: Crops, tmp_path: Path) -> None:
    task, general = task_of(crops, tmp_path / "run", warp=0.0, jitter=0.0, noise=0.0), network().train()
    optimizer = torch.optim.Adam(general.parameters(), 3e-3)
    batch = prepared(task, 4)
    sums = []
    for _ in range(30):
        losses = task.losses(general, batch)
        assert losses.keys() == {"l1", "ssim"}
        total = sum(losses.values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        sums.append(float(total.detach()))
    assert sums[-1] < 0.8 * sums[0]


@pytest.fixture
def bundled_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GeneralAutoencoder:
    """A small network in the place of the bundled one, and vectors by the portraits' brightness."""
    start = network()
    torch.nn.init.normal_(start.decoder.to_rgb[str(SIDE)].conv.weight)
    start.half().save_pretrained(tmp_path / build.BUNDLED_NAME)
    monkeypatch.setattr(build, "WEIGHTS", tmp_path)
    monkeypatch.setattr(build, "bundled", tmp_path.joinpath)

    class Told:
        def __init__(self, folder: object) -> None: ...

        def __call__(self, pictures: list[np.ndarray]) -> np.ndarray:
            return np.stack([np.eye(128, dtype=np.float32)[int(one.mean()) % 128] for one in pictures])

    monkeypatch.setattr(build, "FolderEncoder", Told)
    return start.float()


def frames(tmp_path: Path) -> list[Frames]:
    return [drawn_frames(name, tmp_path / name, seed=seed) for seed, name in enumerate(("alice", "bob"))]


def test_people_start_as_the_general_decoder_draws_them(
    bundled_start: GeneralAutoencoder, tmp_path: Path
) -> None:
    people = frames(tmp_path)
    settings = person_settings(tmp_path / "run", **LIGHT, initial="auto")
    started, first = build.build_network(settings, people)
    assert first == SIDE
    assert started.people == started.trained == ["alice", "bob"]
    seen = torch.rand(2, 3, SIDE, SIDE) * 2 - 1
    for one in people:
        who = torch.eye(128)[int(one.portrait.mean()) % 128]
        wanted = bundled_start.eval()(seen, who.expand(2, -1))
        assert torch.allclose(started.eval()(seen, one.person), wanted, atol=1e-2)
    assert not torch.allclose(started(seen, "alice"), started(seen, "bob"), atol=1e-2)


@pytest.mark.usefixtures("bundled_start")
def test_larger_faces_begin_with_its_levels(tmp_path: Path) -> None:
    settings = person_settings(tmp_path / "run", **{**LIGHT, "size": 32}, initial="bundled", first_size=None)
    started, first = build.build_network(settings, frames(tmp_path))
    assert first == SIDE
    assert started.encoder.sides == (8, 16, 32)


@pytest.mark.usefixtures("bundled_start")
def test_other_widths_start_from_nothing_unless_it_was_asked_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    people, wider = frames(tmp_path), {**LIGHT, "latent": 9}
    started, _ = build.build_network(person_settings(tmp_path / "run", **wider, initial="auto"), people)
    assert isinstance(started, CombAutoencoder)
    assert "starts from scratch: the bundled network has latent 8" in caplog.text
    with pytest.raises(ReliableSwapError, match="bundled has latent 8; use the same"):
        build.build_network(person_settings(tmp_path / "run", **wider, initial="bundled"), people)
    frozen = person_settings(tmp_path / "run", **wider, initial="auto", train_encoder=False)
    with pytest.raises(ReliableSwapError, match="needs --initial"):
        build.build_network(frozen, people)
    caplog.clear()
    none, first = build.build_network(person_settings(tmp_path / "run", **LIGHT, initial="none"), people)
    assert first == SIDE
    assert not caplog.text
    drawn = none(torch.rand(1, 3, SIDE, SIDE), "alice")
    assert torch.allclose(drawn.mean((0, 2, 3)), torch.from_numpy(people[0].colour), atol=0.1)


def test_without_a_bundled_network_people_start_from_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(build, "WEIGHTS", tmp_path)
    caplog.set_level("INFO")
    assert build.initial_network(person_settings(tmp_path / "run", **LIGHT, initial="auto")) is None
    assert "no network of everybody is bundled" in caplog.text


def test_another_network_is_no_start(tmp_path: Path) -> None:
    PerceptualFeatures().save_pretrained(tmp_path / "other")
    settings = person_settings(tmp_path / "run", initial=str(tmp_path / "other"))
    with pytest.raises(ReliableSwapError, match="holds a PerceptualFeatures"):
        build.initial_network(settings)
