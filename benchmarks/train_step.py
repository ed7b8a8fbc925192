"""Measure a training step against a plain implementation of it, and two processes against one.

    python benchmarks/train_step.py TRIPLETS [--identity FOLDER]

TRIPLETS is a folder of 128 px triplets. The steps are those of `train_accelerate.py generator`: a light-128 step and a
SimSwap-256 step (on enlarged pictures), with all losses of their presets. The plain implementation uses float32, NCHW,
PyTorch's own norms, the losses' frozen networks without folded norms, and the C library's default memory handling.
The two take turns, each in its own process, and the median of the rounds' ratios is the result.
"""

from __future__ import annotations

import argparse
import dataclasses
import multiprocessing
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn import functional as F

from reliableswap.bundled import bundled
from reliableswap.convert.perceptual import pretrained_perceptual_features
from reliableswap.models import IdentityEncoder, MeshNet, norms
from reliableswap.training.core.memory import keep_freed_memory
from reliableswap.training.tasks.generator.build import LoadedNetworks, build_generator
from reliableswap.training.tasks.generator.settings import GeneratorSettings
from reliableswap.training.tasks.generator.task import GeneratorTask
from reliableswap.training.tasks.generator.views import MeshReader


class Step:
    """One implementation of a preset's step: optimised or plain."""

    def __init__(self, settings: GeneratorSettings, identity: Path, size: int, optimised: bool) -> None:
        torch.manual_seed(0)
        self.optimised = optimised
        layout = torch.channels_last if optimised else torch.contiguous_format
        encoder = IdentityEncoder.from_pretrained(identity).float()
        landmarks = MeshNet.from_pretrained(bundled("landmarks")).float()
        features = pretrained_perceptual_features()
        settings = dataclasses.replace(settings, mixed_precision="bf16" if optimised else "no")
        self.task = GeneratorTask(settings, LoadedNetworks(encoder, None, landmarks, features))
        frozen = self.task.frozen
        if not optimised:  # the frozen networks without folded norms
            frozen.identity, frozen.features, frozen.mesh_reader = encoder, features, MeshReader(landmarks)
        self.network = build_generator(settings, encoder, None, [size], self.task.held_out).to(
            memory_format=layout
        )
        modules: list[Any] = [
            frozen.identity,
            frozen.features,
            frozen.mesh_reader,
            self.task.discriminator,
        ]
        for module in modules:
            if module is not None:
                module.to(memory_format=layout)
        parameters = list(self.network.parameters())
        if self.task.discriminator is not None:
            parameters += list(self.task.discriminator.parameters())
        self.optimizer = torch.optim.AdamW(parameters, lr=1e-4)
        samples = [self.task.samples[i] for i in range(settings.train_batch_size)]
        batch = self.task.prepare(self.task.collate(samples))
        for name, value in batch.items():
            if torch.is_tensor(value) and value.ndim == 4 and value.shape[-1] != size:
                batch[name] = F.interpolate(value.float(), size=(size, size), mode="bilinear")
        self.batch = batch

    def __call__(self) -> None:
        torch.set_flush_denormal(self.optimised)
        if self.optimised:
            self.step()
        else:
            with patch.object(norms._ModulatedNorm, "apply", plain_norm):
                self.step()

    def step(self) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.optimised):
            losses = self.task.losses(self.network, self.batch)
        torch.stack([v.float() for v in losses.values()]).sum().backward()
        if self.task.discriminator is not None:
            self.task.discriminator.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=self.optimised):
                judged = self.task.discriminator_losses(self.task.discriminator, self.batch)
            torch.stack([v.float() for v in judged.values()]).sum().backward()
        self.optimizer.step()
        self.optimizer.zero_grad()


def plain_norm(x: Tensor, scale: Tensor, shift: Tensor, eps: float) -> Tensor:
    """The modulated norm (B,C,H,W) by PyTorch's own operations."""
    return F.instance_norm(x, eps=eps) * (scale + 1)[..., None, None] + shift[..., None, None]


def take_turns(
    preset: str, size: int, batch: int, optimised: bool, arguments: argparse.Namespace, line: Connection
) -> None:
    """Run in a process of its own: make a step at each request, and answer with its seconds."""
    if optimised:
        keep_freed_memory()
    settings = GeneratorSettings.of(
        preset, triplets=str(arguments.triplets), train_batch_size=batch, lower_face_weight=0.0, validation_pairs=2
    )  # fmt: skip
    step = Step(settings, arguments.identity, size, optimised)
    for _ in range(2):  # warm up
        step()
    line.send(torch.get_num_threads())
    while line.recv():
        started = time.perf_counter()
        step()
        line.send(time.perf_counter() - started)


def compare(name: str, preset: str, size: int, batch: int, arguments: argparse.Namespace) -> None:
    """Print the rates of both implementations and the median ratio."""
    lines = []
    context = multiprocessing.get_context("spawn")
    for optimised in (True, False):
        line, other = context.Pipe()
        process = context.Process(
            target=take_turns, args=(preset, size, batch, optimised, arguments, other), daemon=True
        )
        process.start()
        line.recv()  # let one get ready before the next starts
        lines.append(line)

    def seconds(line: Connection) -> float:
        line.send(True)
        return float(line.recv())

    rounds = [tuple(seconds(line) for line in lines) for _ in range(arguments.rounds)]
    for line in lines:
        line.send(False)
    ratio = statistics.median(b / a for a, b in rounds)
    rates = [batch / statistics.median(side) for side in zip(*rounds, strict=True)]
    print(
        f"{name:14s} {rates[0]:7.1f} images/s, plain float32 NCHW {rates[1]:6.1f}; "
        f"{ratio:.2f} times as fast (goal >= 2, {'met' if ratio >= 2 else 'MISSED'})",
        flush=True,
    )


def two_processes(arguments: argparse.Namespace) -> None:
    """Compare the whole trainer, data included, on one and two processes of one thread each."""
    rates = []
    for count in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            command = [
                sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(count),
                "train_accelerate.py", "generator", "--triplets", str(arguments.triplets),
                "--identity", str(arguments.identity), "--output_dir", folder, "--train_batch_size", "8",
                "--max_train_steps", "40", "--logging_steps", "20", "--validation_steps", "1000",
                "--validation_pairs", "2", "--dataloader_num_workers", "0", "--report_to", "none",
            ]  # fmt: skip
            environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
            result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        found = re.findall(r"\| (\d+) images/s", result.stderr)
        if result.returncode or not found:
            raise SystemExit(result.stderr[-2000:])
        rates.append(float(found[-1]))
    print(f"one process {rates[0]:.0f} images/s, two {rates[1]:.0f}: {rates[1] / rates[0]:.2f} times")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("triplets", type=Path, help="folder of 128 px triplets")
    parser.add_argument(
        "--identity", type=Path, help="folder of an identity encoder (default: the bundled one)"
    )
    parser.add_argument("--rounds", type=int, default=9, help="default: %(default)s")
    arguments = parser.parse_args()
    arguments.identity = arguments.identity or bundled("identity")
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}")
    compare("light-128", "light", 128, 16, arguments)
    compare("SimSwap-256", "simswap", 256, 2, arguments)
    two_processes(arguments)


if __name__ == "__main__":
    main()
