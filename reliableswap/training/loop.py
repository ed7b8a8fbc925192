"""One loop for every network: Accelerate, bf16, averaged weights, checkpoints, exact resume."""

from __future__ import annotations

import copy
import json
import math
import os
import sys
import time
from collections.abc import Iterator
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from ..errors import ReliableSwapError
from ..models.base import Network
from .checkpoint import find_checkpoint, keep_newest, load_checkpoint, save_checkpoint
from .settings import RunSettings


class Task(Protocol):
    """What a training is about: its samples, its losses, its measure on held-out people."""

    @property
    def dataset(self) -> Dataset[Any]:
        """Sample i follows from the seed and i alone, for any i."""
        ...

    def losses(self, network: torch.nn.Module, batch: Any) -> dict[str, Tensor]:
        """Named losses, already weighted; their sum is minimised."""
        ...

    def validate(self, network: Network) -> dict[str, float]: ...


class Positions(Sampler[list[int]]):
    """Batches of sample positions for one rank, from any step on: no state to save, nothing to skip over."""

    def __init__(self, first_step: int, last_step: int, batch: int, rank: int, ranks: int) -> None:
        self.first, self.last, self.batch, self.rank, self.ranks = first_step, last_step, batch, rank, ranks

    def __len__(self) -> int:
        return self.last - self.first

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self.first, self.last):
            start = (step * self.ranks + self.rank) * self.batch
            yield list(range(start, start + self.batch))


def rate_at(step: int, settings: RunSettings) -> float:
    """The learning rate: linear warm-up, then a cosine to zero at the last step."""
    if step < settings.lr_warmup_steps:
        return settings.learning_rate * (step + 1) / settings.lr_warmup_steps
    done = (step - settings.lr_warmup_steps) / max(1, settings.max_train_steps - settings.lr_warmup_steps)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


@torch.no_grad()
def average(averaged: Network, network: Network, step: int, decay: float) -> None:
    """Move the averaged weights towards the network's; quicker at the start, when there is little to keep."""
    keep = min(decay, (1 + step) / (10 + step))
    for into, value in zip(averaged.state_dict().values(), network.state_dict().values(), strict=True):
        if into.dtype.is_floating_point:
            into.lerp_(value, 1 - keep)
        else:
            into.copy_(value)


def train(network: Network, task: Task, settings: RunSettings) -> dict[str, float]:
    """Train to the last step (or as far as the minutes allow) and save the averaged network; returns its figures."""
    torch.set_flush_denormal(True)
    torch.manual_seed(settings.seed)
    accelerator = Accelerator(mixed_precision=settings.mixed_precision)
    launched = int(os.environ.get("WORLD_SIZE", "1"))
    if accelerator.num_processes != launched:
        raise ReliableSwapError(
            f"{launched} processes were launched but {accelerator.num_processes} take part; "
            "on CPUs launch with ACCELERATE_USE_CPU=true accelerate launch --multi_gpu, or torchrun"
        )
    network = network.to(memory_format=torch.channels_last)
    averaged = copy.deepcopy(network).to(accelerator.device).eval()
    decayed = [p for p in network.parameters() if p.ndim > 1]
    plain = [p for p in network.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": plain, "weight_decay": 0.0}],
        lr=settings.learning_rate,
    )
    step = 0
    figures: dict[str, float] = {}
    if settings.resume_from_checkpoint:
        folder = find_checkpoint(settings.output_dir, settings.resume_from_checkpoint)
        if folder is not None:
            step = load_checkpoint(folder, network, averaged, optimizer)["step"]
            _say(accelerator, f"resumed from {folder.name}")
    prepared, optimizer = accelerator.prepare(network, optimizer)
    positions = Positions(
        step, settings.max_train_steps, settings.train_batch_size, accelerator.process_index, launched
    )
    workers = settings.dataloader_num_workers
    loader = DataLoader(
        task.dataset,
        batch_sampler=positions,
        num_workers=workers,
        collate_fn=getattr(task, "collate", None),
        prefetch_factor=4 if workers else None,
        worker_init_fn=_one_thread,
    )
    started, since, logged = time.monotonic(), time.monotonic(), step
    sums: dict[str, Tensor] = {}

    def checkpoint() -> None:
        if accelerator.is_main_process:
            folder = settings.output_dir / f"checkpoint-{step:07d}"
            save_checkpoint(folder, network, averaged, optimizer.optimizer, {"step": step})
            keep_newest(settings.output_dir, settings.checkpoints_total_limit)
        accelerator.wait_for_everyone()

    prepared.train()
    for batch in loader:
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, settings)
        batch = _to(batch, accelerator.device)
        with accelerator.autocast():
            losses = task.losses(prepared, batch)
        total = torch.stack(list(losses.values())).sum()
        if not torch.isfinite(total):
            bad = {name: float(value) for name, value in losses.items()}
            raise ReliableSwapError(
                f"losses are not finite at step {step}: {bad}; lower --learning_rate or --max_grad_norm"
            )
        optimizer.zero_grad(set_to_none=True)
        accelerator.backward(total)
        accelerator.clip_grad_norm_(prepared.parameters(), settings.max_grad_norm)
        optimizer.step()
        average(averaged, network, step, settings.ema_decay)
        step += 1
        for name, value in losses.items():
            sums[name] = sums.get(name, torch.zeros((), device=value.device)) + value.detach()
        if step % settings.logging_steps == 0:
            seconds, count = time.monotonic() - since, step - logged
            rate = count * settings.train_batch_size * launched / seconds
            left = (settings.max_train_steps - step) * seconds / count / 60
            text = " ".join(f"{name} {float(value) / count:.4f}" for name, value in sums.items())
            _say(
                accelerator,
                f"{accelerator.device} {settings.mixed_precision} step {step}/{settings.max_train_steps} {text} "
                f"| {rate:.0f} images/s, {left:.0f} min left",
            )
            since, logged, sums = time.monotonic(), step, {}
        if step % settings.validation_steps == 0 or step == settings.max_train_steps:
            figures = _validate(accelerator, task, averaged, settings, step)
            since, logged, sums = time.monotonic(), step, {}
        if step % settings.checkpointing_steps == 0:
            checkpoint()
        minutes = (time.monotonic() - started) / 60
        if settings.max_train_minutes is not None and _agreed(
            accelerator, minutes >= settings.max_train_minutes
        ):
            _say(
                accelerator,
                f"stopped after {minutes:.0f} minutes at step {step}; --resume_from_checkpoint latest goes on",
            )
            break
    checkpoint()
    if accelerator.is_main_process:
        averaged.save_pretrained(settings.output_dir)
    accelerator.wait_for_everyone()
    accelerator.end_training()
    return figures


def _validate(
    accelerator: Accelerator, task: Task, averaged: Network, settings: RunSettings, step: int
) -> dict[str, float]:
    if not accelerator.is_main_process:
        accelerator.wait_for_everyone()
        return {}
    with torch.inference_mode():
        figures = task.validate(averaged)
    _say(accelerator, f"step {step} held-out: " + " ".join(f"{k} {v:.4f}" for k, v in figures.items()))
    settings.output_dir.mkdir(parents=True, exist_ok=True)
    with (settings.output_dir / "figures.jsonl").open("a") as log:
        log.write(json.dumps({"step": step, **figures}) + "\n")
    accelerator.wait_for_everyone()
    return figures


def _agreed(accelerator: Accelerator, stop: bool) -> bool:
    """The ranks stop together: clocks differ, and a rank that waits alone waits for ever."""
    if accelerator.num_processes == 1:
        return stop
    flag = torch.tensor([float(stop)], device=accelerator.device)
    return bool(accelerator.reduce(flag, "sum").item() > 0)


def _one_thread(_: int) -> None:
    import cv2

    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def _to(batch: Any, device: torch.device) -> Any:
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, dict):
        return {key: _to(value, device) for key, value in batch.items()}
    return [_to(value, device) for value in batch]


def _say(accelerator: Accelerator, text: str) -> None:
    if accelerator.is_main_process:
        print(text, file=sys.stderr, flush=True)
