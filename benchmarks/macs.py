"""Count the multiply-adds of every generator.

    python benchmarks/macs.py

They are counted at each convolution and matrix product that PyTorch dispatches during a forward pass on the meta
device, which computes nothing and needs no memory.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from reliableswap.models import FaceShifterGenerator, LightGenerator, SimSwapGenerator

SIZES = (128, 224, 256, 512)


class MacCounter(TorchDispatchMode):
    """A context manager that counts the multiply-adds of convolutions and matrix products."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        out = func(*args, **(kwargs or {}))
        packet = getattr(func, "overloadpacket", None)
        if packet is torch.ops.aten.convolution:
            pictures, weight, transposed = args[0], args[1], args[6]
            # One kernel per output of a convolution, or per input of a transposed convolution.
            self.total += (pictures if transposed else out).numel() * weight[0].numel()
        elif packet in (torch.ops.aten.mm, torch.ops.aten.bmm):
            self.total += out.numel() * args[0].shape[-1]
        elif packet in (torch.ops.aten.addmm, torch.ops.aten.baddbmm):
            self.total += out.numel() * args[1].shape[-1]
        return out


def count_macs(network: nn.Module, *inputs: Tensor) -> int:
    """Count the multiply-adds of one forward pass; network and inputs may be on the meta device."""
    with torch.no_grad(), MacCounter() as counter:
        network(*inputs)
    return counter.total


@dataclass(frozen=True)
class Case:
    """A generator to measure. only_size: its picture size, if it takes only one."""

    name: str
    build: Callable[[], nn.Module]
    only_size: int | None = None

    def inputs(self, network: Any, size: int, device: str, dtype: torch.dtype) -> tuple[Tensor, ...]:
        """Random inputs of a forward pass on one picture."""
        target = torch.rand(1, 3, size, size, device=device, dtype=dtype) * 2 - 1
        identity = torch.full((1, network.vector_size), network.vector_size**-0.5, device=device, dtype=dtype)
        if not network.guidance_channels:
            return target, identity
        return (
            target,
            identity,
            torch.zeros(1, network.guidance_channels, size, size, device=device, dtype=dtype),
        )


GENERATORS = (
    Case("LightGenerator", lambda: LightGenerator(identity_dim=128, fixer_dim=128)),
    Case("SimSwap", SimSwapGenerator),
    Case("SimSwap deep (512)", lambda: SimSwapGenerator(levels=4)),
    Case("FaceShifter 256", FaceShifterGenerator, only_size=256),
    Case("FaceShifter 512", lambda: FaceShifterGenerator(size=512), only_size=512),
)


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    print(f"{'generator':20} {'parameters':>12}" + "".join(f"{f'GMACs {size}':>12}" for size in SIZES))
    for case in GENERATORS:
        with torch.device("meta"):
            network: Any = case.build().eval()
        cells = []
        for size in SIZES:
            fits = case.only_size in (None, size)
            macs = count_macs(network, *case.inputs(network, size, "meta", torch.float32)) if fits else 0
            cells.append(f"{macs / 1e9:12.2f}" if fits else f"{'-':>12}")
        print(f"{case.name:20} {network.parameter_count:12,}" + "".join(cells))


if __name__ == "__main__":
    main()
