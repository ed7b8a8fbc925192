"""Small ONNX networks with known outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Shape = Sequence[int | str]


def save(
    path: Path,
    nodes: Sequence[tuple[str, Sequence[str], Sequence[str], dict[str, Any]]],
    inputs: Mapping[str, Shape],
    outputs: Mapping[str, Shape],
    constants: Mapping[str, np.ndarray] | None = None,
) -> Path:
    """Write a network. nodes: (operator, inputs, outputs, attributes) each. Its inputs and outputs are float32."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    ends = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)) for name, shape in side.items()]
        for side in (inputs, outputs)
    ]
    stored = [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()]
    made = [helper.make_node(kind, list(given), list(found), **more) for kind, given, found, more in nodes]
    graph = helper.make_graph(made, path.stem, *ends, stored)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    return path


def mean_colour(path: Path, side: int) -> Path:
    """(1,3,side,side) -> (1,3) the mean of each channel, so that the output shows which picture went in."""
    node = ("ReduceMean", ["x"], ["y"], {"axes": [2, 3], "keepdims": 0})
    return save(path, [node], {"x": (1, 3, side, side)}, {"y": (1, 3)})
