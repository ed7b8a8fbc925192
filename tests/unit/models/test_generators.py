"""The generators' common interface, and what FaceShifter has beside it."""

from __future__ import annotations

import pytest
import torch
from support.networks import CASES, GENERATORS

from reliableswap.models import FaceShifterGenerator, HearNet


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
    with pytest.raises(ValueError, match="choose 256 or 512"):
        FaceShifterGenerator(size=128)


def test_hear_refines_what_the_generator_lost() -> None:
    generator, hear = CASES["faceshifter"].build().eval(), HearNet(channels=4).eval()
    target, identity = CASES["faceshifter"].inputs(1)
    own = -identity
    with torch.no_grad():
        lost = target - generator(target, own).image
        wanted = hear(generator(target, identity).image, lost)
        assert torch.equal(hear.refine(generator, target, identity, own), wanted)
