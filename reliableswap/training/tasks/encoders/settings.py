"""Settings for training the encoders."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import torch

from reliableswap.data.crops import Crops, crops_of_photos
from reliableswap.data.encoders import EncoderChoice
from reliableswap.data.splits import Split
from reliableswap.data.storage import work_folder
from reliableswap.errors import ReliableSwapError
from reliableswap.training.core.distributed import processes
from reliableswap.training.core.settings import RunSettings, setting

logger = logging.getLogger(__name__)


@dataclass
class EncoderSettings(RunSettings):
    """Settings of a run that learns from aligned crops of people."""

    train_batch_size: int = setting(128, "samples per batch and process")
    learning_rate: float = setting(1e-3, "peak learning rate")
    lr_warmup_steps: int = setting(50, "steps of linear warm-up")
    faces: Path = setting(Path("faces"), "folder of photos, one sub-folder per person, or a table of photos")
    flat_folders: str = setting(
        "", "comma-separated names of sub-folders in which every photo shows a different person"
    )
    split: str = setting("90/5/5", "shares of train, validation and test people, as for the triplets")
    crops: Path | None = setting(
        None,
        "cache folder for the aligned crops and the teacher's vectors; None: `crops` in output_dir",
    )
    teacher: Path | None = setting(
        None, "identity encoder to learn from: an .onnx file or a from_pretrained folder"
    )
    teacher_mean: str = setting("0.5,0.5,0.5", "mean that an .onnx teacher subtracts from pixels in 0..1")
    teacher_std: str = setting("0.5,0.5,0.5", "standard deviation by which an .onnx teacher then divides")
    degradation: float = setting(1.0, "strength of the degradation and misalignment of crops; 0: none")
    clean_share: float = setting(0.2, "share of crops that are neither degraded nor misaligned")
    validation_pairs: int = setting(
        1000, "pairs of held-out photos per validation; half show the same person"
    )

    @property
    def crops_folder(self) -> Path:
        """The folder of the crops."""
        return self.crops or work_folder(self.output_dir) / "crops"

    @property
    def workers(self) -> int:
        """The number of processes that prepare crops and vectors."""
        return max(1, self.dataloader_num_workers)

    @property
    def choice(self) -> EncoderChoice:
        """The teacher to load."""
        if self.teacher is None:
            raise ReliableSwapError("no teacher to learn from; pass --teacher with an .onnx file or a folder")
        mean, std = (parse_triple(getattr(self, f"teacher_{name}"), name) for name in ("mean", "std"))
        return EncoderChoice(self.teacher, mean, std, "cuda" if torch.cuda.is_available() else "cpu")

    def load_crops(self) -> Crops:
        """Load or make the crops of the photos, and log how many there are."""
        flat = [name for name in self.flat_folders.split(",") if name]
        crops = crops_of_photos(self.faces, self.crops_folder, flat, Split.parse(self.split), self.workers)
        for line in describe(crops):
            log_on_main(line)
        return crops


def parse_triple(text: str, name: str) -> tuple[float, ...]:
    """Parse the three numbers of the option teacher_`name`, such as 0.485,0.456,0.406."""
    try:
        red, green, blue = (float(part) for part in text.split(","))
    except ValueError:
        raise ReliableSwapError(
            f"--teacher_{name} is {text}; give three comma-separated numbers, such as 0.5,0.5,0.5"
        ) from None
    return red, green, blue


def describe(crops: Crops) -> list[str]:
    """Return lines that count the photos and people, to train on and held out."""
    lines = [f"{int(crops.found.sum()):,} of {len(crops.shown):,} photos show a face"]
    for name, training in (("training", True), ("held out", False)):
        rows = crops.rows(training)
        people, several = {crops.shown[i].person for i in rows}, crops.people(rows)
        photos = sum(map(len, several.values()))
        lines.append(
            f"{name}: {len(rows):,} photos of {len(people):,} people, "
            f"{photos:,} of them of the {len(several):,} people with two or more"
        )
    return lines


def log_on_main(text: str) -> None:
    """Log a line on rank 0."""
    if processes().is_main_process:
        logger.info(text)
