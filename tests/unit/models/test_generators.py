"""The generators' common interface, and what FaceShifter adds to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from support.networks import CASES, GENERATORS

from reliableswap.models import FaceShifterGenerator, Generator, HearNet, SimSwapGenerator


@pytest.mark.parametrize("name", GENERATORS)
def test_generators_answer_alike(name: str) -> None:
    network = CASES[name].build().eval()
    target, identity, *guidance = CASES[name].inputs(2)
    with torch.no_grad():
        output = network(target, identity, *guidance)
        other = network(target, identity.flip(0), *guidance)
    image, mask = output
    assert image is output.image is output[0]
    assert image.shape == target.shape
    assert mask.shape == (2, 1, *target.shape[2:])
    assert mask.min() >= 0
    assert mask.max() <= 1
    assert not torch.allclose(image, other.image, atol=1e-4), "the identity changes nothing"
    with pytest.raises(ValueError, match=rf"identity .* expected \(2, {identity.shape[1]}\)"):
        network(target, identity[:, 1:])


@pytest.mark.parametrize("name", ["simswap", "faceshifter", "light_without_guidance"])
def test_refuses_guidance_it_would_ignore(name: str) -> None:
    target, identity = CASES[name].inputs(1)
    with pytest.raises(ValueError, match="takes no guidance"):
        CASES[name].build()(target, identity, torch.zeros(1, 4, *target.shape[2:]))


def test_faceshifter_hands_out_its_attributes() -> None:
    network = CASES["faceshifter"].build().eval()
    maps = network.attributes(CASES["faceshifter"].inputs(1)[0])
    assert [tensor.shape[-1] for tensor in maps] == [2, 4, 8, 16, 32, 64, 128, 256]
    with pytest.raises(
        ValueError, match="no variant for 224 px; choose one of 64, 96, 128, 192, 256, 384, 512"
    ):
        FaceShifterGenerator(size=224)
    with pytest.raises(ValueError, match=r"halves it 5 times, so choose a multiple of 32"):
        FaceShifterGenerator(channels=48)


def test_hear_refines_what_the_generator_lost() -> None:
    generator, hear = CASES["faceshifter"].build().eval(), HearNet(channels=4).eval()
    target, identity = CASES["faceshifter"].inputs(1)
    own = -identity
    with torch.no_grad():
        lost = target - generator(target, own).image
        wanted = hear(generator(target, identity).image, lost)
        assert torch.equal(hear.refine(generator, target, identity, own), wanted)


@pytest.mark.parametrize("size", [64, 96, 128, 192])
def test_faceshifter_has_the_published_layout_at_small_sizes(size: int, tmp_path: Path) -> None:
    network = FaceShifterGenerator(size=size, channels=16, identity_dim=16).eval()
    sides = [tensor.shape[-1] for tensor in network.attributes(torch.rand(1, 3, size, size))]
    assert sides[0] == (2 if size % 3 else 3)
    assert sides == [sides[0] << level for level in range(len(sides))]
    assert sides[-1] == size
    network.save_pretrained(tmp_path)
    again = FaceShifterGenerator.from_pretrained(tmp_path)
    inputs = torch.rand(2, 3, size, size) * 2 - 1, torch.randn(2, 16)
    with torch.no_grad():
        assert torch.equal(again(*inputs).image, network(*inputs).image)


@pytest.mark.parametrize(
    ("build", "most"),
    [
        (lambda heads: SimSwapGenerator(channels=4, block_count=1, identity_dim=16, coarse_heads=heads), 2),
        (lambda heads: FaceShifterGenerator(size=64, channels=16, identity_dim=16, coarse_heads=heads), 5),
    ],
)
def test_coarse_heads_answer_at_smaller_sizes_in_training_alone(
    build: Callable[[int], Generator], most: int
) -> None:
    published, network = build(0), build(2)
    assert not [name for name in published.state_dict() if "coarse" in name]
    inputs = torch.rand(2, 3, 64, 64) * 2 - 1, torch.randn(2, 16)
    output = network.train()(*inputs)
    assert output.coarse is not None
    assert [tuple(one.shape) for one in output.coarse] == [(2, 3, 32, 32), (2, 3, 16, 16)]
    output.coarse[1].mean().backward()
    assert all(one.grad is not None for one in network.coarse[1].parameters())
    assert network.eval()(*inputs).coarse is None
    assert published.train()(*inputs).coarse is None
    with pytest.raises(ValueError, match=f"coarse_heads is 9; .* allow 0 to {most}"):
        build(9)
