"""Networks on the CPU by OpenVINO: the same answers in about half of torch's time, or nearly so where it rounds."""

from __future__ import annotations

import sys
import threading
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from reliableswap.errors import ReliableSwapError
from reliableswap.models.base import Network
from reliableswap.models.generator import Generator, GeneratorOutput

NAME = "openvino"


@lru_cache(maxsize=1)
def library() -> Any:
    """OpenVINO, without its telemetry, which would report every import to its makers."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # to Python: not installed
    try:
        import openvino
    except ImportError as error:
        raise ReliableSwapError(
            f"the device {NAME} needs its extra; run: pip install -e '.[openvino]' in the repository"
        ) from error
    return openvino


class _Flat(nn.Module):
    """A network as tensors in, tensors out: inputs that are None at the places that `given` says are left out."""

    def __init__(self, network: nn.Module, given: tuple[bool, ...]) -> None:
        super().__init__()
        self.network, self.given = network, given

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        rest = iter(inputs)
        answer = self.network(*(next(rest) if there else None for there in self.given))
        return tuple(answer) if isinstance(answer, GeneratorOutput) else (answer,)


class OpenVino:
    """A network of ours to be called, and asked about its config, as itself; it gives no gradients.

    It is compiled at the first call with inputs of a new shape, which takes a few seconds. `precision` is float32,
    bfloat16, or auto: bfloat16 where the processor has it.
    """

    def __init__(self, network: Network, precision: str = "auto") -> None:
        if network.device.type != "cpu" or network.dtype != torch.float32:
            raise ReliableSwapError(
                f"{NAME} takes float32 weights on the CPU, and these are {network.dtype} on {network.device}"
            )
        self.core = library().Core()
        native = "BF16" in self.core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if precision == "auto":
            precision = "bfloat16" if native else "float32"
        self.network, self.precision = network.eval(), precision
        # Kept, because a network looks through all its modules for them.
        self.device, self.dtype = network.device, network.dtype
        self._compiled: dict[tuple[torch.Size, ...], Any] = {}
        self._turn = threading.Lock()  # a compiled network takes one caller at a time

    def __getattr__(self, name: str) -> Any:
        return getattr(self.network, name)

    def __call__(self, *inputs: Tensor | None) -> Any:
        given = [x for x in inputs if x is not None]
        shapes = tuple(x.shape for x in given)
        with self._turn:
            if shapes not in self._compiled:
                self._compiled[shapes] = self._compile(tuple(x is not None for x in inputs), shapes)
            answers = self._compiled[shapes].infer([x.float().contiguous().numpy() for x in given])
        outputs = [torch.from_numpy(answer) for answer in answers.values()]
        if isinstance(self.network, Generator):
            return GeneratorOutput(image=outputs[0], mask=outputs[1])
        return outputs[0]

    def _compile(self, given: tuple[bool, ...], shapes: tuple[torch.Size, ...]) -> Any:
        """A request to the network for inputs of these shapes; what does not fit the network is its own ValueError."""
        ways = {
            "INFERENCE_PRECISION_HINT": {"bfloat16": "bf16", "float32": "f32"}[self.precision],
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "ENABLE_CPU_PINNING": False,  # several processes would all be pinned to the same cores
        }
        try:
            with torch.inference_mode(False), torch.no_grad():
                examples = tuple(torch.zeros(shape) for shape in shapes)
                graph = torch.export.export(_Flat(self.network, given), examples)
            model = library().convert_model(graph, input=[list(shape) for shape in shapes])
            return self.core.compile_model(model, "CPU", ways).create_infer_request()
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[0].rstrip(".")
            sizes = ", ".join(str(tuple(shape)) for shape in shapes)
            raise ReliableSwapError(
                f"{NAME} can't run {type(self.network).__name__} on inputs of {sizes}: {reason}; choose "
                "the device cpu"
            ) from error
