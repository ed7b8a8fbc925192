"""Apparent age, on people who do not exist. No picture of a child is used: the rule is tried with numbers."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.people import portrait

from reliableswap import ReliableSwapPipeline
from reliableswap.bundled import WEIGHTS
from reliableswap.models import FixerNet, IdentityEncoder
from reliableswap.runtime.torch_arrays import TorchArrayNetwork
from reliableswap.safety import age
from reliableswap.safety.age import CLEARLY_ADULT, AgeEstimate, age_nets
from reliableswap.swap.networks import Networks
from reliableswap.swap.subject import Subject


def subject(pipe: ReliableSwapPipeline, number: int, picture: str = "studio_portrait") -> Subject:
    pixels = portrait(number, 400, picture)
    return Subject.around(pixels, pipe.find(pixels)[0], "photo", pipe.networks())


@pytest.mark.parametrize(
    ("probe", "years", "refused"),
    [
        (30.0, None, False),  # the probe alone finds an adult
        (18.0, 30.0, False),
        (17.0, 30.0, False),  # the second network settles the probe's doubt
        (17.0, 24.0, True),  # both doubt
        (16.0, 40.0, True),  # the probe is sure
        (5.0, 40.0, True),
        (20.0, 20.0, True),  # the second network is sure
        (5.0, 5.0, True),
        (math.nan, None, True),
        (math.nan, 40.0, True),
        (30.0, math.nan, True),
    ],
)
def test_the_rule(probe: float, years: float | None, refused: bool) -> None:
    assert AgeEstimate(probe, years).may_be_minor is refused


def test_a_clear_adult_costs_the_second_network_nothing(pipe: ReliableSwapPipeline) -> None:
    estimate = age_nets().estimate(subject(pipe, 2))
    assert estimate.probe >= CLEARLY_ADULT
    assert estimate.years is None


def test_in_doubt_both_networks_are_asked(pipe: ReliableSwapPipeline) -> None:
    estimate = age_nets().estimate(subject(pipe, 6, "amateur_selfie"))
    assert estimate.probe < CLEARLY_ADULT
    assert estimate.years is not None
    assert 18 < estimate.years < 60


def test_a_brief_estimate_is_close_and_needs_fewer_runs(
    pipe: ReliableSwapPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, nets, crops = subject(pipe, 6, "amateur_selfie"), age_nets(), list[int]()
    embed = nets._embed
    monkeypatch.setattr(
        nets, "_embed", lambda views, probe: (crops.append(len(views)), embed(views, probe))[1]
    )
    whole, brief = nets.estimate(one), nets.estimate(one, brief=True)
    assert crops == [3, 1]
    assert brief != whole
    assert brief.probe == pytest.approx(whole.probe, abs=1.0)
    assert brief.years == pytest.approx(whole.years, abs=2.0)


def test_a_mirrored_photo_gets_nearly_the_same_estimate(pipe: ReliableSwapPipeline) -> None:
    pixels = portrait(6, 400, "amateur_selfie")
    both = [
        age_nets().estimate(Subject.around(one, pipe.find(one)[0], "photo", pipe.networks()))
        for one in (pixels, np.ascontiguousarray(pixels[:, ::-1]))
    ]
    assert both[0].probe == pytest.approx(both[1].probe, abs=1.0)
    assert both[0].years == pytest.approx(both[1].years, abs=2.0)


def test_a_pipeline_with_other_encoders_is_judged_by_the_bundled_ones(pipe: ReliableSwapPipeline) -> None:
    torch.manual_seed(0)
    identity, fixer = IdentityEncoder(embedding_size=128, name="other"), FixerNet(embedding_size=128)
    other = Networks(identity=TorchArrayNetwork(identity.eval()), fixer=TorchArrayNetwork(fixer.eval()))
    own = subject(pipe, 2)
    expected = age_nets().estimate(own).probe
    for networks in (other, Networks(), replace(other, fixer=None)):
        estimate = age_nets().estimate(replace(own, networks=networks))
        assert estimate.probe == pytest.approx(expected, abs=0.01)


def test_changed_weights_are_noticed(pipe: ReliableSwapPipeline) -> None:
    identity = IdentityEncoder.from_pretrained(WEIGHTS / "identity")
    networks = replace(pipe.networks(), identity=TorchArrayNetwork(identity))
    own = subject(pipe, 2)
    expected = age_nets().estimate(own).probe
    assert age_nets().estimate(replace(own, networks=networks)).probe == pytest.approx(expected, abs=0.01)
    with torch.no_grad():
        next(identity.parameters()).mul_(-1)
    assert age_nets().estimate(replace(own, networks=networks)).probe == pytest.approx(expected, abs=0.01)


def test_the_files_of_others_state_their_licences() -> None:
    card = (WEIGHTS / "age" / "README.md").read_text()
    assert "Apache License 2.0" in card
    assert (Path(age.__file__).parent / "minor_probe.json").is_file()
