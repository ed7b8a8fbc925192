"""What the trainings of both encoders share: settings, crops seen worse than they are, the teacher's vectors."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from accelerate.utils import tqdm
from torch import Tensor
from torch.utils.data import Dataset

from reliableswap.data.crops import CROP, Crops, crops_of_photos
from reliableswap.data.jobs import make_all
from reliableswap.data.storage import write_whole
from reliableswap.errors import ReliableSwapError
from reliableswap.imaging.degrade import Rng, degrade
from reliableswap.models.base import Network
from reliableswap.training.core.distributed import processes
from reliableswap.training.core.settings import RunSettings, setting
from reliableswap.triplets.encode import Encoder, EncoderChoice
from reliableswap.triplets.settings import parse_split

Window = tuple[slice, slice]
WHOLE: Window = (slice(0, CROP), slice(0, CROP))
_CHUNK = 256  # crops a unit of the teacher's work


@dataclass
class EncoderSettings(RunSettings):
    """A run that learns from aligned crops of people."""

    train_batch_size: int = setting(128, "samples a step and process")
    learning_rate: float = setting(1e-3, "peak learning rate")
    lr_warmup_steps: int = setting(50, "steps of linear warm-up")
    faces: Path = setting(Path("faces"), "folder of photos, one sub-folder a person, or a table of them")
    flat_folders: str = setting(
        "", "names of sub-folders whose photos are all of different people, with commas"
    )
    split: str = setting("90/5/5", "shares of train, validation and test people, as the triplets have them")
    crops: Path | None = setting(
        None, "the aligned crops and the teacher's vectors, kept here (default: crops.npy in --output_dir)"
    )
    teacher: Path | None = setting(
        None, "the identity encoder to learn from: an .onnx file or a folder of ours"
    )
    teacher_mean: str = setting("0.5,0.5,0.5", "what an .onnx teacher subtracts from pixels in 0..1")
    teacher_std: str = setting("0.5,0.5,0.5", "what an .onnx teacher divides them by")
    degradation: float = setting(
        1.0, "how much worse and more askew crops are made; 0 leaves them as they are"
    )
    clean_share: float = setting(0.2, "share of the crops that are left as they are, but for mirroring")
    validation_pairs: int = setting(1000, "pairs of held-out photos a validation; half show one person")

    @property
    def crops_file(self) -> Path:
        return self.crops or self.output_dir / "crops.npy"

    @property
    def workers(self) -> int:
        return max(1, self.dataloader_num_workers)

    @property
    def choice(self) -> EncoderChoice:
        """The teacher; its ONNX file's mean and std are this file's business alone."""
        if self.teacher is None:
            raise ReliableSwapError("no teacher to learn from; pass --teacher with an .onnx file or a folder")
        mean, std = (three(getattr(self, f"teacher_{name}"), name) for name in ("mean", "std"))
        return EncoderChoice(self.teacher, mean, std, "cuda" if torch.cuda.is_available() else "cpu")

    def load_crops(self) -> Crops:
        """The crops of the photos, with a line in the log that says what they are."""
        flat = [name for name in self.flat_folders.split(",") if name]
        crops = crops_of_photos(self.faces, self.crops_file, flat, parse_split(self.split), self.workers)
        for line in described(crops):
            say(line)
        return crops


def three(text: str, name: str) -> tuple[float, ...]:
    """0.485,0.456,0.406 as numbers."""
    try:
        red, green, blue = (float(part) for part in text.split(","))
    except ValueError:
        raise ReliableSwapError(f"--teacher_{name} {text} is not three numbers; write 0.5,0.5,0.5") from None
    return red, green, blue


def described(crops: Crops) -> list[str]:
    """How many photos of how many people there are to learn from and to measure with."""
    lines = [f"{int(crops.found.sum()):,} of {len(crops.shown):,} photos show a face"]
    for name, training in (("to learn from", True), ("held out", False)):
        rows = crops.rows(training)
        people, several = {crops.shown[i].person for i in rows}, crops.people(rows)
        photos = sum(map(len, several.values()))
        lines.append(
            f"{name}: {len(rows):,} photos of {len(people):,} people, "
            f"{photos:,} of them of {len(several):,} people with two or more"
        )
    return lines


def say(text: str) -> None:
    """A line in the log, by the first process alone."""
    if processes().is_main_process:
        print(text, file=sys.stderr, flush=True)


def seen(crop: np.ndarray, window: Window, rng: Rng, strength: float) -> np.ndarray:
    """(128,128,3) -> (h,w,3) the window as a rough detector cuts it from a worse photo; at strength 0, as it is.

    Five points of our own detector are off by about 3 % of the eye distance (35 px here), so a pixel and a half.
    """
    rows, columns = window
    if strength <= 0:
        return crop[window]
    turn = np.exp(1j * rng.normal(0, np.radians(3.0) * strength) + rng.normal(0, 0.04 * strength))
    middle = (CROP - 1) / 2 * (1 + 1j)
    x, y = rng.normal(0, 1.5 * strength, 2)
    shift = middle - turn * middle + x + 1j * y - (columns.start + 1j * rows.start)
    matrix = np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
    size = (columns.stop - columns.start, rows.stop - rows.start)
    image = cv2.warpAffine(crop, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    if rng.random() < 0.2 * strength:  # a face far away: as few as 18 pixels across
        small = np.maximum(2, np.rint(np.array(size) * rng.uniform(0.16, 0.45))).astype(int)
        away = cv2.resize(image, small.tolist(), interpolation=cv2.INTER_AREA)
        image = cv2.resize(away, size, interpolation=cv2.INTER_LINEAR)
    return degrade(image, rng, strength)


@dataclass(frozen=True, eq=False)
class Pool:
    """Crops to draw from: `rows` of them, each person's in proportion to the root of their number, so that the
    statesmen of press photos don't drown the others. features (N,D) and labels (N,) are by row of the crops."""

    crops: Crops
    rows: np.ndarray
    features: np.ndarray | None = None
    labels: np.ndarray | None = None

    @cached_property
    def _chances(self) -> np.ndarray:
        _, owner, counts = np.unique(
            [self.crops.shown[i].person for i in self.rows], return_inverse=True, return_counts=True
        )
        chances = np.cumsum(1 / np.sqrt(counts[owner]))
        return np.asarray(chances / chances[-1])

    def draw(self, rng: Rng) -> int:
        """A row."""
        return int(self.rows[np.searchsorted(self._chances, rng.random(), side="right")])


class Samples(Dataset[dict[str, Tensor]]):
    """Sample i: image (h,w,3) uint8, with the teacher's `features` of the clean crop and a `label` where the pools
    have them. It follows from the seed and i alone."""

    def __init__(
        self, pools: Sequence[Pool], shares: Sequence[float], window: Window, settings: EncoderSettings
    ) -> None:
        if not pools or any(not len(pool.rows) for pool in pools):
            raise ReliableSwapError("there is nobody to learn from; add photos of more people")
        self.pools, self.window = list(pools), window
        self.limits = np.cumsum(shares) / np.sum(shares)
        self.seed, self.strength, self.clean = settings.seed, settings.degradation, settings.clean_share

    def __len__(self) -> int:
        return 2**31

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([self.seed, 1, i])
        pool = self.pools[int(np.searchsorted(self.limits[:-1], rng.random(), side="right"))]
        row = pool.draw(rng)
        crop = pool.crops.pixels[row]
        if rng.random() < 0.5:
            crop = crop[:, ::-1]
        strength = 0.0 if rng.random() < self.clean else self.strength
        image = seen(np.ascontiguousarray(crop), self.window, rng, strength)
        sample = {"image": torch.from_numpy(np.ascontiguousarray(image))}
        if pool.features is not None:
            sample["features"] = torch.from_numpy(pool.features[row])
        if pool.labels is not None:
            sample["label"] = torch.tensor(int(pool.labels[row]))
        return sample


def to_network(images: Tensor) -> Tensor:
    """(B,h,w,3) uint8 -> (B,3,h,w) in [-1,1], channels last."""
    return images.permute(0, 3, 1, 2).float() / 127.5 - 1


def encode(network: Network, images: np.ndarray, batch: int = 64) -> np.ndarray:
    """(N,h,w,3) uint8 -> (N,D) of length 1."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(images), batch):
            pixels = torch.from_numpy(images[start : start + batch]).to(network.device)
            parts.append(torch.nn.functional.normalize(network(to_network(pixels)).float(), dim=1).cpu())
    return np.asarray(torch.cat(parts).numpy())


class _Embed:
    """Rows of crops -> the rows and the encoder's vectors; can be sent to another process."""

    def __init__(self, crops: Crops, choice: EncoderChoice) -> None:
        self.crops, self.choice = crops, choice

    @cached_property
    def encoder(self) -> Encoder:
        return self.choice.load()

    def __getstate__(self) -> dict[str, Any]:
        return {"crops": self.crops, "choice": self.choice}

    def __call__(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return rows, self.encoder([self.crops.pixels[i] for i in rows])


def teacher_features(crops: Crops, choice: EncoderChoice, workers: int) -> np.ndarray:
    """(N,D) float32 the teacher's vectors of the clean crops, kept beside them; zero where there is no face."""
    embed = _Embed(crops, choice)
    facts = [crops.key, embed.encoder.label, *(() if choice.path.is_dir() else (choice.mean, choice.std))]
    key = hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
    cache = crops.file.with_name(f"{crops.file.stem}-{key}.npy")
    rows = np.flatnonzero(crops.found)
    units = [rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK)]
    with processes().main_process_first():
        if not cache.is_file():
            on_gpu = choice.path.is_dir() and choice.device != "cpu"  # ONNX teachers run on the CPU
            made = make_all(embed, units, 1 if on_gpu else workers)
            parts = list(tqdm(made, total=len(units), desc=f"teacher on {len(rows):,} crops"))
            features = np.zeros((len(crops.shown), parts[0][1].shape[1]), np.float32)
            for own, vectors in parts:
                features[own] = vectors
            write_whole(cache, lambda draft: _save(draft, features))
    return np.asarray(np.load(cache))


def _save(path: Path, array: np.ndarray) -> None:
    with path.open("wb") as stream:
        np.save(stream, array)
