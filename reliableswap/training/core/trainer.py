"""One loop for every network: Accelerate, mixed precision, averaged weights, checkpoints, exact resume."""

from __future__ import annotations

import contextlib
import copy
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.utils.data import DataLoader

from reliableswap.errors import ReliableSwapError
from reliableswap.models.base import Network

from .checkpoint import (
    TrainingState,
    checkpoints,
    find_checkpoint,
    keep_newest,
    load_checkpoint,
    save_checkpoint,
)
from .memory import keep_freed_memory
from .publish import publish
from .runlog import FIGURES_FILE, Watch, tracker_of
from .schedule import Positions, rate_share
from .settings import CONFIG_FILE, RunSettings, write_settings
from .task import Task

__all__ = ["Task", "train"]


@torch.no_grad()
def average(averaged: Network, network: Network, step: int, decay: float) -> None:
    """Move the averaged weights towards the network's; quicker at the start, when there is little to keep."""
    keep = min(decay, (1 + step) / (10 + step))
    for into, value in zip(averaged.state_dict().values(), network.state_dict().values(), strict=True):
        if into.dtype.is_floating_point:
            into.lerp_(value, 1 - keep)
        else:
            into.copy_(value)


def clipped_steps(
    optimizers: Sequence[torch.optim.Optimizer], most: float, scaler: torch.amp.GradScaler | None
) -> None:
    """A step of each optimizer that has gradients, none longer than `most`; the gradients are gone then.

    Accelerate's own optimizers share one scaler of fp16, and each would take its factor out of the others' again.
    """
    stepped = False
    for optimizer in optimizers:
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        if any(p.grad is not None for p in parameters):
            if scaler is not None:
                scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(parameters, most)
            optimizer.step() if scaler is None else scaler.step(optimizer)
            stepped = True
        optimizer.zero_grad(set_to_none=True)
    if scaler is not None and stepped:
        scaler.update()


def train(network: Network, task: Task, settings: RunSettings) -> dict[str, float]:
    """Train to the last step (or as far as the minutes allow) and save the averaged network; returns its figures.

    Make the network after torch.manual_seed(settings.seed), so that the run can be repeated.
    """
    return Run(network, task, settings)()


class Run:
    """One start of a training, on this process and its peers."""

    def __init__(self, network: Network, task: Task, settings: RunSettings) -> None:
        torch.set_flush_denormal(True)
        keep_freed_memory()
        torch.manual_seed(settings.seed)
        self.task, self.settings = task, settings
        self.tracker = tracker_of(settings.report_to)
        launched = int(os.environ.get("WORLD_SIZE", "1"))
        self.accelerator = Accelerator(
            # Where there is nothing else the peers of torchrun meet on the CPU; accelerate has to be told.
            cpu=launched > 1 and not torch.accelerator.is_available(),
            mixed_precision=settings.mixed_precision,
            log_with=self.tracker,
            project_dir=settings.output_dir if self.tracker else None,
        )
        self.ranks = self.accelerator.num_processes
        if self.ranks != launched:
            raise ReliableSwapError(
                f"{launched} processes were launched but {self.ranks} take part; "
                "on CPUs launch with ACCELERATE_USE_CPU=true accelerate launch --multi_gpu, or torchrun"
            )
        device = self.accelerator.device
        self.network = network.to(memory_format=torch.channels_last).to(device)
        self.averaged = copy.deepcopy(self.network).eval() if settings.use_ema else self.network
        self.network.train()  # one that was loaded, to start from, comes as it is used
        self.discriminator = task.discriminator
        if self.discriminator is not None:
            self.discriminator.to(memory_format=torch.channels_last).to(device)
        for module in task.companions.values():
            module.to(device)
        self.optimizers = self._optimizers()
        self.state = TrainingState(self._networks(), self.optimizers, dict(task.companions))
        self.step = 0
        self.scaler: dict[str, Any] | None = None
        self._resume()
        prepare = self.accelerator.prepare
        self.prepared: nn.Module = prepare(self.network)
        # Accelerate lays a conversion to float32 over forward, which would take our outputs apart; the loop casts.
        self.accelerator.unwrap_model(self.prepared, keep_fp32_wrapper=False)
        for name, module in task.companions.items():
            task.companions[name] = prepare(module)
        self.judge = prepare(self.discriminator) if self.discriminator is not None else None
        if self.scaler and self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(self.scaler)
        self.watch = Watch(self.accelerator, settings, self.step)

    def __call__(self) -> dict[str, float]:
        settings, accelerator = self.settings, self.accelerator
        if accelerator.is_main_process:
            settings.output_dir.mkdir(parents=True, exist_ok=True)
            write_settings(settings.output_dir / CONFIG_FILE, settings)
        if self.tracker:
            accelerator.init_trackers("tracker")
        figures: dict[str, float] = {}
        started = time.monotonic()
        batches = iter(self._loader())
        while self.step < settings.max_train_steps:
            # Whatever a loss draws follows from the step, so that a resumed run draws it again.
            torch.manual_seed((settings.seed * 1_000_003 + self.step) * 1024 + accelerator.process_index)
            self.task.start(self.step, accelerator.device)
            losses = self._step(batches)
            self.step += 1
            self.watch.losses(self.step, losses)
            last = self.step == settings.max_train_steps
            if self.step % settings.validation_steps == 0 or last:
                figures = self._validate()
            if self.step % settings.checkpointing_steps == 0:
                self._checkpoint()
            minutes = (time.monotonic() - started) / 60
            if settings.max_train_minutes is not None and self._agreed(minutes >= settings.max_train_minutes):
                self.watch.say(
                    f"stopped after {minutes:.0f} minutes at step {self.step}; "
                    "--resume_from_checkpoint latest goes on"
                )
                break
        self._checkpoint()
        if accelerator.is_main_process:
            publish(self.averaged, self.task, settings, self.step)
        accelerator.wait_for_everyone()
        accelerator.end_training()
        return figures

    def _networks(self) -> dict[str, Network]:
        networks = {"network": self.network}
        if self.settings.use_ema:
            networks["averaged"] = self.averaged
        if self.discriminator is not None:
            networks["discriminator"] = self.discriminator
        return networks

    def _optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """The network's, with its companions, and the discriminator's."""
        settings = self.settings
        betas = (settings.adam_beta1, settings.adam_beta2)

        def adam(modules: list[nn.Module], decay: float) -> torch.optim.Optimizer:
            parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
            groups = [
                {"params": [p for p in parameters if p.ndim > 1], "weight_decay": decay},
                {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
            ]
            return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=betas)

        optimizers = {
            "optimizer": adam([self.network, *self.task.companions.values()], settings.weight_decay)
        }
        if self.discriminator is not None:
            optimizers["discr_optimizer"] = adam([self.discriminator], 0.0)
        return optimizers

    def _resume(self) -> None:
        settings = self.settings
        if not settings.resume_from_checkpoint:
            if checkpoints(settings.output_dir) or (settings.output_dir / FIGURES_FILE).is_file():
                raise ReliableSwapError(
                    f"{settings.output_dir} holds an earlier run; go on with it by --resume_from_checkpoint latest, or "
                    "choose another --output_dir"
                )
            return
        folder = find_checkpoint(settings.output_dir, settings.resume_from_checkpoint)
        if folder is not None:
            position = load_checkpoint(folder, self.state)
            self._same_samples(folder, position.get("samples", {}))
            self.step, self.scaler = position["step"], position.get("scaler")
            if self.accelerator.is_main_process:
                print(f"resumed from {folder.name}", file=sys.stderr, flush=True)

    def _samples(self) -> dict[str, int]:
        """What decides which samples come at a step."""
        names = ("seed", "train_batch_size", "gradient_accumulation_steps", "dataloader_num_workers")
        return {"processes": self.ranks} | {name: int(getattr(self.settings, name)) for name in names}

    def _same_samples(self, folder: Path, before: Mapping[str, int]) -> None:
        """Going on otherwise would see some samples twice and others never, and nothing would say so."""
        now = self._samples()
        changed = [name for name, value in before.items() if now.get(name) != value]
        if changed:
            was, is_now = (", ".join(f"{n} {d[n]}" for n in changed) for d in (before, now))
            raise ReliableSwapError(
                f"{folder.name} was made with {was}, this run has {is_now}: the samples would not go on where they "
                "stopped; resume as it was started"
            )

    def _loader(self) -> DataLoader[Any]:
        settings = self.settings
        positions = Positions(
            self.step,
            settings.max_train_steps,
            settings.train_batch_size,
            self.accelerator.process_index,
            self.ranks,
            settings.gradient_accumulation_steps,
        )
        workers = settings.dataloader_num_workers
        return DataLoader(
            self.task.dataset,
            batch_sampler=positions,
            num_workers=workers,
            collate_fn=self.task.collate,
            prefetch_factor=4 if workers else None,
            worker_init_fn=_one_thread,
        )

    def _step(self, batches: Iterator[Any]) -> dict[str, Tensor]:
        """One step of the network, and of the discriminator on what the network made."""
        settings, accelerator = self.settings, self.accelerator
        rates = {"optimizer": settings.learning_rate}
        rates["discr_optimizer"] = getattr(settings, "discr_learning_rate", settings.learning_rate)
        share = rate_share(
            self.step, settings.lr_scheduler, settings.lr_warmup_steps, settings.max_train_steps
        )
        for name, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = rates[name] * share
        pieces = settings.gradient_accumulation_steps
        modules = [self.prepared, *self.task.companions.values()]
        if self.judge is not None:
            modules.append(self.judge)
        sums: dict[str, Tensor] = {}
        for piece in range(pieces):
            batch = _to(next(batches), accelerator.device)
            with contextlib.ExitStack() as quiet:
                if piece < pieces - 1:  # the ranks exchange gradients once a step
                    for module in modules:
                        quiet.enter_context(accelerator.no_sync(module))
                if self.discriminator is not None:
                    self.discriminator.requires_grad_(False)
                with accelerator.autocast():
                    losses = self.task.losses(self.prepared, batch)
                self._backward(losses, pieces)
                if self.judge is not None and self.discriminator is not None:
                    self.discriminator.requires_grad_(True)
                    with accelerator.autocast():
                        judged = self.task.discriminator_losses(self.judge, batch)
                    if judged:
                        self._backward(judged, pieces)
                    losses = {**losses, **judged}
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + value.detach() / pieces
        clipped_steps(list(self.optimizers.values()), settings.max_grad_norm, accelerator.scaler)
        if settings.use_ema:
            average(self.averaged, self.network, self.step, settings.ema_decay)
        return sums

    def _backward(self, losses: dict[str, Tensor], pieces: int) -> None:
        total = torch.stack([value.float() for value in losses.values()]).sum()
        if not math.isfinite(float(total.detach())):
            bad = {name: round(float(value.detach()), 4) for name, value in losses.items()}
            raise ReliableSwapError(
                f"losses are not finite at step {self.step}: {bad}; lower --learning_rate or --max_grad_norm"
            )
        self.accelerator.backward(total / pieces)

    def _checkpoint(self) -> None:
        if self.accelerator.is_main_process:
            scaler = self.accelerator.scaler
            position = {
                "step": self.step,
                "scaler": scaler.state_dict() if scaler is not None else None,
                "samples": self._samples(),
            }
            save_checkpoint(self.settings.output_dir / f"checkpoint-{self.step:07d}", self.state, position)
            keep_newest(self.settings.output_dir, self.settings.checkpoints_total_limit)
        self.accelerator.wait_for_everyone()

    def _validate(self) -> dict[str, float]:
        figures: dict[str, float] = {}
        if self.accelerator.is_main_process:
            was_training = self.averaged.training
            self.averaged.eval()
            self.task.start(self.step, self.accelerator.device)
            with torch.inference_mode():
                figures = self.task.validate(self.averaged)
                grid = self.task.grid(self.averaged)
            self.averaged.train(was_training)
            self.watch.validated(self.step, figures, grid, self.task.warnings(figures))
        self.accelerator.wait_for_everyone()
        self.watch.restart(self.step)
        return figures

    def _agreed(self, stop: bool) -> bool:
        """The ranks stop together: clocks differ, and a rank that waits alone waits for ever."""
        if self.ranks == 1:
            return stop
        flag = torch.tensor([float(stop)], device=self.accelerator.device)
        return bool(self.accelerator.reduce(flag, "sum").item() > 0)


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
