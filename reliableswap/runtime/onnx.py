"""Run networks on the CPU by ONNX Runtime, on every platform that it has a build for."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.export import ExportedProgram

from reliableswap.errors import ReliableSwapError
from reliableswap.models.base import Network

from .base import Runtime

NAME = "onnx"
FILE = "network.onnx"


@lru_cache(maxsize=1)
def library() -> Any:
    """Import ONNX Runtime, disable the telemetry of its Windows builds, and check that exporting is possible."""
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  # torch.onnx.export imports it only when it runs
    except ImportError as error:
        raise ReliableSwapError(
            f"the device {NAME} needs an optional dependency; run: pip install -e '.[onnx]' in the repository"
        ) from error
    onnxruntime.disable_telemetry_events()
    # The exporter warns about missing torchvision operators, which no network here uses.
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    return onnxruntime


def version() -> str:
    """Return the versions that a converted network depends on, besides torch's."""
    import onnxscript

    return f"onnxruntime {library().__version__}, onnxscript {onnxscript.__version__}"


def convert(graph: ExportedProgram, folder: Path) -> None:
    """Write an exported network into a folder, as FILE."""
    with _quiet():
        program = torch.onnx.export(graph, dynamo=True, verbose=False)
    assert program is not None
    (folder / FILE).write_bytes(program.model_proto.SerializeToString())


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's messages about every rewrite rule that it applied."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)


class OnnxRuntime(Runtime):
    """A network exported to ONNX in memory and run in float32 by ONNX Runtime."""

    name = NAME
    precision = "float32"

    def __init__(self, network: Network, *, exact: bool = False) -> None:
        super().__init__(network, exact=exact)
        self.version = version()

    def convert(self, graph: ExportedProgram, shapes: list[torch.Size], folder: Path) -> None:
        convert(graph, folder)

    def load(self, folder: Path) -> Any:
        options = library().SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        return library().InferenceSession(str(folder / FILE), options, providers=["CPUExecutionProvider"])

    def infer(self, compiled: Any, inputs: list[np.ndarray]) -> list[np.ndarray]:
        names = [one.name for one in compiled.get_inputs()]
        return list(compiled.run(None, dict(zip(names, inputs, strict=True))))
