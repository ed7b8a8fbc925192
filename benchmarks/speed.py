"""Measure what every generator costs on this machine: parameters, multiply-adds, median time.

    python benchmarks/speed.py [--quick] [--openvino]

One picture at a time, at 128, 224, 256 and 512 px, in float32, in bfloat16, and in bfloat16 with channels-last memory;
with --openvino also by OpenVINO. The weights are random, which does not change the times. A dash marks a size that the
network does not take.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent))

from macs import GENERATORS, SIZES, Case, count_macs

from reliableswap.runtime.openvino import NAME as OPENVINO
from reliableswap.runtime.openvino import OpenVino

VARIANTS = {
    "fp32": (torch.float32, torch.contiguous_format),
    "bf16": (torch.bfloat16, torch.contiguous_format),
    "bf16 last": (torch.bfloat16, torch.channels_last),
}


@torch.inference_mode()
def median_ms(network: Any, inputs: tuple[Tensor, ...], repeats: int, device: str) -> float:
    """Median milliseconds of a forward pass, after one warm-up pass."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        network(*inputs)
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times[1:])


def measure(case: Case, repeats: int, device: str, openvino: bool) -> None:
    """Print one line per size: GMACs, then the time of each way to run the generator."""
    with torch.device("meta"):
        counted: Any = case.build().eval()
    network: Any = case.build().eval().to(device)
    times: dict[tuple[int, str], float] = {}
    sizes = [size for size in SIZES if case.only_size in (None, size)]
    for label, (dtype, layout) in VARIANTS.items():
        network = network.to(dtype=dtype, memory_format=layout)
        for size in sizes:
            inputs = tuple(
                one.contiguous(memory_format=layout) if one.ndim == 4 else one
                for one in case.inputs(network, size, device, dtype)
            )
            times[size, label] = median_ms(network, inputs, repeats, device)
    if openvino:
        quick = OpenVino(network.to(dtype=torch.float32, memory_format=torch.contiguous_format))
        for size in sizes:
            times[size, OPENVINO] = median_ms(
                quick, case.inputs(network, size, device, torch.float32), repeats, device
            )
    for size in SIZES:
        line = f"{case.name:20} {counted.parameter_count / 1e6:8.2f} {size:6}"
        if size in sizes:
            gmacs = count_macs(counted, *case.inputs(counted, size, "meta", torch.float32)) / 1e9
            line += f" {gmacs:8.2f}" + "".join(f" {times[size, label]:9.1f}" for label in variants(openvino))
        else:
            line += f" {'-':>8}" + f" {'-':>9}" * len(variants(openvino))
        print(line, flush=True)


def variants(openvino: bool) -> list[str]:
    return [*VARIANTS, *([OPENVINO] if openvino else [])]


def machine(device: str) -> str:
    """CPU or GPU model, threads and cores; not the machine's name."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    models = [line.split(":")[1].strip() for line in _cpu_lines() if line.startswith("model name")]
    return (
        f"{models[0] if models else platform.machine()}, {torch.get_num_threads()} of {os.cpu_count()} cores"
    )


def _cpu_lines() -> list[str]:
    about = Path("/proc/cpuinfo")
    return about.read_text().splitlines() if about.is_file() else []


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="repeat 3 times instead of 15")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", help="only generators whose name contains this")
    parser.add_argument(
        "--openvino", action="store_true", help="also run by OpenVINO, in bfloat16 where it can"
    )
    parser.add_argument("--threads", type=int, help="CPU threads (default: all)")
    arguments = parser.parse_args()
    if arguments.openvino and arguments.device != "cpu":
        parser.error(f"--openvino runs on the CPU only, not on {arguments.device}")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    print(f"{machine(arguments.device)}, torch {torch.__version__}")
    print(
        f"{'generator':20} {'M params':>8} {'px':>6} {'GMACs':>8}"
        + "".join(f" {way:>9}" for way in variants(arguments.openvino))
    )
    print("milliseconds per picture")
    for case in GENERATORS:
        if arguments.only and arguments.only.lower() not in case.name.lower():
            continue
        measure(case, 3 if arguments.quick else 15, arguments.device, arguments.openvino)
        gc.collect()


if __name__ == "__main__":
    main()
