"""The person engine's steps: the decoder's face in the photo, with the target's light."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain

import numpy as np
import pytest
import torch
from support.triplet_people import photo
from torch import nn

from reliableswap.faces.glasses import NONE
from reliableswap.faces.visibility import Covers
from reliableswap.geometry import regions
from reliableswap.models import CombAutoencoder
from reliableswap.runtime.torch_arrays import TorchArrayNetwork
from reliableswap.swap.engines import engine_of, run, stages_of, steps_of
from reliableswap.swap.job import FaceJob
from reliableswap.swap.networks import Networks
from reliableswap.swap.person import Person
from reliableswap.swap.settings import SwapSettings
from reliableswap.swap.steps.merge import blend, extended, merge
from reliableswap.swap.steps.rebuild import rebuild
from reliableswap.swap.steps.reshape import reshape
from reliableswap.swap.subject import Subject

STEPS = (reshape, rebuild, merge)
Drawn = Callable[[torch.Tensor], torch.Tensor]


class Painter(nn.Module):
    """Stand-in for a CombAutoencoder of 64 px; its decoder is a function that the test gives."""

    def __init__(self, draw: Drawn) -> None:
        super().__init__()
        self.draw, self.config, self.asked = draw, {"template": "arcface_128"}, []
        self.first = nn.Linear(1, 1)

    def side_of(self, person: str) -> int:
        return 64

    def forward(self, pictures: torch.Tensor, person: str) -> torch.Tensor:
        self.asked.append((tuple(pictures.shape), person))
        return self.draw(pictures)


def job_of(draw: Drawn, *, settings: SwapSettings | None = None, target: np.ndarray | None = None) -> FaceJob:
    picture, mesh = photo(1)
    network = Painter(draw)
    networks = Networks(people=TorchArrayNetwork(network))
    subject = Subject.of_crop(picture if target is None else target, mesh, networks)
    person = Person("alice", (subject,), decoder="alice")
    settings = settings or SwapSettings(shape=0, detail=0)
    return FaceJob.start(subject, person, settings, networks)


def stripes(pictures: torch.Tensor) -> torch.Tensor:
    return torch.sin(torch.arange(64.0)).expand(1, 3, 64, 64) * 0.6


def test_the_decoder_sees_the_target_and_is_asked_for_by_name() -> None:
    job = run((reshape, rebuild), job_of(lambda pictures: pictures))
    network = job.networks.people.network
    assert network.asked == [((1, 3, 64, 64), "alice")]
    assert job.layer("rebuilt").shape == (64, 64, 3)


def test_the_target_itself_comes_back_nearly_unchanged() -> None:
    job = run(STEPS, job_of(lambda pictures: pictures))
    change = np.abs(job.image.astype(int) - job.target.pixels)
    assert change.mean() < 2
    changed = run(STEPS, job_of(stripes))
    assert np.abs(changed.image.astype(int) - job.target.pixels).mean() > 5


def test_only_the_face_changes_and_the_mask_says_where() -> None:
    job = run(STEPS, job_of(stripes))
    differs = (job.image != job.target.pixels).any(2)
    assert not (differs & (job.mask == 0)).any()
    near = regions.dilated(regions.oval(job.target.mesh, job.target.shape), 0.1 * job.width) > 0
    assert differs[near].any()
    assert not differs[~near].any()


@pytest.mark.parametrize("shade", [-0.5, 0.4])
def test_light_and_tone_stay_the_targets(shade: float) -> None:
    """Whatever the decoder's own light is, the face as a whole is as bright as before."""
    job = run(
        STEPS, job_of(lambda pictures: (0.5 * pictures + shade) * torch.tensor([1.0, 0.8, 0.6]).view(3, 1, 1))
    )
    inside = regions.eroded(regions.oval(job.target.mesh, job.target.shape), 0.1 * job.width) > 0
    before, after = (one[inside].mean(0) for one in (job.target.pixels.astype(float), job.image))
    assert np.abs(before - after).max() < 4


def test_another_tone_leaves_no_ring() -> None:
    """The decoder draws another skin tone, which neither the face nor its rim takes on."""
    job = run(
        STEPS, job_of(lambda pictures: torch.tensor([0.6, -0.2, -0.6]).view(1, 3, 1, 1).expand(1, 3, 64, 64))
    )
    oval = regions.oval(job.target.mesh, job.target.shape)
    tint = (job.image.astype(float) - job.target.pixels) @ [0.5, 0, -0.5]
    for near, far in ((0.03, 0.08), (0.08, 0.15)):
        rim = (regions.eroded(oval, near * job.width) > 0) & (regions.eroded(oval, far * job.width) == 0)
        assert abs(tint[rim].mean()) < 8  # the rim is a mixture with what lies beside the face


def test_unknown_pixels_are_extrapolated() -> None:
    picture = np.full((50, 40, 3), (200, 100, 50), np.float32)
    known = np.zeros((50, 40), np.float32)
    known[10:40, 10:30] = 1
    picture[known == 0] = 0
    assert np.abs(extended(picture, known) - (200, 100, 50)).max() < 2
    assert np.isfinite(extended(picture, np.zeros_like(known))).all()


def test_contrast_follows_the_brightness() -> None:
    """The same drawing is fainter on a darker target."""
    height = width = 128
    columns = np.mgrid[:height, :width][1]
    pattern = 20 * np.sin(columns)[..., None] * np.ones(3)
    over = (120 + pattern).astype(np.float32)
    made = {
        level: blend(over, np.full_like(over, level), np.ones((height, width), np.float32), 5)
        for level in (60, 120, 240)
    }
    middle = (slice(40, 88), slice(40, 88))
    spread = {level: float(picture[middle].std()) for level, picture in made.items()}
    assert spread[60] == pytest.approx(spread[120] / 2, rel=0.05)
    assert spread[240] == pytest.approx(spread[120] * 2, rel=0.05)
    assert np.abs(made[60][middle].mean() - 60) < 1


def test_an_empty_mask_returns_the_photo_bit_by_bit() -> None:
    under = np.random.default_rng(0).uniform(0, 255, (90, 70, 3)).astype(np.float32)
    over = np.zeros_like(under)
    assert np.array_equal(blend(over, under, np.zeros((90, 70), np.float32), 5), under)
    tiny = under[:8, :8]
    assert blend(over[:8, :8], tiny, np.ones((8, 8), np.float32), 5).shape == tiny.shape


def test_what_covers_the_face_stays_in_front() -> None:
    picture, mesh = photo(1)
    networks = job_of(stripes).networks
    maps = np.zeros((*picture.shape[:2], 2), np.float32)
    x, y = mesh[205, :2].astype(int)
    maps[y - 12 : y + 13, x - 12 : x + 13, 0] = 1  # hidden
    covers = Covers(maps, 1.0, np.array([-0.5, -0.5]), NONE)
    subject = Subject.of_crop(picture, mesh, networks, covers=covers)
    job = FaceJob.start(
        subject, Person("alice", (subject,), decoder="alice"), SwapSettings(shape=0, detail=0), networks
    )
    made = run(STEPS, job)
    change = np.abs(made.image.astype(int) - picture).max(2)
    assert change[y - 8 : y + 9, x - 8 : x + 9].max() == 0
    assert change[y - 8 : y + 9, x + 16 : x + 30].max() > 5


def test_likeness_scales_the_change() -> None:
    half, full = (
        run(STEPS, job_of(stripes, settings=SwapSettings(shape=0, detail=0, likeness=likeness)))
        for likeness in (0.5, 1.0)
    )
    changes = [np.abs(job.image.astype(float) - job.target.pixels).mean() for job in (half, full)]
    assert changes[0] == pytest.approx(changes[1] / 2, rel=0.15)


def test_a_trained_person_uses_the_person_engine() -> None:
    picture, mesh = photo(1)
    subject = Subject.of_crop(picture, mesh, Networks())
    trained, plain = Person("a", (subject,), decoder="a"), Person("b", (subject,))
    assert engine_of(trained, "neural") == "person"
    assert engine_of(plain, "neural") == "neural"
    assert tuple(chain(*stages_of("person", Networks()))) == steps_of("person", Networks())


def test_a_real_network_runs() -> None:
    torch.manual_seed(0)
    network = CombAutoencoder(("alice",), size=32, latent=8, base_channels=1, max_channels=8).eval()
    network.grow(16)
    job = job_of(stripes)
    networks = Networks(people=TorchArrayNetwork(network))
    job = FaceJob.start(job.target, job.person, job.settings, networks)
    made = run((reshape, rebuild), job).layer("rebuilt")
    assert made.shape == (16, 16, 3)
    assert made.min() >= 0
    assert made.max() <= 255
