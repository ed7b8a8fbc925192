"""Settings shared by all trainings. A run uses the defaults that `--help` prints."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from reliableswap.data.storage import work_folder
from reliableswap.errors import ReliableSwapError

Schedule = Literal[
    "linear", "cosine", "cosine_with_restarts", "polynomial", "constant", "constant_with_warmup"
]


def setting(default: Any, help: str, *, on_resume: Literal["same", "any"] = "same") -> Any:
    """Return a dataclass field with its help text. With on_resume="any", a resumed run may change its value."""
    return field(default=default, metadata={"help": help, "on_resume": on_resume})


@dataclass
class RunSettings:
    """Settings of any run, whatever it trains. Names follow the training examples of diffusers."""

    output_dir: Path = setting(
        Path("runs/out"),
        "folder or URL (s3://, gs://, hf://) for the network, checkpoints and figures",
        on_resume="any",
    )
    train_batch_size: int = setting(32, "samples per batch and process")
    gradient_accumulation_steps: int = setting(1, "batches per optimizer step")
    learning_rate: float = setting(2e-3, "peak learning rate")
    lr_scheduler: Schedule = setting(
        "cosine", "one of diffusers' learning rate schedules; `constant` has no warm-up"
    )
    lr_warmup_steps: int = setting(200, "steps of linear warm-up")
    adam_beta1: float = setting(0.9, "AdamW's first beta")
    adam_beta2: float = setting(0.999, "AdamW's second beta")
    weight_decay: float = setting(1e-4, "AdamW's weight decay")
    max_grad_norm: float = setting(5.0, "gradients are clipped to this norm")
    max_train_steps: int = setting(
        10_000, "total steps of the run; the learning rate schedule spans them", on_resume="any"
    )
    max_train_minutes: float | None = setting(
        None, "stop after this many minutes; the run can be resumed", on_resume="any"
    )
    mixed_precision: Literal["no", "fp16", "bf16"] = setting("bf16", "precision of autocast")
    compile: Literal["no", "inductor", "aot_eager"] = setting(
        "no",
        "torch.compile backend for the networks in a step; inductor generates kernels, aot_eager only traces",
        on_resume="any",
    )
    use_ema: bool = setting(True, "average the weights; the average is validated and saved")
    ema_decay: float = setting(0.998, "decay of the averaged weights")
    checkpointing_steps: int = setting(1000, "steps between checkpoints", on_resume="any")
    checkpoints_total_limit: int = setting(2, "checkpoints to keep", on_resume="any")
    resume_from_checkpoint: str | None = setting(
        None,
        "a checkpoint folder, or `latest`, which starts a new run if there is no checkpoint",
        on_resume="any",
    )
    validation_steps: int = setting(1000, "steps between validations on held-out people", on_resume="any")
    logging_steps: int = setting(50, "steps between log lines", on_resume="any")
    report_to: str = setting(
        "auto",
        "a tracker of Accelerate, `none`, or `auto`: TensorBoard if it is installed",
        on_resume="any",
    )
    dataloader_num_workers: int = setting(2, "processes that load samples")
    push_to_hub: bool = setting(False, "upload the result at the end", on_resume="any")
    hub_private: bool = setting(False, "make the repository on the Hub private", on_resume="any")
    hub_model_id: str | None = setting(
        None, "repository to upload to; None: the name of output_dir", on_resume="any"
    )
    seed: int = setting(0, "seed of weights, samples and random draws")

    def __post_init__(self) -> None:
        counts = ("train_batch_size", "gradient_accumulation_steps", "max_train_steps", "logging_steps")
        for name in (*counts, "validation_steps", "checkpointing_steps", "checkpoints_total_limit"):
            if getattr(self, name) < 1:
                raise ReliableSwapError(f"--{name} is {getattr(self, name)}; choose 1 or more")


@dataclass
class AdversarialSettings(RunSettings):
    """Settings of a run with a discriminator."""

    discr_learning_rate: float = setting(4e-4, "peak learning rate of the discriminator")


@dataclass
class TeacherSettings:
    """A folder of photos, and the teachers whose answers on them are learnt."""

    output_dir: Path = setting(Path("runs/out"), "output folder", on_resume="any")
    faces: Path = setting(Path("faces"), "folder of photos, one sub-folder per person", on_resume="any")
    flat_folders: str = setting(
        "", "comma-separated names of sub-folders in which every photo shows a different person"
    )
    teachers: Path = setting(Path("teachers"), "folder of the teachers' ONNX files", on_resume="any")
    labels: Path | None = setting(
        None, "cache folder for the teachers' outputs; None: `labels` in output_dir", on_resume="any"
    )

    @property
    def flat(self) -> list[str]:
        return [name for name in self.flat_folders.split(",") if name]

    @property
    def labels_folder(self) -> Path:
        return self.labels or work_folder(self.output_dir) / "labels"


@dataclass
class DistilSettings(RunSettings, TeacherSettings):
    """Settings of a run that learns from teachers."""

    backgrounds: Path | None = setting(
        None, "folder of pictures without faces, used as negatives", on_resume="any"
    )
