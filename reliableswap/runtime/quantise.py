"""Make 8-bit copies of exported networks with ONNX Runtime's quantiser."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reliableswap.errors import ReliableSwapError

_LAYERS = ("Conv", "Gemm", "MatMul")


def quantise(source: Path, target: Path, rows: Sequence[Sequence[np.ndarray]], ends: int = 0) -> None:
    """Write an 8-bit copy of an ONNX file, calibrated on `rows`, inputs that the network sees in use.

    Weights are quantised per channel, activations per tensor. Depthwise convolutions stay in float32: their channels
    differ in range, and they take little time. The first and last `ends` of the other layers stay in float32 too. The
    file keeps float inputs and outputs.
    """
    import onnx
    from onnxruntime import quantization as tools
    from onnxruntime.quantization.shape_inference import quant_pre_process

    if not rows:
        raise ReliableSwapError(f"no example inputs to quantise {source.name} with; give photos with faces")
    names = [one.name for one in onnx.load(str(source), load_external_data=False).graph.input]
    quiet = logging.getLogger().level
    # It advises, by the root logger, to pre-process the file, although that was done just before.
    logging.getLogger().setLevel(logging.ERROR)
    try:
        with tempfile.TemporaryDirectory() as folder:
            prepared = Path(folder, "prepared.onnx")
            quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
            tools.quantize_static(
                str(prepared),
                str(target),
                _CalibrationReader(names, rows),
                quant_format=tools.QuantFormat.QDQ,
                activation_type=tools.QuantType.QUInt8,
                weight_type=tools.QuantType.QInt8,
                per_channel=True,
                op_types_to_quantize=list(_LAYERS),
                nodes_to_exclude=_excluded_nodes(prepared, ends),
            )
    finally:
        logging.getLogger().setLevel(quiet)


def _excluded_nodes(path: Path, ends: int) -> list[str]:
    """Return the names of a file's grouped convolutions, and of the first and last `ends` other layers."""
    import onnx

    layers = [node for node in onnx.load(str(path)).graph.node if node.op_type in _LAYERS]
    grouped = [node.name for node in layers if any(a.name == "group" and a.i > 1 for a in node.attribute)]
    others = [node.name for node in layers if node.name not in grouped]
    return [*grouped, *others[:ends], *others[max(ends, len(others) - ends) :]] if ends else grouped


class _CalibrationReader:
    """Example inputs in the form that the quantiser reads (CalibrationDataReader)."""

    def __init__(self, names: Sequence[str], rows: Iterable[Sequence[np.ndarray]]) -> None:
        self._left = iter([dict(zip(names, row, strict=True)) for row in rows])

    def get_next(self) -> dict[str, Any] | None:
        return next(self._left, None)
