"""The teacher's vectors of all crops, computed once and stored with the crops."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any

import numpy as np
import torch
from accelerate.utils import tqdm

from reliableswap.data.crops import Crops
from reliableswap.data.encoders import Encoder, EncoderChoice
from reliableswap.data.storage import write_array
from reliableswap.jobs.units import make_all
from reliableswap.models.base import Network
from reliableswap.training.core.distributed import processes
from reliableswap.training.tasks.pixels import to_network

_CHUNK = 256  # crops per unit of work


def encode(network: Network, images: np.ndarray, batch: int = 64) -> np.ndarray:
    """(N,h,w,3) uint8 -> (N,D) of length 1, in float32."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(images), batch):
            pixels = torch.from_numpy(images[start : start + batch]).to(network.device)
            parts.append(torch.nn.functional.normalize(network(to_network(pixels)).float(), dim=1).cpu())
    return np.asarray(torch.cat(parts).numpy())


def teacher_features(crops: Crops, choice: EncoderChoice, workers: int) -> np.ndarray:
    """(N,D) float32 the teacher's vectors of the clean crops; zero where there is no face."""
    embed = _Embed(crops, choice)
    facts = [crops.key, embed.encoder.label, *(() if choice.path.is_dir() else (choice.mean, choice.std))]
    key = hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
    cache = crops.folder / f"teacher-{key}.npy"
    rows = np.flatnonzero(crops.found)
    units = [rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK)]
    with processes().main_process_first():
        if not cache.is_file():
            on_gpu = choice.path.is_dir() and choice.device != "cpu"  # ONNX files run on the CPU
            made = make_all(embed, units, 1 if on_gpu else workers)
            parts = list(tqdm(made, total=len(units), desc=f"teacher on {len(rows):,} crops"))
            features = np.zeros((len(crops.shown), parts[0][1].shape[1]), np.float32)
            for own, vectors in parts:
                features[own] = vectors
            write_array(cache, features)
    return np.asarray(np.load(cache))


class _Embed:
    """Maps rows of crops to the rows and their vectors; picklable, for worker processes."""

    def __init__(self, crops: Crops, choice: EncoderChoice) -> None:
        self.crops, self.choice = crops, choice

    @cached_property
    def encoder(self) -> Encoder:
        return self.choice.load()

    def __getstate__(self) -> dict[str, Any]:
        return {"crops": self.crops, "choice": self.choice}

    def __call__(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return rows, self.encoder([self.crops.pixels[i] for i in rows])


def digest_of_array(array: np.ndarray) -> str:
    """Sixteen-digit digest of an array's contents."""
    return hashlib.sha256(array.tobytes()).hexdigest()[:16]
