"""Folded copies of networks: the same outputs, and never those of outdated weights."""

from __future__ import annotations

import copy
import gc
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from reliableswap.models import FixerNet, LightGenerator, load_network
from reliableswap.runtime.torch import cached_inference_copy, frozen_copy, inference_copy


@pytest.fixture
def network() -> FixerNet:
    torch.manual_seed(0)
    return FixerNet(embedding_size=8).eval()


@pytest.fixture
def faces() -> torch.Tensor:
    return torch.rand(1, 3, 56, 56, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_the_copy_is_made_once(network: FixerNet) -> None:
    assert cached_inference_copy(network) is cached_inference_copy(network)
    assert cached_inference_copy(network) is not network


def _load_state_dict(network: FixerNet) -> None:
    torch.manual_seed(1)
    network.load_state_dict(FixerNet(embedding_size=8).state_dict())


def _edit_in_place(network: FixerNet) -> None:
    with torch.no_grad():
        network.trunk.conv3.weight.mul_(-2)


def _edit_a_buffer(network: FixerNet) -> None:
    network.trunk.bn.running_mean += 1


def _replace_a_layer(network: FixerNet) -> None:
    network.trunk.conv3 = torch.nn.Conv2d(512, 8, 1)


def _train(network: FixerNet) -> None:
    network.train()(torch.rand(2, 3, 56, 56)).square().sum().backward()
    torch.optim.SGD(network.parameters(), lr=0.1).step()
    network.eval()


def _round(network: FixerNet) -> None:
    network.to(torch.bfloat16).to(torch.float32)


@pytest.mark.parametrize(
    "change", [_load_state_dict, _edit_in_place, _edit_a_buffer, _replace_a_layer, _train, _round]
)
def test_the_copy_follows_the_weights(
    change: Callable[[FixerNet], None], network: FixerNet, faces: torch.Tensor
) -> None:
    with torch.inference_mode():
        before = cached_inference_copy(network)(faces)
    change(network)
    with torch.inference_mode():
        after, wanted = cached_inference_copy(network)(faces), network(faces)
    assert torch.allclose(after, wanted, atol=1e-5)
    assert not torch.allclose(after, before, atol=1e-5)
    assert cached_inference_copy(network) is cached_inference_copy(network)


@pytest.mark.slow
def test_the_copy_follows_dtype_and_device(network: FixerNet) -> None:
    cached_inference_copy(network)
    assert cached_inference_copy(network.to(torch.bfloat16)).dtype == torch.bfloat16
    assert cached_inference_copy(network.to("meta")).device.type == "meta"


def test_a_copy_made_in_inference_mode_can_be_used_outside(network: FixerNet, faces: torch.Tensor) -> None:
    with torch.inference_mode():
        ready = cached_inference_copy(network)
    cached_inference_copy(network)(faces.requires_grad_()).sum().backward()
    assert faces.grad is not None
    assert not any(parameter.requires_grad for parameter in ready.parameters())


def test_weights_loaded_in_inference_mode_are_fine(
    tmp_path: Path, network: FixerNet, faces: torch.Tensor
) -> None:
    network.save_pretrained(tmp_path)
    with torch.inference_mode():
        loaded = load_network(tmp_path)
        assert torch.allclose(cached_inference_copy(loaded)(faces), network(faces), atol=1e-5)
        assert cached_inference_copy(loaded) is cached_inference_copy(loaded)


def test_the_copy_goes_with_its_network() -> None:
    network = LightGenerator(channels=(8, 8, 8, 8), block_count=1)
    gone = []
    torch_module = cached_inference_copy(network)
    weakref.finalize(torch_module, gone.append, True)
    del network, torch_module
    gc.collect()
    assert gone == [True]


def test_a_network_that_accelerate_moves_runs_as_it_is(network: FixerNet) -> None:
    from accelerate.hooks import ModelHook, add_hook_to_module

    add_hook_to_module(network, ModelHook())
    assert cached_inference_copy(network) is network


def test_the_original_stays(network: FixerNet) -> None:
    before = copy.deepcopy(network.state_dict())
    for ready in (inference_copy(network), frozen_copy(network, torch.bfloat16)):
        assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in ready.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_a_copy_shares_neither_weights_nor_hooks_with_its_network() -> None:
    one = torch.nn.Conv2d(3, 3, 1)
    network = torch.nn.Sequential(one, torch.nn.ReLU(), one)  # the same module in two places
    twin = inference_copy(network)
    assert twin[0] is twin[2]
    assert torch.equal(twin[0].weight, one.weight)
    assert twin[0].weight.data_ptr() != one.weight.data_ptr()
    one.register_forward_hook(lambda *_: torch.zeros(0))
    assert twin(torch.zeros(1, 3, 2, 2)).shape == (1, 3, 2, 2)
