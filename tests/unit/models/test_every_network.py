"""What every network does: save and load, half precision, compile, odd batches, wrong shapes, gradients."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest
import torch
from support.networks import BODIES, CASES, outputs, tensors

from reliableswap.models import NETWORKS, load_network
from reliableswap.runtime.torch import inference_copy

each = pytest.mark.parametrize("name", CASES)


def test_every_class_is_here() -> None:
    assert {type(case.build()).__name__ for case in CASES.values()} == set(NETWORKS)


@each
def test_comes_back_bit_equal(name: str, tmp_path: Path) -> None:
    network = CASES[name].build().eval()
    network.save_pretrained(tmp_path)
    loaded = load_network(tmp_path)
    assert type(loaded) is type(network)
    assert not loaded.training
    inputs = CASES[name].inputs(2)
    for before, after in zip(outputs(network, inputs), outputs(loaded, inputs), strict=True):
        assert torch.equal(before, after)


@each
def test_its_config_comes_back_and_holds_no_path(name: str, tmp_path: Path) -> None:
    CASES[name].build().save_pretrained(tmp_path / "one")
    loaded = load_network(tmp_path / "one")
    assert str(tmp_path) not in loaded.to_json_string()
    loaded.save_pretrained(tmp_path / "two")
    one, two = (json.loads((tmp_path / folder / "config.json").read_text()) for folder in ("one", "two"))
    assert one == two


def test_weights_have_the_permissions_of_the_config(tmp_path: Path) -> None:
    next(iter(CASES.values())).build().save_pretrained(tmp_path)
    modes = {path.stat().st_mode for path in tmp_path.iterdir() if path.is_file()}
    assert len(modes) == 1


@each
def test_loads_in_float16(name: str, tmp_path: Path) -> None:
    network = CASES[name].build()
    network.save_pretrained(tmp_path)
    half = load_network(tmp_path, dtype=torch.float16)
    assert half.dtype == torch.float16
    for before, after in zip(network.parameters(), half.parameters(), strict=True):
        assert torch.equal(before.half(), after)


@each
def test_runs_in_bfloat16(name: str) -> None:
    case = CASES[name]
    network, inputs = case.build().eval(), case.inputs(2)
    exact = outputs(network, inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network = network.to(torch.bfloat16)
    rounded = outputs(network, [tensor.to(torch.bfloat16) for tensor in inputs])
    for full, half in zip(exact, rounded, strict=True):
        assert half.dtype == (torch.float32 if case.float32_output else torch.bfloat16)
        assert torch.isfinite(half).all()
        # Eight bits of mantissa through a dozen layers.
        assert (full - half.float()).pow(2).mean().sqrt() < 0.25 * full.pow(2).mean().sqrt() + 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("name", BODIES)
def test_compiles_in_one_graph(name: str) -> None:
    torch._dynamo.reset()
    network = CASES[name].build().eval()
    inputs = CASES[name].inputs(2)
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    for plain, fast in zip(outputs(network, inputs), outputs(compiled, inputs), strict=True):
        assert torch.allclose(plain, fast, atol=1e-5, rtol=1e-5)


@each
def test_an_inference_copy_answers_the_same(name: str) -> None:
    network = CASES[name].build()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2)
    network.eval()
    inputs = CASES[name].inputs(2)
    for wanted, found in zip(outputs(network, inputs), outputs(inference_copy(network), inputs), strict=True):
        assert (found - wanted).abs().max() < 1e-4 * wanted.abs().max() + 1e-5


@each
def test_samples_of_an_odd_batch_do_not_mix(name: str) -> None:
    network = CASES[name].build().eval()
    inputs = CASES[name].inputs(3)
    together = outputs(network, inputs)
    alone = outputs(network, [tensor[2:] for tensor in inputs])
    for three, one in zip(together, alone, strict=True):
        assert three.shape[0] == 3
        assert torch.allclose(three[2:], one, rtol=1e-3, atol=1e-4)


@each
def test_refuses_wrong_shapes_by_name(name: str) -> None:
    case = CASES[name]
    rest = case.inputs(1)[1:]
    with pytest.raises(ValueError, match=case.expected):
        case.build()(torch.zeros(case.wrong), *rest)


@each
def test_gradients_reach_every_input(name: str) -> None:
    inputs = [tensor.requires_grad_() for tensor in CASES[name].inputs(2)]
    made = tensors(CASES[name].build()(*inputs))
    sum(tensor.square().sum() for tensor in made).backward()
    for tensor in inputs:
        assert tensor.grad is not None
        assert torch.isfinite(tensor.grad).all()
        assert tensor.grad.abs().max() > 0
