"""Concurrent stages share the threads, however they overlap."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Thread

import cv2
import pytest
import torch

from reliableswap.pipelines.overlap import shared_cores


@pytest.fixture(autouse=True)
def eight_threads() -> Iterator[None]:
    before = cv2.getNumThreads(), torch.get_num_threads()
    cv2.setNumThreads(8)
    torch.set_num_threads(8)
    yield
    cv2.setNumThreads(before[0])
    torch.set_num_threads(before[1])


def threads() -> tuple[int, int]:
    return cv2.getNumThreads(), torch.get_num_threads()


def test_uses_that_overlap_share_until_the_last_one_ends() -> None:
    one, other = shared_cores(), shared_cores()
    one.__enter__()
    assert threads() == (2, 2)
    other.__enter__()
    assert threads() == (2, 2)
    one.__exit__(None, None, None)
    assert threads() == (2, 2)
    other.__exit__(None, None, None)
    assert threads() == (8, 8)


def test_a_stage_that_begins_meanwhile_has_a_share_and_one_thread_is_the_least() -> None:
    cv2.setNumThreads(3)
    torch.set_num_threads(3)
    seen: list[tuple[int, int]] = []
    with shared_cores():
        stage = Thread(target=lambda: seen.append(threads()))
        stage.start()
        stage.join()
    assert seen == [(1, 1)]
    assert threads() == (3, 3)


def test_an_error_gives_the_threads_back() -> None:
    with pytest.raises(KeyError), shared_cores():
        raise KeyError
    assert threads() == (8, 8)
