"""Batches whose samples the step determines, so that a resumed run neither repeats nor skips any."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from .settings import RunSettings
from .task import Task


class RankBatches(Sampler[list[int]]):
    """Batches of sample indices for one rank, from `first_step` on. A step takes `pieces` batches per rank."""

    def __init__(
        self, first_step: int, last_step: int, batch: int, rank: int, ranks: int, pieces: int = 1
    ) -> None:
        self.first, self.last = first_step * pieces, last_step * pieces
        self.batch, self.rank, self.ranks = batch, rank, ranks

    def __len__(self) -> int:
        return self.last - self.first

    def __iter__(self) -> Iterator[list[int]]:
        for piece in range(self.first, self.last):
            start = (piece * self.ranks + self.rank) * self.batch
            yield list(range(start, start + self.batch))


def make_loader(task: Task, settings: RunSettings, step: int, rank: int, ranks: int) -> DataLoader[Any]:
    """Make the loader of one rank's batches after `step` steps."""
    workers = settings.dataloader_num_workers
    pieces = settings.gradient_accumulation_steps
    return DataLoader(
        task.dataset,
        batch_sampler=RankBatches(
            step, settings.max_train_steps, settings.train_batch_size, rank, ranks, pieces
        ),
        num_workers=workers,
        collate_fn=task.collate,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_one_thread,
        persistent_workers=workers > 0,
        # A batch in pinned memory is copied while the device works on the previous one.
        pin_memory=torch.accelerator.is_available(),
    )


def start_loading(loader: DataLoader[Any]) -> Iterator[Any]:
    """Start the workers and return an iterator over the batches.

    OpenCV's threads are stopped before the fork: a worker would hang when it stops threads that it did not inherit.
    """
    import cv2

    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    batches = iter(loader)
    cv2.setNumThreads(threads)
    return batches


def to_device(batch: Any, device: torch.device) -> Any:
    """Move a batch, tensors nested in dictionaries and lists, to the device."""
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, dict):
        return {key: to_device(value, device) for key, value in batch.items()}
    return [to_device(value, device) for value in batch]


def _one_thread(_: int) -> None:
    import cv2

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
