"""The base class of all runtimes but torch's own: it compiles a network for each shape of its inputs."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeGuard

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from reliableswap.errors import ReliableSwapError
from reliableswap.models.base import Network
from reliableswap.models.generator import Generator, GeneratorOutput
from reliableswap.models.light import LightGenerator

from .cache import cached_conversion
from .state import WeightsState
from .tracing import traced, tracing


class Runtime(ABC):
    """A network run on the CPU by another library: called like the network, with its config and attributes.

    It is compiled at the first call with inputs of new shapes, and again after the network's weights change. That takes
    seconds unless the converted network is in the cache. It has no gradients.
    """

    name: ClassVar[str]  # as in `--device NAME`
    version: str  # versions of the library and of anything else that a converted network depends on
    device, dtype = torch.device("cpu"), torch.float32

    def __init__(self, network: Network, *, exact: bool = False) -> None:
        """`exact` requests full float32, which the coordinates of a mesh need."""
        self.exact = exact
        self.network = network.eval()
        self._compiled: dict[tuple[int, tuple[torch.Size | None, ...]], Any] = {}  # by threads and shapes
        self._lock = threading.Lock()  # a compiled network takes one caller at a time
        self._state = self._checked_state()

    def __getattr__(self, name: str) -> Any:
        if name == "network":  # not set yet while this object is being unpickled or copied
            raise AttributeError(name)
        return getattr(self.network, name)

    def __call__(self, *inputs: Tensor | None) -> Any:
        with self._lock:
            if not self.is_current():
                self._state = self._checked_state()
                self._compiled.clear()
        return self.run(*inputs)

    def run(self, *inputs: Tensor | None) -> Any:
        """Call the network without the check of `is_current`, which takes about a millisecond; check it before."""
        network = self.network
        if isinstance(network, LightGenerator) and network.layer_head is not None and _complete(inputs):
            target, identity, guidance = inputs
            network.check_inputs(target, identity, guidance)
            return network.layered(self.maps, target, identity, guidance)
        outputs = self._outputs(network, inputs)
        if isinstance(network, Generator):
            return GeneratorOutput(image=outputs[0], mask=outputs[1])
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def maps(self, *inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Run the network of a layered generator: its `maps`, which are not applied."""
        made, maps, logits = self._outputs(LayerMaps(self.network), inputs)
        return made, maps, logits

    def _outputs(self, module: nn.Module, inputs: Sequence[Tensor | None]) -> list[Tensor]:
        shapes = tuple(None if x is None else x.shape for x in inputs)
        arrays = [x.float().contiguous().numpy() for x in inputs if x is not None]
        with self._lock:
            key = torch.get_num_threads(), shapes
            if key not in self._compiled:
                self._compiled[key] = self._compile_for(module, shapes)
            return [torch.from_numpy(array) for array in self.infer(self._compiled[key], arrays)]

    def is_current(self) -> bool:
        """Whether the network's weights are still those that were compiled."""
        return self._state.matches(self.network)

    @abstractmethod
    def convert(self, graph: ExportedProgram, shapes: list[torch.Size], folder: Path) -> None:
        """Convert an exported network with inputs of these shapes and a tuple of outputs, and write it to a folder."""

    @abstractmethod
    def load(self, folder: Path) -> Any:
        """Compile what `convert` wrote; the folder may be deleted afterwards."""

    @abstractmethod
    def infer(self, compiled: Any, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """Run what `load` returned; the caller owns the outputs."""

    def _checked_state(self) -> WeightsState:
        network = self.network
        if network.device.type != "cpu" or network.dtype != torch.float32:
            raise ReliableSwapError(
                f"{self.name} takes float32 weights on the CPU, but {type(network).__name__} has {network.dtype} on "
                f"{network.device}; move it to cpu and torch.float32 first"
            )
        return WeightsState(network)

    def _compile_for(self, module: nn.Module, shapes: tuple[torch.Size | None, ...]) -> Any:
        given = [shape for shape in shapes if shape is not None]

        def convert(folder: Path) -> None:
            self.convert(traced(module, shapes), given, folder)

        request = [type(module).__name__, *shapes]
        try:
            with (
                tracing(),
                cached_conversion(self.name, self.version, self.network, request, convert) as folder,
            ):
                return self.load(folder)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[0].rstrip(".")
            sizes = ", ".join(str(tuple(shape)) for shape in given)
            raise ReliableSwapError(
                f"{self.name} can't run {type(self.network).__name__} on inputs of {sizes}: {reason}; choose "
                "the device cpu"
            ) from error


def _complete(inputs: Sequence[Tensor | None]) -> TypeGuard[Sequence[Tensor]]:
    """Whether target, identity and guidance are all given."""
    return len(inputs) == 3 and all(one is not None for one in inputs)


class OneByOne:
    """Calls a runtime with one sample at a time, because it would compile again for every batch size.

    The caller has checked that the runtime is current.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    def __getattr__(self, name: str) -> Any:
        if name == "runtime":
            raise AttributeError(name)
        return getattr(self.runtime, name)

    def __call__(self, batch: Tensor) -> Any:
        answers = [self.runtime.run(sample[None]) for sample in batch]
        if isinstance(answers[0], Tensor):
            return torch.cat(answers)
        return tuple(torch.cat(parts) for parts in zip(*answers, strict=True))


class LayerMaps(nn.Module):
    """A layered generator's `maps` as a module, for export."""

    generator: Network

    def __init__(self, generator: Network) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, *inputs: Tensor) -> Any:
        return self.generator.maps(*inputs)
