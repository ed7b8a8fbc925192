"""The settings every training shares, and how a command line and a YAML file fill them."""

from __future__ import annotations

import argparse
import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from reliableswap.errors import ReliableSwapError

CONFIG_FILE = "settings.yaml"


def setting(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass
class RunSettings:
    """How a run goes, whatever it trains. Names follow the training examples of diffusers."""

    output_dir: Path = setting(Path("runs/out"), "where the network, checkpoints and figures go")
    train_batch_size: int = setting(32, "samples a step and process")
    gradient_accumulation_steps: int = setting(1, "batches whose gradients make one step")
    learning_rate: float = setting(2e-3, "peak learning rate")
    lr_scheduler: str = setting("cosine", "cosine, linear or constant, after the warm-up")
    lr_warmup_steps: int = setting(200, "steps of linear warm-up")
    adam_beta1: float = setting(0.9, "AdamW's first beta")
    adam_beta2: float = setting(0.999, "AdamW's second beta")
    weight_decay: float = setting(1e-4, "AdamW's weight decay")
    max_grad_norm: float = setting(5.0, "gradients are clipped to this norm")
    max_train_steps: int = setting(10_000, "the length of the whole run, over which the rate falls")
    max_train_minutes: float | None = setting(None, "stop (resumably) after this many minutes of this start")
    mixed_precision: str = setting("bf16", "no, fp16 or bf16")
    use_ema: bool = setting(True, "average the weights; the average is what is validated and saved")
    ema_decay: float = setting(0.998, "decay of the averaged weights")
    checkpointing_steps: int = setting(1000, "steps between checkpoints")
    checkpoints_total_limit: int = setting(2, "older checkpoints are removed")
    resume_from_checkpoint: str | None = setting(None, "a checkpoint folder, or 'latest'")
    validation_steps: int = setting(1000, "steps between validations on held-out people")
    logging_steps: int = setting(50, "steps between log lines")
    report_to: str = setting(
        "auto", "a tracker of Accelerate's, none, or auto: TensorBoard where it is installed"
    )
    dataloader_num_workers: int = setting(2, "processes that make samples")
    push_to_hub: bool = setting(False, "upload the result at the end")
    hub_private: bool = setting(False, "whether that repository is made private")
    hub_model_id: str | None = setting(None, "the repository to upload to (default: output_dir's name)")
    seed: int = setting(0, "every sample follows from this number and its position")

    def __post_init__(self) -> None:
        counts = ("train_batch_size", "gradient_accumulation_steps", "max_train_steps", "logging_steps")
        for name in (*counts, "validation_steps", "checkpointing_steps", "checkpoints_total_limit"):
            if getattr(self, name) < 1:
                raise ReliableSwapError(f"--{name} is {getattr(self, name)}; choose 1 or more")


@dataclass
class AdversarialSettings(RunSettings):
    """A run with a discriminator."""

    discr_learning_rate: float = setting(4e-4, "the discriminator's peak learning rate")


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
        kind = _plain(hints[one.name])
        options: dict[str, Any] = {"type": kind}
        if kind is bool:
            options = {"action": argparse.BooleanOptionalAction}
        text = one.metadata["help"].replace("%", "%%")
        parser.add_argument(
            f"--{one.name}", default=one.default, help=f"{text} (default: {one.default})", **options
        )


def from_arguments(arguments: argparse.Namespace, settings: type[Settings]) -> Settings:
    names = {one.name for one in dataclasses.fields(settings)}  # type: ignore[arg-type]
    return settings(**{name: value for name, value in vars(arguments).items() if name in names})


def read_settings(path: Path, settings: type) -> dict[str, Any]:
    """The values a YAML file gives for fields of a settings dataclass, each of its field's type."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ReliableSwapError(f"{path} can't be read as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, Mapping):
        raise ReliableSwapError(f"{path} holds no settings; write `name: value` lines")
    hints = typing.get_type_hints(settings)
    unknown = sorted(set(map(str, values)) - {one.name for one in dataclasses.fields(settings)})
    if unknown:
        raise ReliableSwapError(f"{path}: unknown settings {', '.join(unknown)}; see --help for their names")
    return {name: _as(_plain(hints[name]), value, f"{path}: {name}") for name, value in values.items()}


def write_settings(path: Path, settings: Any) -> None:
    """Every value, so that the file given again as --config makes the same run."""
    values = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in dataclasses.asdict(settings).items()
    }
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")


def _plain(kind: Any) -> Any:
    """The type of a field that may also be None."""
    if isinstance(kind, types.UnionType):
        return next(k for k in typing.get_args(kind) if k is not type(None))
    return kind


def _as(kind: Any, value: Any, name: str) -> Any:
    if value is None:
        return None
    if kind is bool or isinstance(value, bool):
        if kind is not bool or not isinstance(value, bool):
            raise ReliableSwapError(f"{name} is {value!r}; write a {kind.__name__}")
        return value
    try:
        return kind(value)
    except (TypeError, ValueError) as error:
        raise ReliableSwapError(f"{name} is {value!r}; write a {kind.__name__}") from error
