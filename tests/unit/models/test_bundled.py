"""The bundled networks do what their cards say, tested on people who do not exist."""

from __future__ import annotations

import itertools
import json
import logging
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.people import person

from reliableswap import ReliableSwapPipeline
from reliableswap.bundled import WEIGHTS, bundled
from reliableswap.faces.align import FIXER_WINDOW, IDENTITY_WINDOW, align
from reliableswap.geometry.measures import expression_error, pose_error
from reliableswap.models import LightGenerator
from reliableswap.runtime.torch_arrays import TorchArrayNetwork
from reliableswap.swap.job import FaceJob
from reliableswap.swap.networks import embed
from reliableswap.swap.settings import SwapSettings
from reliableswap.swap.steps.mix import mix
from reliableswap.swap.steps.reshape import reshape
from reliableswap.swap.subject import Subject

PEOPLE = range(1, 9)
PAIRS = [(1, 2), (3, 4), (5, 6), (7, 8)]  # source, target


def photo(number: int, picture: str = "studio_portrait", side: int = 320) -> np.ndarray:
    image = Image.open(person(number, picture)).convert("RGB")
    image.thumbnail((side, side))
    return np.asarray(image)


@pytest.fixture(scope="module")
def crops(pipe: ReliableSwapPipeline) -> dict[tuple[int, str], np.ndarray]:
    """Aligned 128 px crops of two photos of each person."""
    found = {}
    for number, picture in itertools.product(PEOPLE, ("studio_portrait", "amateur_selfie")):
        pixels = photo(number, picture)
        found[number, picture] = align(pixels, pipe.find(pixels)[0].points5)[0]
    return found


def test_what_ships_is_small_has_a_card_and_loads_as_a_pipeline() -> None:
    names = {path.parent.relative_to(WEIGHTS).as_posix() for path in WEIGHTS.rglob("config.json")}
    swapping = ["detector", "landmarks", "identity", "fixer", "generator", "glasses", "visibility"]
    assert names == {*swapping, "person", "unified/tokeniser", "unified/transformer"}
    assert sum(path.stat().st_size for path in WEIGHTS.rglob("*.safetensors")) < 60 * 2**20
    for name in names:
        card = (bundled(name) / "README.md").read_text()
        assert "Measured on held-out people" in card
        assert "train_accelerate.py" in card or "reliableswap train" in card
        assert "/" + "tmp" not in card
        assert "\nlicense_name: non-commercial-research\n" in card
        assert f'from_pretrained(bundled("{name}"))' in card
    index = json.loads((WEIGHTS / "model_index.json").read_text())
    assert index["generator"] == ["reliableswap.models", "LightGenerator"]


@pytest.mark.parametrize(("network", "window"), [("identity", IDENTITY_WINDOW), ("fixer", FIXER_WINDOW)])
def test_the_encoders_know_a_person_in_another_photo(
    network: str, window: tuple, pipe: ReliableSwapPipeline, crops: dict
) -> None:
    encoder = getattr(pipe, network)
    vectors = [
        torch.cat(
            [torch.from_numpy(embed(TorchArrayNetwork(encoder), crops[n, picture][window])) for n in PEOPLE]
        )
        for picture in ("studio_portrait", "amateur_selfie")
    ]
    similar = (vectors[0] @ vectors[1].T).numpy()
    own, others = np.diag(similar), similar[~np.eye(len(similar), dtype=bool)]
    assert own.mean() > others.mean() + 0.3
    assert (similar.argmax(1) == np.arange(len(similar))).mean() >= 0.75


@pytest.mark.slow
def test_a_neural_swap_brings_the_source_and_keeps_pose_and_expression(pipe: ReliableSwapPipeline) -> None:
    for source, target in PAIRS:
        before = photo(target)
        out = pipe(photo(source), before, engine="neural")
        entry = out.report.faces[0]
        assert entry.identity_after > 0.4
        assert entry.identity_after > entry.identity_before + 0.25
        pixels = np.asarray(out.images[0])
        then, now = (pipe.find(image)[0].mesh for image in (before, pixels))
        assert pose_error(now, then) < 8
        assert expression_error(now, then) < 0.04
        changed = np.abs(pixels.astype(int) - before).max(2) > 0
        assert 0.03 < changed.mean() < 0.6


def test_loading_without_accelerate_says_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("diffusers.pipelines.pipeline_utils.is_accelerate_available", lambda: False)
    monkeypatch.setattr(logging.getLogger("diffusers"), "propagate", True)
    ReliableSwapPipeline.bundled()
    assert not [one for one in caplog.messages if "accelerate" in one]


def test_the_generator_stores_the_share_of_held_out_people(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        generator = LightGenerator.from_pretrained(bundled("generator"))
    assert not caplog.messages
    assert generator.config["held_out"] == 10.0
    assert json.loads((WEIGHTS / "generator" / "config.json").read_text())["held_out"] == 10.0


def test_auto_is_the_neural_engine(pipe: ReliableSwapPipeline) -> None:
    out = pipe(photo(1), photo(2))
    assert out.report.engine == "neural"


class Recorder:
    """A layered generator that keeps its last inputs."""

    def __init__(self, network: Any) -> None:
        self.network = network

    def maps(self, *inputs: np.ndarray) -> Any:
        self.inputs = inputs
        return self.network.maps(*inputs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.network, name)


@pytest.mark.slow
def test_the_generator_uses_both_its_identity_and_its_guidance(pipe: ReliableSwapPipeline) -> None:
    """Hiding the texture changes the face. So does another vector, more without the texture than with it."""
    recorder = Recorder(pipe.networks().generator)
    networks = replace(pipe.networks(), generator=recorder)
    target = Subject.around(photo(2), pipe.find(photo(2))[0], "photo", networks)
    inputs = []
    for number in (1, 5):
        job = FaceJob.start(target, pipe.prepare(photo(number)).bound_to(networks), SwapSettings(), networks)
        mix(reshape(job))
        inputs.append([torch.from_numpy(one) for one in recorder.inputs])
    (seen, vector, guidance), (_, other, _) = inputs
    with torch.inference_mode():
        whole = pipe.generator(seen, vector, guidance).image
        other_vector = pipe.generator(seen, other, guidance).image
        blind = pipe.generator(seen, vector).image
        blind_other = pipe.generator(seen, other).image
    assert float((whole - blind).abs().mean()) > 0.01
    assert float((blind - blind_other).abs().mean()) > 0.002
    assert float((whole - other_vector).abs().mean()) > 0.0005
