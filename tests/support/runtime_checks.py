"""Networks on OpenVINO and ONNX Runtime give torch's outputs, follow changes of the weights, and send no telemetry."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch

from reliableswap import ReliableSwapPipeline
from reliableswap.bundled import bundled
from reliableswap.data.encoders import EncoderChoice
from reliableswap.errors import ReliableSwapError
from reliableswap.models import (
    FaceShifterGenerator,
    FixerNet,
    GlassesNet,
    IdentityEncoder,
    LightGenerator,
    MeshNet,
    Network,
    SimSwapGenerator,
)
from reliableswap.models.generator import GeneratorOutput
from reliableswap.runtime import DEVICES, for_device, onnx, openvino
from reliableswap.runtime.base import Runtime
from support.people import portrait

SMALL = {"channels": (8, 8, 16, 16), "block_count": 1, "identity_dim": 16}
LIBRARIES = {"openvino": openvino.library, "onnx": onnx.library}


def tiny_glasses() -> GlassesNet:
    """A network that is always the same, so that a later test finds its conversion in the cache."""
    torch.manual_seed(0)
    return GlassesNet(channels=(4, 8)).eval()


def exact(device: str, network: Network) -> Runtime:
    """The network on that device in float32, even if this CPU supports bfloat16."""
    return openvino.OpenVino(network, "float32") if device == "openvino" else onnx.OnnxRuntime(network)


each_device = pytest.mark.parametrize("device", DEVICES)


@pytest.fixture
def inputs() -> tuple[torch.Tensor, ...]:
    torch.manual_seed(0)
    target, guidance = torch.rand(1, 3, 64, 64) * 2 - 1, torch.rand(1, 4, 64, 64)
    return target, torch.nn.functional.normalize(torch.randn(1, 16)), guidance


@each_device
def test_a_generator_matches_torch(device: str, inputs: tuple[torch.Tensor, ...]) -> None:
    network = LightGenerator(**SMALL, target_colours=16).eval()
    runtime = exact(device, network)
    assert runtime.config["target_colours"] == 16
    assert runtime.guidance_channels == 4
    assert (runtime.device, runtime.dtype) == (torch.device("cpu"), torch.float32)
    nothing = torch.cat([-torch.ones(1, 3, 64, 64), torch.zeros(1, 1, 64, 64)], 1)
    for given, explicit in ((inputs, inputs[2]), ((*inputs[:2], None), nothing)):
        with torch.inference_mode():
            wanted, made = network(*inputs[:2], explicit), runtime(*given)
        assert isinstance(made, GeneratorOutput)
        assert (made.image - wanted.image).abs().max() < 1e-3
        assert (made.mask - wanted.mask).abs().max() < 1e-3


@each_device
def test_a_layered_generator_is_compiled_once_for_all_sizes(device: str) -> None:
    torch.manual_seed(0)
    network = LightGenerator(**SMALL, layers=True, lean=2.0).eval()
    torch.nn.init.normal_(network.layer_head.weight, std=0.05)
    runtime = exact(device, network)
    identity = torch.nn.functional.normalize(torch.randn(1, 16))
    for size in (128, 256, 384):
        target, guidance = torch.rand(1, 3, size, size) * 2 - 1, torch.rand(1, 4, size, size)
        with torch.inference_mode():
            wanted, made = network(target, identity, guidance), runtime(target, identity, guidance)
        assert (made.image - wanted.image).abs().max() < 1e-3
        assert (made.mask - wanted.mask).abs().max() < 1e-3
    assert len(runtime._compiled) == 1
    with pytest.raises(ValueError, match="identity has shape"):
        runtime(target, identity[:, :7], guidance)


# Only for OpenVINO: tests/unit/runtime/test_export.py tests every class with the exporter that the device onnx uses.
@pytest.mark.parametrize(
    ("build", "size"),
    [
        (lambda: SimSwapGenerator(channels=8, block_count=1, identity_dim=16), 64),
        (lambda: FaceShifterGenerator(channels=32, identity_dim=16), 256),
    ],
    ids=["simswap", "faceshifter"],
)
def test_openvino_runs_other_generators_as_torch_does(
    build: Callable[[], SimSwapGenerator | FaceShifterGenerator], size: int
) -> None:
    torch.manual_seed(0)
    network = build().eval()
    target = torch.rand(1, 3, size, size) * 2 - 1
    identity = torch.nn.functional.normalize(torch.randn(1, 16))
    with torch.inference_mode():
        wanted = network(target, identity).image
        made = exact("openvino", network)(target, identity).image
    assert wanted.std() > 0
    assert (made - wanted).abs().max() < 1e-2 * wanted.abs().max()


@each_device
@pytest.mark.parametrize(
    ("build", "shape"),
    [
        # Networks that ship, so that the whole swap below finds their conversions in the cache.
        (lambda: FixerNet.from_pretrained(bundled("fixer")).float(), (3, 56, 56)),
        (lambda: MeshNet.from_pretrained(bundled("landmarks")).float(), (3, 128, 128)),
        (tiny_glasses, (3, 64, 128)),
    ],
    ids=["encoder", "mesh", "glasses"],
)
def test_other_networks_match_torch(
    device: str, build: Callable[[], Network], shape: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    network, picture = build().eval(), torch.rand(1, *shape) * 2 - 1
    with torch.inference_mode():
        wanted, made = network(picture), exact(device, network)(picture)
    assert type(made) is type(wanted)
    pairs = zip(wanted, made, strict=True) if isinstance(wanted, tuple) else [(wanted, made)]
    for theirs, ours in pairs:
        assert ours.shape == theirs.shape
        assert torch.allclose(ours, theirs, atol=1e-3, rtol=1e-4)


@each_device
def test_new_weights_are_noticed(device: str) -> None:
    network, picture = tiny_glasses(), torch.rand(1, 3, 64, 128)
    runtime = exact(device, network)
    before = runtime(picture)
    network.load_state_dict(GlassesNet(channels=(4, 8)).state_dict())
    with torch.inference_mode():
        assert torch.allclose(runtime(picture), network(picture), atol=1e-4)
    assert not torch.allclose(runtime(picture), before, atol=1e-2)
    network.to(torch.bfloat16)
    with pytest.raises(ReliableSwapError, match="float32 weights on the CPU, but GlassesNet has"):
        runtime(picture)


@each_device
def test_a_network_that_cannot_be_converted_is_a_one_line_error(
    device: str, inputs: tuple[torch.Tensor, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: object, **named: object) -> None:
        raise RuntimeError("no such layer\nand much more")

    if device == "openvino":
        monkeypatch.setattr(openvino.library(), "convert_model", fail)
    else:
        monkeypatch.setattr(torch.onnx, "export", fail)
    with pytest.raises(
        ReliableSwapError, match=r"can't run LightGenerator on inputs of .*: no such layer; choose"
    ):
        exact(device, LightGenerator(**SMALL))(*inputs)


@each_device
def test_an_output_is_not_overwritten_by_the_next_call(device: str) -> None:
    runtime = exact(device, tiny_glasses())
    first = runtime(torch.ones(1, 3, 64, 128))
    kept = first.clone()
    runtime(torch.rand(1, 3, 64, 128))
    assert torch.equal(first, kept)


def test_the_default_precision_is_close_to_torch(inputs: tuple[torch.Tensor, ...]) -> None:
    network = LightGenerator(**SMALL, target_colours=16).eval()  # the same as above, so it is in the cache
    runtime = openvino.OpenVino(network)
    assert runtime.precision in ("float32", "bfloat16")
    with torch.inference_mode():
        assert (runtime(*inputs).image - network(*inputs).image).abs().mean() < 0.02


@each_device
def test_wrong_shapes_raise_the_same_error_as_with_torch(device: str) -> None:
    runtime = exact(device, SimSwapGenerator(channels=8, block_count=1))
    with pytest.raises(ValueError, match="identity has shape"):
        runtime(torch.zeros(1, 3, 32, 32), torch.zeros(1, 7))


@each_device
def test_only_float32_on_the_cpu(device: str) -> None:
    with pytest.raises(ReliableSwapError, match="float32 weights on the CPU"):
        exact(device, LightGenerator(**SMALL).to(torch.bfloat16))


@pytest.mark.parametrize(
    ("device", "module"), [("openvino", "openvino"), ("onnx", "onnxruntime"), ("onnx", "onnxscript")]
)
def test_a_missing_extra_is_named(device: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    library = LIBRARIES[device]
    library.cache_clear()
    monkeypatch.setitem(sys.modules, module, None)
    try:
        with pytest.raises(ReliableSwapError, match=rf"pip install -e '\.\[{device}\]'"):
            for_device(device)
    finally:
        library.cache_clear()


def test_devices_of_torch_need_no_runtime_of_ours() -> None:
    assert [for_device(name) for name in ("cpu", "cuda:1", "mps")] == [None] * 3
    assert for_device("openvino") is openvino.OpenVino
    assert for_device("onnx") is onnx.OnnxRuntime


def test_openvinos_telemetry_is_never_loaded() -> None:
    assert openvino.library() is sys.modules["openvino"]
    assert sys.modules["openvino_telemetry"] is None


@pytest.fixture(scope="module")
def pipe() -> ReliableSwapPipeline:
    return ReliableSwapPipeline.bundled()


@each_device
def test_the_whole_swap_is_nearly_the_same(device: str, pipe: ReliableSwapPipeline) -> None:
    source, target = portrait(1, 256), portrait(2, 256)
    plain = pipe(source, target)
    fast = pipe.on(device)(source, target)
    assert plain.report.device == "cpu"
    assert fast.report.device == device
    apart = np.abs(np.asarray(plain.images[0], float) - np.asarray(fast.images[0], float))
    assert apart.mean() < 0.5
    one, other = plain.report.faces[0].identity_after, fast.report.faces[0].identity_after
    assert one is not None
    assert other is not None
    assert abs(one - other) < 0.02
    assert pipe.on("cpu")(source, target).report.device == "cpu"


def test_a_prepared_person_is_encoded_again_after_a_weight_change() -> None:
    whole = ReliableSwapPipeline.bundled()
    pipe = ReliableSwapPipeline(whole.detector, whole.landmarks, whole.identity).on("onnx")
    person_one = pipe.prepare(portrait(1, 256))
    before = person_one.v_id
    assert person_one.bound_to(pipe.networks()) is person_one
    with torch.no_grad():
        pipe.identity.trunk.conv3.weight.neg_()
    after = person_one.bound_to(pipe.networks()).v_id
    assert not np.allclose(after, before, atol=0.1)


def test_the_filters_encoder() -> None:
    crops = [np.random.default_rng(i).integers(0, 255, (128, 128, 3), np.uint8) for i in range(3)]
    by_torch = EncoderChoice(bundled("identity")).load()
    fast = EncoderChoice(bundled("identity"), device="openvino").load()
    assert by_torch.label in fast.label
    assert "openvino" in fast.label
    found = fast(crops)
    assert found.shape == (3, IdentityEncoder.from_pretrained(bundled("identity")).embedding_size)
    assert (found * by_torch(crops)).sum(1).min() > 0.98
    # A face's vector does not depend on the other faces of its batch.
    assert np.array_equal(found[1:2], fast(crops[1:2]))
