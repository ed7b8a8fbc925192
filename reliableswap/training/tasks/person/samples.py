"""Training samples: frames of one person a step, people in turn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from .frames import Frames
from .settings import PersonSettings
from .warp import draw_jitter, draw_warp


class PersonSamples(Dataset[dict[str, Tensor]]):
    """Sample i follows from the seed and i: picture (S,S,3) and mask (S,S) uint8, jitter (2,3), warp (2,5,5), weight,
    and person, the number of whom all samples of the step show."""

    def __init__(self, settings: PersonSettings, people: Sequence[Frames]) -> None:
        self.settings, self.people = settings, list(people)
        self.per_step = settings.train_batch_size * settings.gradient_accumulation_steps

    def __len__(self) -> int:
        return 2**31

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        person = (i // self.per_step) % len(self.people)
        frames, rng = self.people[person], np.random.default_rng([self.settings.seed, 11, i])
        row = int(frames.rows[rng.integers(len(frames.rows))])
        return {
            "picture": torch.from_numpy(np.array(frames.pictures[row])),
            "mask": torch.from_numpy(np.array(frames.masks[row])),
            "jitter": torch.from_numpy(draw_jitter(rng, self.settings.jitter)),
            "warp": torch.from_numpy(draw_warp(rng, self.settings.warp)),
            "weight": torch.tensor(float(frames.weights[row])),
            "person": torch.tensor(person),
        }
