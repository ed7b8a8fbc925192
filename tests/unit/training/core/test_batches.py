"""Which samples come at a step, and the workers that make them."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from support.toy_training import ToyTask, toy_settings

from reliableswap.training.core.batches import RankBatches, make_loader, start_loading


def taken(first: int, rank: int, ranks: int, pieces: int = 1) -> list[list[int]]:
    return list(RankBatches(first, 3, 2, rank, ranks, pieces))


def test_ranks_share_the_samples_of_a_step() -> None:
    together = [sorted(a + b) for a, b in zip(taken(0, 0, 2), taken(0, 1, 2), strict=True)]
    assert together == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


def test_a_later_start_neither_skips_nor_repeats_any() -> None:
    assert taken(2, 1, 2) == taken(0, 1, 2)[2:]
    assert taken(2, 0, 1, pieces=3) == taken(0, 0, 1, pieces=3)[6:]


def test_their_number_is_known() -> None:
    assert len(RankBatches(1, 3, 2, 0, 1, 4)) == len(taken(1, 0, 1, 4)) == 8


def _hangs(*_: object) -> None:
    raise TimeoutError("the workers hang")


@pytest.fixture
def _two_threads_of_opencv() -> Iterator[None]:
    """OpenCV has made threads, as it does when photos are read before a training."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    cv2.warpAffine(np.zeros((3000, 3000, 3), np.uint8), np.eye(2, 3), (3000, 3000))
    time.sleep(0.2)  # until they sleep: only then does a fork leave them so that they can't be stopped
    handler = signal.signal(signal.SIGALRM, _hangs)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, handler)
    cv2.setNumThreads(before)


@pytest.mark.usefixtures("_two_threads_of_opencv")
def test_workers_start_after_opencv_has_worked_in_this_process(tmp_path: Path) -> None:
    settings = toy_settings(tmp_path, dataloader_num_workers=2, max_train_steps=3)
    task = ToyTask()
    batches = list(start_loading(make_loader(task, settings, 0, rank=0, ranks=1)))
    assert len(batches) == 3
    assert torch.equal(batches[1]["picture"][0], task.dataset[4]["picture"])
    assert cv2.getNumThreads() == 2
