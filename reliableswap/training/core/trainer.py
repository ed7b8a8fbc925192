"""One loop for every network: Accelerate, mixed precision, averaged weights, checkpoints, exact resume."""

from __future__ import annotations

import contextlib
import copy
import logging
import os
import secrets
import time
from collections.abc import Iterator
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import parse_flag_from_env
from torch import Tensor, nn

from reliableswap.errors import ReliableSwapError
from reliableswap.models.base import Network

from .batches import make_loader, start_loading, to_device
from .config import CONFIG_FILE, write_settings
from .distributed import on_all
from .fingerprint import Fingerprint
from .memory import keep_freed_memory
from .mirror import fetch_named_checkpoint, mirrored
from .optimization import Stepper, make_average, make_optimizers, make_schedulers, tensors_of
from .publish import publish
from .resume import resume
from .runlog import RunLog, drop_figures_after, find_tracker
from .settings import RunSettings
from .state import TrainingState, keep_newest, save_checkpoint
from .task import Task

__all__ = ["Task", "train"]

_CLOCK_STEPS = 10  # steps between comparisons of the ranks' clocks

logger = logging.getLogger(__name__)


def train(network: Network, task: Task, settings: RunSettings) -> dict[str, float]:
    """Train to the last step or the time limit, and save the averaged network; return its figures.

    Call torch.manual_seed(settings.seed) before creating the network, so that the run is reproducible.
    """
    return Trainer(network, task, settings).run()


class Trainer:
    """A run, from its start or resumption to its end, on this rank."""

    def __init__(self, network: Network, task: Task, settings: RunSettings) -> None:
        torch.set_flush_denormal(True)
        keep_freed_memory()
        torch.manual_seed(settings.seed)
        self.given, (settings, self.mirror) = settings, mirrored(settings)
        self.task, self.settings = task, settings
        self.accelerator = make_accelerator(settings)
        on_all(lambda: fetch_named_checkpoint(self.given))
        if self.mirror is not None:
            on_all(self.mirror.fetch)
        self.network = self._placed(network)
        self.averaged = copy.deepcopy(self.network).eval() if settings.use_ema else self.network
        self.network.train()  # from_pretrained returns networks in evaluation mode
        self.discriminator = self._placed(task.discriminator) if task.discriminator is not None else None
        for module in task.companions.values():
            module.to(self.accelerator.device)
        self.optimizers = make_optimizers(
            self.network, task.companions.values(), self.discriminator, settings
        )
        self.state = TrainingState(self._networks(), self.optimizers, dict(task.companions))
        self.fingerprint = self._agreed_fingerprint()
        position = resume(settings, self.state, self.fingerprint) or {"step": 0, "scaler": None}
        self.step = self.saved_step = self.started_at = int(position["step"])
        if self.accelerator.is_main_process:
            drop_figures_after(self.step, settings.output_dir)
        self._wrap()
        if position["scaler"] and self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(position["scaler"])
        self.schedulers = make_schedulers(self.optimizers.values(), settings, self.step)
        self.average = None
        if settings.use_ema:
            self.average = make_average(self.network, self.averaged, settings.ema_decay, self.step)
        self.stepper = Stepper(
            list(self.optimizers.values()), settings.max_grad_norm, self.accelerator.scaler
        )
        self.log = RunLog(self.accelerator, settings, self.step)

    def run(self) -> dict[str, float]:
        """Train, publish on rank 0, and return the figures of the last validation."""
        settings, accelerator = self.settings, self.accelerator
        if accelerator.is_main_process:
            settings.output_dir.mkdir(parents=True, exist_ok=True)
            write_settings(settings.output_dir / CONFIG_FILE, self.given)
        if accelerator.log_with:
            accelerator.init_trackers("tracker")
        figures = self._loop()
        if accelerator.device.type == "cuda":
            peak = torch.cuda.max_memory_allocated(accelerator.device) / 2**30
            self.log.info(f"peak GPU memory: {peak:.2f} GiB")
        self._save()
        if accelerator.is_main_process:
            publish(self.averaged, self.task, settings, self.step)
            if self.mirror is not None:
                self.mirror.push()
        accelerator.wait_for_everyone()
        accelerator.end_training()
        return figures

    def _loop(self) -> dict[str, float]:
        settings, accelerator = self.settings, self.accelerator
        figures: dict[str, float] = {}
        started = time.monotonic()
        batches = start_loading(
            make_loader(self.task, settings, self.step, accelerator.process_index, accelerator.num_processes)
        )
        while self.step < settings.max_train_steps:
            # Seed every step by its number, so that a resumed run makes the same random draws.
            torch.manual_seed((settings.seed * 1_000_003 + self.step) * 1024 + accelerator.process_index)
            self.task.start(self.step, accelerator.device)
            losses, finite = self._step(batches)
            self.step += 1
            self.log.add(self.step, losses, finite)
            if self.step % settings.logging_steps == 0:
                self.stepper.check()
                self.log.log(self.step)
            if self.step % settings.validation_steps == 0 or self.step == settings.max_train_steps:
                figures = self._validate()
            if self.step % settings.checkpointing_steps == 0:
                self._save()
            if self._out_of_time(time.monotonic() - started):
                break
        return figures

    def _step(self, batches: Iterator[Any]) -> tuple[dict[str, Tensor], Tensor]:
        """Step the network and the discriminator. Return the mean losses, and 1 or, if fp16 skipped the step, 0.

        Nothing here waits for the device: it would idle while the CPU prepares the next step.
        """
        pieces = self.settings.gradient_accumulation_steps
        sums: dict[str, Tensor] = {}
        for piece in range(pieces):
            batch = self.task.prepare(to_device(next(batches), self.accelerator.device))
            with contextlib.ExitStack() as local:
                if piece < pieces - 1:  # ranks exchange gradients once per step
                    for module in self._wrapped_modules():
                        local.enter_context(self.accelerator.no_sync(module))
                losses = self._backward(batch, pieces)
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + value.detach() / pieces
        finite = self.stepper(sums, self.step)
        for scheduler in self.schedulers:
            scheduler.step()
        if self.average is not None:
            self.average.step(tensors_of(self.network))
        return sums, finite

    def _backward(self, batch: Any, pieces: int) -> dict[str, Tensor]:
        """Backpropagate one batch through the network, then through the discriminator; return the losses."""
        if self.discriminator is not None:
            self.discriminator.requires_grad_(False)
        with self.accelerator.autocast():
            losses = self.task.losses(self.wrapped, batch)
        self.accelerator.backward(_total(losses) / pieces)
        if self.discriminator is None or self.wrapped_discriminator is None:
            return losses
        self.discriminator.requires_grad_(True)
        with self.accelerator.autocast():
            judged = self.task.discriminator_losses(self.wrapped_discriminator, batch)
        if judged:
            self.accelerator.backward(_total(judged) / pieces)
        return {**losses, **judged}

    def _validate(self) -> dict[str, float]:
        self.stepper.check()
        figures: dict[str, float] = {}
        if self.accelerator.is_main_process:
            was_training = self.averaged.training
            self.averaged.eval()
            self.task.start(self.step, self.accelerator.device)
            with torch.inference_mode():
                figures = self.task.validate(self.averaged)
                grid = self.task.grid(self.averaged)
            self.averaged.train(was_training)
            if figures:  # empty if validation is off
                self.log.add_validation(self.step, figures, grid, self.task.warnings(figures))
        self.accelerator.wait_for_everyone()
        self.log.restart(self.step)
        return figures

    def _save(self) -> None:
        """Save a checkpoint of this step on rank 0, unless it is saved already."""
        if self.saved_step == self.step:
            return
        self.stepper.check()
        self.saved_step = self.step
        if self.accelerator.is_main_process:
            scaler = self.accelerator.scaler
            position = {
                "id": secrets.token_hex(8),
                "step": self.step,
                "scaler": scaler.state_dict() if scaler is not None else None,
                "settings": self.fingerprint.settings,
                "data": self.fingerprint.data,
            }
            save_checkpoint(self.settings.output_dir, self.step, self.state, position)
            keep_newest(self.settings.output_dir, self.settings.checkpoints_total_limit)
            if self.mirror is not None:
                self.mirror.push()
        self.accelerator.wait_for_everyone()

    def _out_of_time(self, seconds: float) -> bool:
        """Return whether the time limit is reached. Ranks decide together: clocks differ, and a rank that went on alone
        would wait for ever.

        They do so after the first step and every `_CLOCK_STEPS` steps, because the reduction waits for the device.
        """
        limit = self.settings.max_train_minutes
        if limit is None:
            return False
        late = seconds >= limit * 60
        if self.accelerator.num_processes > 1:
            if self.step % _CLOCK_STEPS and self.step != self.started_at + 1:
                return False
            flag = torch.tensor([float(late)], device=self.accelerator.device)
            late = self.accelerator.reduce(flag, "sum").item() > 0
        if not late:
            return False
        self.log.info(
            f"stopped after {seconds / 60:.0f} minutes at step {self.step}; continue with "
            "--resume_from_checkpoint latest"
        )
        return True

    def _placed(self, network: Network) -> Network:
        return network.to(memory_format=torch.channels_last).to(self.accelerator.device)

    def _networks(self) -> dict[str, Network]:
        networks = {"network": self.network}
        if self.settings.use_ema:
            networks["averaged"] = self.averaged
        if self.discriminator is not None:
            networks["discriminator"] = self.discriminator
        return networks

    def _wrap(self) -> None:
        """Wrap all trained modules for distributed training, and compile networks if the settings say so."""
        prepare = self.accelerator.prepare
        self.wrapped: nn.Module = prepare(self.network)
        # Accelerate also wraps forward to convert outputs to float32, which would break up our output classes.
        self.accelerator.unwrap_model(self.wrapped, keep_fp32_wrapper=False)
        for name, module in self.task.companions.items():
            self.task.companions[name] = prepare(module)
        self.wrapped_discriminator: nn.Module | None = None
        if self.discriminator is not None:
            self.wrapped_discriminator = prepare(self.discriminator)
        if self.settings.compile != "no":
            for module in (*self._trained_networks(), *self.task.frozen_networks()):
                module.compile(backend=self.settings.compile)

    def _trained_networks(self) -> list[nn.Module]:
        return [self.network] if self.discriminator is None else [self.network, self.discriminator]

    def _wrapped_modules(self) -> list[nn.Module]:
        modules = [self.wrapped, *self.task.companions.values()]
        return modules if self.wrapped_discriminator is None else [*modules, self.wrapped_discriminator]

    def _agreed_fingerprint(self) -> Fingerprint:
        """Return the run's fingerprint; raise if a rank's settings or data differ from rank 0's."""
        mine = Fingerprint.of(self.settings, self.task, self.accelerator.num_processes)
        first = on_all(lambda: mine)[0]
        on_all(lambda: first.require_same(mine, "this rank's settings or data differ from those of rank 0"))
        return mine


def make_accelerator(settings: RunSettings) -> Accelerator:
    """Create the Accelerator; raise if it misses launched processes, or for FSDP and DeepSpeed."""
    for name in ("FSDP", "DEEPSPEED"):
        if parse_flag_from_env(f"ACCELERATE_USE_{name}"):
            raise ReliableSwapError(
                f"{name} shards the network over ranks, which checkpoints and averaged weights here do not support; "
                "launch with configs/accelerate/eight_gpus.yaml, where every rank holds the whole network "
                "(3.4 GiB at most)"
            )
    tracker = find_tracker(settings.report_to)
    launched = int(os.environ.get("WORLD_SIZE", "1"))
    accelerator = Accelerator(
        # Without an accelerator, torchrun's processes communicate on the CPU; Accelerate has to be told.
        cpu=launched > 1 and not torch.accelerator.is_available(),
        mixed_precision=settings.mixed_precision,
        log_with=tracker,
        project_dir=settings.output_dir if tracker else None,
    )
    if accelerator.num_processes != launched:
        raise ReliableSwapError(
            f"{launched} processes were launched but {accelerator.num_processes} joined; "
            "on CPUs launch with ACCELERATE_USE_CPU=true accelerate launch --multi_gpu, or torchrun"
        )
    if settings.mixed_precision == "fp16" and accelerator.scaler is None:
        logger.warning("warning: fp16 needs a GPU; on %s this run uses float32", accelerator.device.type)
    return accelerator


def _total(losses: dict[str, Tensor]) -> Tensor:
    return torch.stack([value.float() for value in losses.values()]).sum()
