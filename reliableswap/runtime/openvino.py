"""Run networks on the CPU by OpenVINO, in about half of torch's time."""

from __future__ import annotations

import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.export import ExportedProgram

from reliableswap.errors import ReliableSwapError
from reliableswap.models.base import Network

from .base import Runtime

NAME = "openvino"
_FILE = "network.xml"
_PRECISIONS = {"bfloat16": "bf16", "float32": "f32"}


@lru_cache(maxsize=1)
def library() -> Any:
    """Import OpenVINO without its telemetry, which would report every import to its makers."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # its import fails as if not installed
    try:
        import openvino
    except ImportError as error:
        raise ReliableSwapError(
            f"the device {NAME} needs an optional dependency; run: pip install -e '.[openvino]' in the repository"
        ) from error
    return openvino


class OpenVino(Runtime):
    """A network run by OpenVINO. `precision`: float32, bfloat16, or auto, which is bfloat16 if the CPU supports it."""

    name = NAME

    def __init__(self, network: Network, precision: str = "auto", *, exact: bool = False) -> None:
        super().__init__(network, exact=exact)
        self.version = f"openvino {library().__version__}"
        self.core = library().Core()
        # No memory mapping: a temporary folder may be deleted while the network is in use.
        self.core.set_property({"ENABLE_MMAP": False})
        native = "BF16" in self.core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if precision == "auto":
            precision = "bfloat16" if native and not exact else "float32"
        self.precision = precision

    def convert(self, graph: ExportedProgram, shapes: list[torch.Size], folder: Path) -> None:
        model = library().convert_model(graph, input=[list(shape) for shape in shapes])
        library().save_model(model, str(folder / _FILE), compress_to_fp16=False)

    def load(self, folder: Path) -> Any:
        options = {
            "INFERENCE_PRECISION_HINT": _PRECISIONS[self.precision],
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "ENABLE_CPU_PINNING": False,  # several processes would all be pinned to the same cores
        }
        model = self.core.read_model(str(folder / _FILE))
        return self.core.compile_model(model, "CPU", options).create_infer_request()

    def infer(self, compiled: Any, inputs: list[np.ndarray]) -> list[np.ndarray]:
        return list(compiled.infer(inputs).values())
