"""Export a network as a torch.export graph for conversion: tensors in, a flat tuple of tensors out."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram


@contextmanager
def tracing() -> Iterator[None]:
    """Disable inference mode, whose tensors cannot be traced, and gradients, for tracing and conversion."""
    # torch's own code triggers its deprecation warnings here.
    with torch.inference_mode(False), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def traced(module: nn.Module, shapes: Sequence[Sequence[int] | None], multiple: int = 0) -> ExportedProgram:
    """Return the graph for inputs of these shapes; None: that input is missing. Call it within `tracing`.

    multiple: height and width of the inputs are dynamic, any multiple of this; 0: they are fixed by the shapes.
    """
    examples = tuple(torch.zeros(*shape) for shape in shapes if shape is not None)
    module = Flat(module, tuple(shape is not None for shape in shapes)).eval()
    return torch.export.export(module, examples, dynamic_shapes=_dynamic_shapes(len(examples), multiple))


def _dynamic_shapes(count: int, multiple: int) -> tuple[tuple[dict[int, object], ...]] | None:
    if not multiple:
        return None
    height, width = torch.export.Dim("height", min=1, max=128), torch.export.Dim("width", min=1, max=128)
    return (tuple({2: multiple * height, 3: multiple * width} for _ in range(count)),)


class Flat(nn.Module):
    """A network with a flat tuple of tensors as its output; inputs that `given` marks as missing are passed as None."""

    def __init__(self, network: nn.Module, given: tuple[bool, ...] = ()) -> None:
        super().__init__()
        self.network, self.given = network, given

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        rest = iter(inputs)
        every = (next(rest) if there else None for there in self.given) if self.given else rest
        return tuple(_tensors(self.network(*every)))


def _tensors(output: Tensor | Iterable[object]) -> list[Tensor]:
    if isinstance(output, Tensor):
        return [output]
    return [tensor for part in output for tensor in _tensors(part)]  # type: ignore[arg-type]
