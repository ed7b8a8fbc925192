"""IdentityAdapter: what it changes at the start, what it learns, and that it is stored with its generator."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from reliableswap.bundled import bundled
from reliableswap.models import IdentityEncoder, LightGenerator
from reliableswap.models.adapter import JOINS, IdentityAdapter, adapter_config


@pytest.fixture(scope="module")
def encoder() -> IdentityEncoder:
    return IdentityEncoder.from_pretrained(bundled("identity")).eval()


def generator(encoder: IdentityEncoder, join: str) -> LightGenerator:
    torch.manual_seed(1)
    return LightGenerator(
        channels=(8, 12, 16, 24), block_count=1, identity_dim=128, fixer_dim=8, adapter_join=join,
        adapter_encoder=None if join == "none" else adapter_config(encoder),
    )  # fmt: skip


@pytest.mark.parametrize("join", JOINS)
def test_at_the_start_the_identity_is_as_before(encoder: IdentityEncoder, join: str) -> None:
    adapter = IdentityAdapter(join, adapter_config(encoder)).train()
    adapter.start_from(encoder)
    faces = torch.rand(3, 3, 112, 112) * 2 - 1
    with torch.no_grad():
        v_full = torch.cat([encoder(faces), torch.rand(3, 8)], 1)
        joined = adapter.join(v_full, adapter(faces))
    assert joined.shape == (3, 136 + 128 * (join == "concat"))
    assert torch.allclose(joined[:, :136], v_full, atol=1e-6)
    assert joined[:, 136:].abs().sum() == 0


@pytest.mark.parametrize("join", JOINS)
def test_an_adapter_learns_with_its_generator(encoder: IdentityEncoder, join: str) -> None:
    network = generator(encoder, join).train()
    assert network.adapter is not None
    network.adapter.start_from(encoder)
    statistics = {n: b.clone() for n, b in network.adapter.named_buffers()}
    learning = torch.optim.SGD(network.parameters(), lr=0.05)
    target, v_full, guidance = torch.rand(2, 3, 64, 64), torch.rand(2, 136), torch.rand(2, 4, 64, 64)
    source = torch.rand(2, 3, 112, 112) * 2 - 1
    for _ in range(2):  # in the first step, weights that are zero pass no gradient on
        learning.zero_grad()
        network(target, v_full, guidance, source).image.square().mean().backward()
        learning.step()
    idle = [n for n, p in network.adapter.named_parameters() if p.grad is None or p.grad.abs().max() == 0]
    assert not idle
    # The encoder's statistics stay.
    assert all(torch.equal(buffer, statistics[name]) for name, buffer in network.adapter.named_buffers())
    network.eval()
    with torch.no_grad():
        joined = network.adapter.join(v_full, network.adapter(source))
        assert torch.equal(
            network(target, joined, guidance).image, network(target, v_full, guidance, source).image
        )
        other = network(target, v_full, guidance, source.flip(0)).image
    assert not torch.equal(other, network(target, v_full, guidance, source).image)


@pytest.mark.parametrize("join", ["none", *JOINS])
def test_it_is_stored_with_the_generator(encoder: IdentityEncoder, join: str, tmp_path: Path) -> None:
    network = generator(encoder, join).eval()
    network.save_pretrained(tmp_path)
    again = LightGenerator.from_pretrained(tmp_path).eval()
    assert again.config["adapter_join"] == join
    assert again.state_dict().keys() == network.state_dict().keys()
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in again.state_dict().items())
    assert (again.adapter is None) == (join == "none")
    inputs = (
        torch.rand(1, 3, 64, 64),
        torch.rand(1, 136),
        torch.rand(1, 4, 64, 64),
        torch.rand(1, 3, 112, 112),
    )
    with torch.no_grad():
        assert torch.equal(network(*inputs).image, again(*inputs).image)


def test_an_unknown_join_is_refused(encoder: IdentityEncoder) -> None:
    with pytest.raises(ValueError, match="adapter_join is 'mix'; choose one of add, concat, replace"):
        generator(encoder, "mix")
