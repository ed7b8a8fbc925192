"""Names and shapes of the published checkpoints' tensors, at any width, written down independently of our networks."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

Shapes = Iterator[tuple[str, list[int]]]


def load_benchmark(name: str) -> ModuleType:
    """Import a script of benchmarks/ as a module."""
    path = Path(__file__).parents[2] / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _norm(name: str, width: int) -> Shapes:
    for part in ("weight", "bias", "running_mean", "running_var"):
        yield f"{name}.{part}", [width]
    yield f"{name}.num_batches_tracked", []


def _layer(name: str, *shape: int, bias: int | None = None) -> Shapes:
    """A convolution or linear layer; bias: its length, if it has one."""
    yield f"{name}.weight", list(shape)
    if bias is not None:
        yield f"{name}.bias", [bias]


def simswap(width: int = 64, vector: int = 512, levels: int = 3, blocks: int = 9) -> Shapes:
    widths = [width * min(2**level, 8) for level in range(levels + 1)]
    deep = widths[-1]
    yield "trans_matrix", [1, 2, 3]
    yield from _layer("first_layer.1", width, 3, 7, 7, bias=width)
    yield from _norm("first_layer.2", width)
    for n in range(1, levels + 1):
        yield from _layer(f"down{n}.0", widths[n], widths[n - 1], 3, 3, bias=widths[n])
        yield from _norm(f"down{n}.1", widths[n])
    for b in range(blocks):
        for n in (1, 2):
            yield from _layer(f"BottleNeck.{b}.conv{n}.1", deep, deep, 3, 3, bias=deep)
            yield from _layer(f"BottleNeck.{b}.style{n}.linear", 2 * deep, vector, bias=2 * deep)
    for n in range(levels, 0, -1):
        yield from _layer(f"up{n}.1", widths[n - 1], widths[n], 3, 3, bias=widths[n - 1])
        yield from _norm(f"up{n}.2", widths[n - 1])
    yield from _layer("last_layer.1", 3, width, 7, 7, bias=3)


def faceshifter(width: int = 1024, vector: int = 640, large: bool = False) -> Shapes:
    # The 512 variant still contains the first convolution and the last block of the 256 one, but uses neither.
    yield from _layer("encoder.conv1.0", width // 32, 3, 4, 4)
    yield from _norm("encoder.conv1.1", width // 32)
    if large:
        for name, before, after in (("conv00", 3, width // 64), ("conv01", width // 64, width // 32)):
            yield from _layer(f"encoder.{name}.0", after, before, 4, 4)
            yield from _norm(f"encoder.{name}.1", after)
    widths = [width // 32, width // 16, width // 8, width // 4, width // 2, width, width]
    for n in range(2, 8):
        yield from _layer(f"encoder.conv{n}.0", widths[n - 1], widths[n - 2], 4, 4)
        yield from _norm(f"encoder.conv{n}.1", widths[n - 1])
    skips = [*reversed(widths[:-1]), *([width // 64] if large else [])]
    before, maps = width, [width]
    for n, skip in enumerate(skips, 1):
        yield from _layer(f"encoder.deconv{n}.deconv", before, skip, 4, 4)
        yield from _norm(f"encoder.deconv{n}.bn", skip)
        before = 2 * skip
        maps.append(before)
    yield from _layer("generator.up1", vector, width, 2, 2, bias=width)
    w = width
    ins = [w, w, w, w, w // 2, w // 4, w // 8]
    outs = [w, w, w, w // 2, w // 4, w // 8, w // 16]
    blocks = [(f"AADBlk{n + 1}", ins[n], outs[n], maps[n]) for n in range(7)]
    blocks.append(("AADBlk8", w // 16, 3, w // 16))
    if large:
        blocks.append(("AADBlk8_0", w // 16, w // 32, w // 32))
        blocks.append(("AADBlk8_1", w // 32, 3, w // 32))
    for name, before, after, attributes in blocks:
        for step in (1, 2, 3) if before != after else (1, 2):
            layer = f"generator.{name}.AAD{step}"
            for conv in ("conv1", "conv2"):
                yield from _layer(f"{layer}.{conv}", before, attributes, 1, 1, bias=before)
            for linear in ("fc1", "fc2"):
                yield from _layer(f"{layer}.{linear}", before, vector, bias=before)
            yield from _layer(f"{layer}.conv_h", 1, before, 1, 1, bias=1)
            yield from _layer(f"generator.{name}.conv{step}", before if step == 1 else after, before, 3, 3)


def hear(width: int = 64) -> Shapes:
    widths = [6, width, 2 * width, 4 * width, 8 * width, 8 * width]
    for n in range(1, 6):
        yield from _layer(f"down{n}.0", widths[n], widths[n - 1], 4, 4, bias=widths[n])
        yield from _norm(f"down{n}.1", widths[n])
    before = widths[5]
    for n in range(1, 5):
        after = widths[5 - n]
        yield from _layer(f"up{n}.0", before, after, 4, 4, bias=after)
        yield from _norm(f"up{n}.1", after)
        before = 2 * after
    yield from _layer("up5", 3, before, 3, 3, bias=3)


def iresnet(units: tuple[int, ...] = (3, 4, 14, 3), embedding: int = 512, side: int = 7) -> Shapes:
    yield from _layer("conv1", 64, 3, 3, 3)
    yield from _norm("bn1", 64)
    yield "prelu.weight", [64]
    before = 64
    for number, (width, count) in enumerate(zip((64, 128, 256, 512), units, strict=True), 1):
        for unit in range(count):
            name = f"layer{number}.{unit}"
            yield from _norm(f"{name}.bn1", before)
            yield from _layer(f"{name}.conv1", width, before, 3, 3)
            yield from _norm(f"{name}.bn2", width)
            yield f"{name}.prelu.weight", [width]
            yield from _layer(f"{name}.conv2", width, width, 3, 3)
            yield from _norm(f"{name}.bn3", width)
            if unit == 0:
                yield from _layer(f"{name}.downsample.0", width, before, 1, 1)
                yield from _norm(f"{name}.downsample.1", width)
            before = width
    yield from _norm("bn2", 512)
    yield from _layer("fc", embedding, 512 * side * side, bias=embedding)
    yield from _norm("features", embedding)
