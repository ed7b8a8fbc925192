"""Networks that OpenVINO runs on the CPU: the same answers, and nothing is reported to anybody."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from reliableswap import ReliableSwapPipeline
from reliableswap.bundled import bundled
from reliableswap.errors import ReliableSwapError
from reliableswap.models import FaceShifterGenerator, IdentityEncoder, LightGenerator, SimSwapGenerator
from reliableswap.models.generator import GeneratorOutput
from reliableswap.runtime.openvino import OpenVino, library
from reliableswap.triplets.encode import EncoderChoice
from support.people import person

SMALL = {"channels": (8, 8, 16, 16), "block_count": 1, "identity_dim": 16}


@pytest.fixture
def inputs() -> tuple[torch.Tensor, ...]:
    torch.manual_seed(0)
    target, guidance = torch.rand(1, 3, 64, 64) * 2 - 1, torch.rand(1, 4, 64, 64)
    return target, torch.nn.functional.normalize(torch.randn(1, 16)), guidance


def test_a_generator_answers_as_by_torch(inputs: tuple[torch.Tensor, ...]) -> None:
    network = LightGenerator(**SMALL, target_colours=16).eval()
    quick = OpenVino(network, "float32")
    assert quick.config["target_colours"] == 16
    assert quick.guidance_channels == 4
    nothing = torch.cat([-torch.ones(1, 3, 64, 64), torch.zeros(1, 1, 64, 64)], 1)
    for given, explicit in ((inputs, inputs[2]), ((*inputs[:2], None), nothing)):
        with torch.inference_mode():
            wanted, made = network(*inputs[:2], explicit), quick(*given)
        assert isinstance(made, GeneratorOutput)
        assert (made.image - wanted.image).abs().max() < 1e-3
        assert (made.mask - wanted.mask).abs().max() < 1e-3


@pytest.mark.parametrize(
    "network",
    [SimSwapGenerator(channels=8, block_count=1), FaceShifterGenerator(channels=64, size=256)],
    ids=["simswap", "faceshifter"],
)
def test_other_bases_answer_as_by_torch(network: SimSwapGenerator | FaceShifterGenerator) -> None:
    torch.manual_seed(0)
    target = torch.rand(1, 3, 256, 256) * 2 - 1
    identity = torch.nn.functional.normalize(torch.randn(1, network.vector_size))
    with torch.inference_mode():
        wanted = network.eval()(target, identity).image
        made = OpenVino(network, "float32")(target, identity).image
    assert wanted.std() > 0
    assert (made - wanted).abs().max() < 1e-2 * wanted.abs().max()


def test_a_pipeline_that_is_moved_or_given_another_network_leaves_openvino() -> None:
    pipe = ReliableSwapPipeline.bundled().on("openvino")
    assert isinstance(pipe._network("generator"), OpenVino)
    pipe.register_modules(generator=LightGenerator(**SMALL))
    assert pipe._network("generator") is pipe.generator
    pipe.to("cpu")
    assert pipe.place == "cpu"
    assert pipe._network("identity") is pipe.identity


def test_what_openvino_cannot_run_is_one_line(
    inputs: tuple[torch.Tensor, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: object, **named: object) -> None:
        raise RuntimeError("no such layer\nand much more")

    monkeypatch.setattr(library(), "convert_model", fail)
    with pytest.raises(
        ReliableSwapError, match=r"can't run LightGenerator on inputs of .*: no such layer; choose"
    ):
        OpenVino(LightGenerator(**SMALL).eval())(*inputs)


def test_the_answer_is_the_callers_own(inputs: tuple[torch.Tensor, ...]) -> None:
    quick = OpenVino(LightGenerator(**SMALL).eval(), "float32")
    first = quick(*inputs).image
    kept = first.clone()
    quick(-inputs[0], *inputs[1:])
    assert torch.equal(first, kept)


def test_rounded_answers_are_near(inputs: tuple[torch.Tensor, ...]) -> None:
    network = LightGenerator(**SMALL).eval()
    quick = OpenVino(network)
    assert quick.precision in ("float32", "bfloat16")
    with torch.inference_mode():
        assert (quick(*inputs).image - network(*inputs).image).abs().mean() < 0.02


def test_wrong_shapes_are_told_as_by_torch(inputs: tuple[torch.Tensor, ...]) -> None:
    quick = OpenVino(SimSwapGenerator(channels=8, block_count=1).eval())
    with pytest.raises(ValueError, match="identity has shape"):
        quick(torch.zeros(1, 3, 32, 32), torch.zeros(1, 7))


def test_only_float32_on_the_cpu() -> None:
    with pytest.raises(ReliableSwapError, match="float32 weights on the CPU"):
        OpenVino(LightGenerator(**SMALL).to(torch.bfloat16))


def test_without_it_installed_the_way_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    library.cache_clear()
    monkeypatch.setitem(sys.modules, "openvino", None)
    try:
        with pytest.raises(ReliableSwapError, match=r"pip install -e '.\[openvino\]'"):
            ReliableSwapPipeline.bundled().on("openvino")
    finally:
        library.cache_clear()


def test_its_telemetry_is_never_loaded() -> None:
    code = (
        "from reliableswap.runtime.openvino import library; import sys; "
        "library(); sys.exit(sys.modules['openvino_telemetry'] is not None)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


def test_the_whole_swap_is_nearly_the_same() -> None:
    pipe = ReliableSwapPipeline.bundled()
    source, target = person(1), person(2)
    plain = pipe(source, target)
    quick = pipe.on("openvino")(source, target)
    assert plain.report.device == "cpu"
    assert quick.report.device == "openvino"
    apart = np.abs(np.asarray(plain.images[0], float) - np.asarray(quick.images[0], float))
    assert apart.mean() < 0.5
    assert apart.max() > 0 or pipe._network("generator").precision == "float32"
    one, other = plain.report.faces[0].identity_after, quick.report.faces[0].identity_after
    assert one is not None
    assert other is not None
    assert abs(one - other) < 0.02
    assert pipe.on("cpu")(source, target).report.device == "cpu"


def test_the_filters_encoder() -> None:
    crops = [np.random.default_rng(i).integers(0, 255, (128, 128, 3), np.uint8) for i in range(3)]
    exact = EncoderChoice(bundled("identity")).load()
    quick = EncoderChoice(bundled("identity"), device="openvino").load()
    assert exact.label in quick.label
    assert "openvino" in quick.label
    found = quick(crops)
    assert found.shape == (3, IdentityEncoder.from_pretrained(bundled("identity")).embedding_size)
    assert (found * exact(crops)).sum(1).min() > 0.98
    # One face's vector does not depend on which others are asked for with it.
    assert np.array_equal(found[1:2], quick(crops[1:2]))
