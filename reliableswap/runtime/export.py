"""Write a network as an ONNX or OpenVINO file, and compare the file's outputs with torch's."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch

from reliableswap.errors import ReliableSwapError
from reliableswap.models.base import Network

from . import onnx, openvino
from .base import LayerMaps
from .cache import cached_conversion
from .exported import ExportedFile
from .signatures import Signature
from .tracing import Flat, traced, tracing

FORMATS = ("onnx", "openvino")
PARITY = 1e-3  # the largest difference from torch that passes as float32 rounding


def write_onnx(network: Network | LayerMaps, signature: Signature, path: Path) -> None:
    """Write a network in float32 as one ONNX file. Earlier conversions, also for a device, come from the cache."""
    onnx.library()
    from onnxscript import ir

    network = network.float().cpu().eval()
    whole = network.generator if isinstance(network, LayerMaps) else network
    shapes, multiple = [*signature.inputs.values()], signature.multiple
    request = [type(network).__name__, *shapes, *([f"multiples of {multiple}"] if multiple else [])]

    def convert(folder: Path) -> None:
        onnx.convert(traced(network, shapes, multiple), folder)

    with tracing(), cached_conversion(onnx.NAME, onnx.version(), whole, request, convert) as folder:
        model = ir.load(folder / onnx.FILE)
    graph = model.graph
    for value, name in zip(graph.inputs, signature.inputs, strict=True):
        value.name = name
    for value, name in zip(graph.outputs, output_names(signature, len(graph.outputs)), strict=True):
        value.name = name
    path.parent.mkdir(parents=True, exist_ok=True)
    ir.save(model, path)


def write_openvino(onnx_file: Path, path: Path) -> None:
    """Convert an ONNX file, quantised or not, to OpenVINO's .xml and .bin."""
    library = openvino.library()
    path.parent.mkdir(parents=True, exist_ok=True)
    library.save_model(library.convert_model(str(onnx_file)), str(path), compress_to_fp16=False)


def export(network: Network | LayerMaps, signature: Signature, path: Path, form: str) -> float:
    """Write a network in float32 and return its outputs' largest difference from torch's; raise above PARITY."""
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


def parity(network: Network | LayerMaps, signature: Signature, path: Path) -> float:
    """Return the largest difference of a file from torch on random inputs, relative to each output's maximum or 1."""
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.rand(shape, generator=generator) * 2 - 1 for shape in _parity_shapes(signature)]
    with torch.no_grad():
        wanted = Flat(network.float().cpu().eval())(*inputs)
    found = ExportedFile(path, torch.get_num_threads())(*(one.numpy() for one in inputs))
    worst = 0.0
    for one, other in zip(wanted, found, strict=True):
        scale = max(1.0, float(one.abs().max()))
        worst = max(worst, float(np.abs(one.numpy() - other).max()) / scale)
    return worst


def output_names(signature: Signature, count: int) -> list[str]:
    """Return the names of a file's outputs; "*" stands for any number."""
    if signature.outputs == ("*",):
        return [f"output_{n}" for n in range(count)]
    return list(signature.outputs)


def _parity_shapes(signature: Signature) -> list[tuple[int, ...]]:
    """Return input shapes for the comparison; dynamic ones differ from those of the export."""
    if not signature.multiple:
        return list(signature.inputs.values())
    return [
        (*shape[:2], 5 * signature.multiple, 7 * signature.multiple) for shape in signature.inputs.values()
    ]
