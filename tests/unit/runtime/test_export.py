"""Exported networks answer as torch does, without torch; 8-bit ones nearly so."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.networks import BODIES, CASES, CLASSES

from reliableswap.errors import ReliableSwapError, WeightsError
from reliableswap.models import GlassesNet, LightGenerator
from reliableswap.runtime.export import PARITY, export, write_onnx
from reliableswap.runtime.exported import ExportedFile
from reliableswap.runtime.onnx import OnnxRuntime
from reliableswap.runtime.quantise import quantise
from reliableswap.runtime.signatures import Signature, signatures


def small_signature(name: str, network: object) -> Signature:
    """The network's signature with the small inputs of its case."""
    (signature, *_) = signatures(network)
    assert len(signature.inputs) == len(CASES[name].shapes)
    shapes = ((1, *shape) for shape in CASES[name].shapes)
    return replace(signature, inputs=dict(zip(signature.inputs, shapes, strict=True)))


@pytest.fixture(scope="module")
def exported_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the command makes of an identity encoder."""
    from reliableswap.cli.main import main

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("exported")
    CASES["mobilefacenet"].build().save_pretrained(folder / "encoder")
    assert main(["export", str(folder / "encoder"), "-o", str(folder / "out")]) == 0
    return folder / "out"


def glasses() -> GlassesNet:
    """The same network each time, so that tests share its conversion in the cache."""
    torch.manual_seed(0)
    return CASES["glasses"].build().eval()


@pytest.mark.slow
def test_a_glasses_network_answers_alike_in_both_formats(tmp_path: Path) -> None:
    network = glasses()
    signature = small_signature("glasses", network)
    for form, name in (("onnx", "g.onnx"), ("openvino", "g.xml")):
        assert export(network, signature, tmp_path / name, form) < PARITY
        file = ExportedFile(tmp_path / name, threads=1)
        assert (file.inputs, file.outputs) == (["picture"], ["glasses"])
    with pytest.raises(ValueError, match="takes picture"):
        file(np.zeros((1, 3, 64, 128)), np.zeros(1))


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_takes_and_answers_what_its_signature_says(name: str) -> None:
    network = CASES[name].build().eval()
    (signature, *_) = signatures(network)
    with torch.no_grad():
        found = network(*(torch.zeros(shape) for shape in signature.inputs.values()))
    count = 1 if isinstance(found, torch.Tensor) else len(tuple(found))
    assert signature.outputs == ("*",) or len(signature.outputs) == count


# The encoder has its own tests below, the glasses network above. tests/integration/test_without_torch.py exports the
# detector, the mesh network and VisibilityNet, with the bundled weights.
ELSEWHERE = {"mobilefacenet", "glasses", "detector", "mesh", "visibility"}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(BODIES) - ELSEWHERE))
def test_every_body_is_exported(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = CASES[name].build().eval()
    assert export(network, small_signature(name, network), tmp_path / "n.onnx", "onnx") < PARITY


def test_a_generator_has_a_file_for_each_of_its_sizes() -> None:
    network = LightGenerator(channels=(8, 8, 16, 16), block_count=1, identity_dim=16, sizes=(128, 256))
    assert [one.label for one in signatures(network)] == ["_128", "_256"]
    assert signatures(network)[1].inputs["guidance"] == (1, 4, 256, 256)


@pytest.mark.slow
def test_a_difference_from_torch_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network, other = glasses(), glasses()
    monkeypatch.setattr(
        "reliableswap.runtime.export.write_onnx",
        lambda _, signature, path: write_onnx(other, signature, path),
    )
    with torch.no_grad():
        for weights in network.parameters():
            weights.add_(0.5)
    with pytest.raises(ReliableSwapError, match="differs from torch by"):
        export(network, small_signature("glasses", network), tmp_path / "g.onnx", "onnx")


@pytest.mark.slow
def test_a_cached_conversion_is_reused_for_the_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, signature = glasses(), small_signature("glasses", glasses())
    OnnxRuntime(network)(torch.zeros(signature.inputs["picture"]))

    def never(*_: object, **__: object) -> None:
        raise AssertionError("converted again")

    monkeypatch.setattr(torch.onnx, "export", never)
    assert export(network, signature, tmp_path / "g.onnx", "onnx") < PARITY
    assert ExportedFile(tmp_path / "g.onnx", threads=1).outputs == ["glasses"]
    with torch.no_grad():
        next(network.parameters()).mul_(2)
    with pytest.raises(AssertionError, match="converted again"):
        export(network, signature, tmp_path / "other.onnx", "onnx")


@pytest.mark.slow
def test_eight_bits_come_near(exported_encoder: Path, tmp_path: Path) -> None:
    whole, rounded = exported_encoder / "network.onnx", tmp_path / "int8.onnx"
    rows = [[np.random.default_rng(n).uniform(-1, 1, (1, 3, 112, 112)).astype(np.float32)] for n in range(4)]
    quantise(whole, rounded, rows)
    assert rounded.stat().st_size < 0.5 * whole.stat().st_size
    one, other = (ExportedFile(path)(*rows[0])[0][0] for path in (whole, rounded))
    assert 0.9 < float(one @ other / np.linalg.norm(one) / np.linalg.norm(other)) < 0.999999
    nearer = tmp_path / "nearer.onnx"
    quantise(whole, nearer, rows, ends=2)
    assert rounded.stat().st_size < nearer.stat().st_size < whole.stat().st_size
    with pytest.raises(ReliableSwapError, match="no example inputs"):
        quantise(whole, tmp_path / "none.onnx", [])


def test_a_file_other_than_an_exported_network_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no exported network"):
        ExportedFile(tmp_path / "none.onnx")
    (tmp_path / "text.txt").write_text("text")
    with pytest.raises(WeightsError, match=r"neither an \.onnx nor an \.xml"):
        ExportedFile(tmp_path / "text.txt")


WITHOUT_TORCH = """
    import sys

    sys.modules["torch"] = None  # an import of it is an error
    import numpy as np
    from reliableswap.faces.align import FIXER_WINDOW, IDENTITY_WINDOW, align
    from reliableswap.media import read_picture
    from reliableswap.runtime.exported import ExportedFolder

    networks = ExportedFolder(sys.argv[1], threads=1)
    points = np.array([[38, 51], [73, 51], [56, 71], [41, 92], [70, 92]], np.float32)
    crop, _ = align(np.full((128, 128, 3), 90, np.uint8), points)
    planes = lambda pixels: (pixels.transpose(2, 0, 1)[None] / 127.5 - 1).astype(np.float32)
    (vector,) = networks["network"](planes(crop[IDENTITY_WINDOW]))
    print(networks.about["network"]["network"], vector.shape, abs(float(np.linalg.norm(vector)) - 1) < 1e-4)
"""


@pytest.mark.slow
def test_a_folder_runs_where_torch_is_missing(exported_encoder: Path) -> None:
    line = [sys.executable, "-c", textwrap.dedent(WITHOUT_TORCH), str(exported_encoder)]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.strip() == "IdentityEncoder (1, 128) True", done.stderr[-2000:]
