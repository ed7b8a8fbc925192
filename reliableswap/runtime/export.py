"""Write a network as an ONNX or OpenVINO file, and compare what the file answers with torch."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from reliableswap.errors import ReliableSwapError

from . import onnx, openvino
from .exported import ExportedFile
from .signatures import Signature

FORMATS = ("onnx", "openvino")
PARITY = 1e-3  # the largest difference from torch that is float32's rounding


def write_onnx(network: nn.Module, signature: Signature, path: Path) -> None:
    """Write a network in float32 as one ONNX file."""
    onnx.library()
    network = network.float().cpu().eval()
    examples = tuple(torch.zeros(shape) for shape in signature.inputs.values())
    # Tensors of inference mode can't be traced. torch warns here of what it deprecates in itself.
    with torch.inference_mode(False), torch.no_grad(), warnings.catch_warnings(), _quiet():
        warnings.simplefilter("ignore")
        tensors = _Flat(network)
        count = len(tensors(*examples))
        graph = torch.export.export(tensors.eval(), examples, dynamic_shapes=_free(signature))
        program = torch.onnx.export(
            graph,
            dynamo=True,
            verbose=False,
            input_names=list(signature.inputs),
            output_names=output_names(signature, count),
        )
    assert program is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    program.save(str(path), external_data=False)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's notes on every rule that it applied."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)


def write_openvino(onnx_file: Path, path: Path) -> None:
    """Turn an ONNX file, quantised or not, into OpenVINO's .xml and .bin."""
    library = openvino.library()
    path.parent.mkdir(parents=True, exist_ok=True)
    library.save_model(library.convert_model(str(onnx_file)), str(path), compress_to_fp16=False)


def export(network: nn.Module, signature: Signature, path: Path, form: str) -> float:
    """Write a network in float32 and return the largest difference of its answers from torch's; raise above PARITY."""
    if form not in FORMATS:
        raise ReliableSwapError(f"unknown format {form!r}; choose one of {', '.join(FORMATS)}")
    if form == "onnx":
        write_onnx(network, signature, path)
    else:
        with tempfile.TemporaryDirectory() as folder:
            write_onnx(network, signature, Path(folder, "network.onnx"))
            write_openvino(Path(folder, "network.onnx"), path)
    difference = parity(network, signature, path)
    if not difference <= PARITY:
        raise ReliableSwapError(
            f"{path} differs from torch by {difference:.2g}, more than {PARITY:g}; do not use it, and report this"
        )
    return difference


def parity(network: nn.Module, signature: Signature, path: Path) -> float:
    """The largest difference between torch and a file, on random inputs, in units of the largest answer or 1."""
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.rand(shape, generator=generator) * 2 - 1 for shape in _tried(signature)]
    with torch.no_grad():
        wanted = _Flat(network.float().cpu().eval())(*inputs)
    found = ExportedFile(path, torch.get_num_threads())(*(one.numpy() for one in inputs))
    worst = 0.0
    for one, other in zip(wanted, found, strict=True):
        scale = max(1.0, float(one.abs().max()))
        worst = max(worst, float(np.abs(one.numpy() - other).max()) / scale)
    return worst


def output_names(signature: Signature, count: int) -> list[str]:
    """The names of a file's outputs; "*" stands for any number."""
    if signature.outputs == ("*",):
        return [f"output_{n}" for n in range(count)]
    return list(signature.outputs)


def _tried(signature: Signature) -> list[tuple[int, ...]]:
    """Shapes to compare with; where they are free, others than those that were exported."""
    if not signature.steps:
        return list(signature.inputs.values())
    return [(*shape[:2], 5 * signature.steps, 7 * signature.steps) for shape in signature.inputs.values()]


def _free(signature: Signature) -> tuple[tuple[dict[int, object], ...]] | None:
    if not signature.steps:
        return None
    height, width = torch.export.Dim("height", min=1, max=128), torch.export.Dim("width", min=1, max=128)
    return (tuple({2: signature.steps * height, 3: signature.steps * width} for _ in signature.inputs),)


class _Flat(nn.Module):
    """A network with a flat tuple of tensors as its output."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return tuple(_tensors(self.network(*inputs)))


def _tensors(output: object) -> list[Tensor]:
    if isinstance(output, Tensor):
        return [output]
    assert isinstance(output, Sequence) or hasattr(output, "__iter__")
    return [tensor for part in output for tensor in _tensors(part)]
