"""Which frames are kept, what they weigh, and levels, losses and warps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.person_runs import Clock, person_settings

from reliableswap.evaluation.metrics import pixels
from reliableswap.geometry.topology import topology
from reliableswap.models.comb_decoder import sides
from reliableswap.training.tasks.person import levels
from reliableswap.training.tasks.person.choice import choose, expressions, weights_of
from reliableswap.training.tasks.person.estimate import format_duration, plan
from reliableswap.training.tasks.person.levels import LevelManager
from reliableswap.training.tasks.person.losses import l1_loss, psnr, ssim_loss, ssim_map
from reliableswap.training.tasks.person.sightings import Sighting, same_person
from reliableswap.training.tasks.person.warp import draw_jitter, draw_warp, resample, sampling_grid


def sighting(
    place: int, *, open_mouth: float = 0.0, sharpness: float = 0.4, covered: float = 0.0
) -> Sighting:
    """A face from the front, its mouth as open as said."""
    mesh = (100 * topology().canonical).astype(np.float32)
    mesh[topology().regions["inner_lips"], 1] += open_mouth * 20
    return Sighting(place, mesh, 150.0, sharpness, covered, (0.0, 0.0))


def test_blurred_and_covered_frames_are_left_out_and_rare_ones_kept() -> None:
    common = [sighting(i) for i in range(40)]
    common[3], common[5] = replace(common[3], covered=0.9), replace(common[5], sharpness=0.01)
    common[17] = sighting(17, open_mouth=2.0)
    chosen = choose(common, 8)
    assert len(chosen) == 8
    assert chosen == sorted(chosen)
    assert 17 in chosen
    assert not {3, 5} & set(chosen)


def test_few_frames_are_all_kept_even_if_all_are_covered() -> None:
    assert choose([sighting(i) for i in range(3)], 8) == [0, 1, 2]
    assert choose([sighting(i, covered=0.9) for i in range(3)], 8) == [0, 1, 2]


def test_seldom_expressions_weigh_more() -> None:
    seen = [sighting(i, open_mouth=0.001 * i) for i in range(30)]
    seen.append(sighting(30, open_mouth=2.0))
    weights = weights_of(seen, 0.5)
    assert weights.mean() == pytest.approx(1, abs=1e-5)
    assert weights.argmax() == 30
    assert weights[30] > 1.4
    assert np.array_equal(weights_of(seen, 0), np.ones(31, np.float32))
    assert expressions(seen).shape[0] == 31


def test_strangers_in_a_folder_are_left_out() -> None:
    person, stranger = np.eye(8)[0], np.eye(8)[1]
    vectors = np.stack([person, person + 0.3 * np.eye(8)[2], stranger, person * 3])
    assert same_person(vectors).tolist() == [True, True, False, True]


def test_levels_by_steps_fade_in(tmp_path: Path) -> None:
    manager = LevelManager(person_settings(tmp_path, level_steps=4, fade_steps=2), sides(16), 4)
    seen = [manager.at(step) for step in range(14)]
    assert [side for side, _ in seen] == [4] * 4 + [8] * 4 + [16] * 6
    assert [fade for _, fade in seen] == [1] * 4 + [0.5, 1, 1, 1] + [0.5, 1, 1, 1, 1, 1]
    assert manager.at(13) == manager.at(13)


def test_levels_by_plateau_wait_as_long_as_the_loss_falls(tmp_path: Path) -> None:
    settings = person_settings(
        tmp_path, growth="plateau", level_steps=100, fade_steps=1, plateau_window=5, plateau_gain=0.05
    )
    manager = LevelManager(settings, sides(16), 4)
    found = []
    for step in range(60):
        found.append(manager.at(step)[0])
        falling = 0.8**step if step < 30 else 0.8**30
        manager.add(torch.tensor(falling))
    first = found.index(8)
    assert 35 <= first <= 45
    assert found.index(16) - first <= 16
    assert len(set(found)) == 3


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(levels, "monotonic", found)
    return found


def sides_seen(manager: LevelManager, clock: Clock, steps: range) -> list[int]:
    """The side of each step; each takes 20 s."""
    found = []
    for step in steps:
        found.append(manager.at(step)[0])
        clock.now += 20
        manager.add(torch.tensor(1.0))
    return found


def test_levels_by_time(tmp_path: Path, clock: Clock) -> None:
    settings = person_settings(tmp_path, growth="time", level_minutes=1.5, level_steps=1, fade_steps=2)
    manager = LevelManager(settings, sides(16), 4)
    assert sides_seen(manager, clock, range(14)) == [4] * 5 + [8] * 5 + [16] * 4
    assert manager.at(11) == (16, 1.0)


@pytest.mark.parametrize("stop", [1, 4, 5, 7])
def test_a_level_by_time_goes_on_where_it_was_saved(stop: int, tmp_path: Path, clock: Clock) -> None:
    """Also where it was over before the next level had begun, and whatever has passed between the two starts."""
    settings = person_settings(tmp_path, growth="time", level_minutes=1.5)
    begun = LevelManager(settings, sides(16), 4)
    seen = sides_seen(begun, clock, range(stop))
    saved = {name: value.clone() for name, value in begun.state_dict().items()}
    clock.now += 5000
    resumed = LevelManager(settings, sides(16), 4)
    resumed.load_state_dict(saved)
    assert seen + sides_seen(resumed, clock, range(stop, 14)) == [4] * 5 + [8] * 5 + [16] * 4


def test_a_checkpoint_holds_the_time_since_the_last_batch(tmp_path: Path, clock: Clock) -> None:
    """As of a validation."""
    manager = LevelManager(person_settings(tmp_path, growth="time", level_minutes=1.5), sides(16), 4)
    sides_seen(manager, clock, range(2))
    clock.now += 45
    assert float(manager.state_dict()["seconds"]) == 85


def test_the_plan_of_a_run(tmp_path: Path) -> None:
    def planned(size: int, first: int, **more: object) -> list[tuple[int, int, int]]:
        settings = person_settings(tmp_path, **{"level_steps": 10, "max_train_steps": 25, **more})
        found = plan(sides(size), first, settings, lambda side, before: (side / 4, True))
        return [(one.side, one.first, one.end) for one in found]

    assert planned(16, 4) == [(4, 0, 10), (8, 10, 20), (16, 20, 25)]
    assert planned(32, 8) == [(8, 0, 10), (16, 10, 20), (32, 20, 25)]
    assert planned(64, 4)[-1] == (16, 20, 25)
    assert planned(16, 4, growth="time", level_minutes=0.2) == [(4, 0, 12), (8, 12, 18), (16, 18, 25)]
    assert [format_duration(s) for s in (42, 600, 9000, 5e5)] == ["42 s", "10 min", "2.5 h", "5.8 days"]


def test_ssim_is_that_of_the_evaluation(rng: np.random.Generator) -> None:
    one, other = (rng.integers(0, 256, (40, 40)).astype(np.uint8) for _ in range(2))
    other = (0.5 * one + 0.5 * other).astype(np.uint8)
    ours = ssim_map(*(torch.from_numpy(p)[None, None].float() / 255 for p in (one, other)))[0, 0].numpy()
    theirs = pixels.ssim_map(*(np.repeat(p[..., None], 3, 2) for p in (one, other)))
    assert np.abs(ours - theirs)[8:-8, 8:-8].max() < 0.02


@pytest.mark.parametrize("side", [4, 8, 16, 32])
def test_losses_are_zero_for_the_truth_and_blind_beside_the_mask(side: int) -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(2, 3, side, side, generator=generator) * 2 - 1
    mask = torch.zeros(2, 1, side, side)
    mask[..., : side // 2] = 1
    beside = truth.clone()
    beside[..., side // 2 :] = 0
    for loss in (ssim_loss, l1_loss):
        assert loss(beside, truth, mask).abs().max() < 1e-5
        assert loss(-truth, truth, mask).min() > 0.05
        assert torch.isfinite(loss(-truth, truth, torch.zeros_like(mask))).all()
    assert psnr(beside, truth, mask).min() > 60
    assert psnr(truth + 0.2, truth.clamp(-0.8, 0.8), mask).max() < 30


def test_warps_move_the_picture_a_little() -> None:
    torch.manual_seed(0)
    ramp = torch.linspace(-1, 1, 32).expand(1, 3, 32, 32)
    still = sampling_grid(draw_jitter(1, 0.0), 32)
    assert torch.allclose(resample(ramp, still), ramp, atol=1e-5)
    assert torch.allclose(
        resample(ramp, sampling_grid(torch.eye(2, 3)[None], 8)),
        torch.nn.functional.avg_pool2d(ramp, 4),
        atol=1e-5,
    )
    warped = resample(ramp, sampling_grid(torch.eye(2, 3)[None], 32, draw_warp(1, 0.04)))
    apart = (warped - ramp).abs()
    assert 0.01 < apart.mean() < 0.2
    turned = resample(ramp, sampling_grid(draw_jitter(1, 1.0), 32))
    assert not torch.allclose(turned, ramp, atol=1e-3)
