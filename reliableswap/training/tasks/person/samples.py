"""Training samples: every step has frames of one person, and people take turns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from .device_arrays import MAX_BYTES, DeviceArrays
from .frames import Frames
from .settings import PersonSettings


class PersonSamples(Dataset[dict[str, Tensor]]):
    """Sample i depends only on the seed and i: row, the index of a frame; all samples of a step show the same person.
    picture (S,S,3) and mask (S,S) uint8 are added if everybody's frames are too many to hold on the device."""

    def __init__(self, settings: PersonSettings, people: Sequence[Frames]) -> None:
        self.settings, self.people = settings, list(people)
        self.per_step = settings.train_batch_size * settings.gradient_accumulation_steps
        self.reads_pictures = sum(len(one.pictures) for one in people) * settings.size**2 * 4 > MAX_BYTES

    def __len__(self) -> int:
        return 2**31

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        person = (i // self.per_step) % len(self.people)
        frames, rng = self.people[person], np.random.default_rng([self.settings.seed, 11, i])
        row = int(frames.rows[rng.integers(len(frames.rows))])
        sample = {"row": torch.tensor(row)}
        if self.reads_pictures:
            sample["picture"] = torch.from_numpy(np.array(frames.pictures[row]))
            sample["mask"] = torch.from_numpy(np.array(frames.masks[row]))
        return sample

    def device_arrays(self) -> list[DeviceArrays]:
        """Return, for each person, the arrays that a batch's rows index."""
        found = []
        for one in self.people:
            arrays = {"weight": np.asarray(one.weights, np.float32)}
            if not self.reads_pictures:
                everything = np.arange(len(one.weights))
                arrays |= {"picture": one.pictures[everything], "mask": one.masks[everything]}
            found.append(DeviceArrays(**arrays))
        return found
