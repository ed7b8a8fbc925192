"""The settings every training shares, and how a command line fills them."""

from __future__ import annotations

import argparse
import dataclasses
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar


def setting(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass
class RunSettings:
    """How a run goes, whatever it trains. Names follow the training examples of diffusers."""

    output_dir: Path = setting(Path("runs/out"), "where the network, checkpoints and figures go")
    train_batch_size: int = setting(32, "samples a step and process")
    learning_rate: float = setting(2e-3, "peak learning rate")
    lr_warmup_steps: int = setting(200, "steps of linear warm-up; a cosine to zero follows")
    weight_decay: float = setting(1e-4, "AdamW's weight decay")
    max_grad_norm: float = setting(5.0, "gradients are clipped to this norm")
    max_train_steps: int = setting(10_000, "the length of the whole run, over which the rate falls")
    max_train_minutes: float | None = setting(None, "stop (resumably) after this many minutes of this start")
    mixed_precision: str = setting("bf16", "no, fp16 or bf16")
    ema_decay: float = setting(0.998, "decay of the averaged weights, which are what is saved and validated")
    checkpointing_steps: int = setting(1000, "steps between checkpoints")
    checkpoints_total_limit: int = setting(2, "older checkpoints are removed")
    resume_from_checkpoint: str | None = setting(None, "a checkpoint folder, or 'latest'")
    validation_steps: int = setting(1000, "steps between validations on held-out people")
    logging_steps: int = setting(50, "steps between log lines")
    dataloader_num_workers: int = setting(2, "processes that make samples")
    seed: int = setting(0, "every sample follows from this number and its position")


@dataclass
class TeacherSettings:
    """What learning from the teachers' answers about a folder of photos needs."""

    output_dir: Path = setting(Path("runs/out"), "where what is made goes")
    faces: Path = setting(Path("faces"), "folder of photos, one sub-folder a person")
    flat_folders: str = setting(
        "", "names of sub-folders whose photos are all of different people, with commas"
    )
    teachers: Path = setting(Path("teachers"), "folder with the teachers' ONNX files")
    labels: Path | None = setting(
        None, "the teachers' answers, kept here (default: labels.npz in --output_dir)"
    )

    @property
    def flat(self) -> list[str]:
        return [name for name in self.flat_folders.split(",") if name]

    @property
    def labels_file(self) -> Path:
        return self.labels or self.output_dir / "labels.npz"


@dataclass
class DistilSettings(RunSettings, TeacherSettings):
    """A run that learns from the teachers."""

    backgrounds: Path | None = setting(
        None, "folder of pictures without any face, to learn from what is none"
    )


Settings = TypeVar("Settings")


def add_arguments(parser: argparse.ArgumentParser, settings: type) -> None:
    """One --option for each field of a settings dataclass."""
    hints = typing.get_type_hints(settings)
    for one in dataclasses.fields(settings):
        kind = hints[one.name]
        if isinstance(kind, types.UnionType):
            kind = next(k for k in typing.get_args(kind) if k is not type(None))
        parser.add_argument(
            f"--{one.name}",
            type=kind,
            default=one.default,
            help=f"{one.metadata['help']} (default: {one.default})",
        )


def from_arguments(arguments: argparse.Namespace, settings: type[Settings]) -> Settings:
    names = {one.name for one in dataclasses.fields(settings)}  # type: ignore[arg-type]
    return settings(**{name: value for name, value in vars(arguments).items() if name in names})
