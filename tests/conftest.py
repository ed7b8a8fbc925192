"""What every test shares: no network, few threads, and the faces of people who do not exist."""

from __future__ import annotations

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from pathlib import Path

import numpy as np
import openpeople
import pytest

PEOPLE = Path(openpeople.__file__).parent / "data" / "curated"


def person(number: int, picture: str = "studio_portrait") -> Path:
    """A photo of one of the ten people: studio_portrait, amateur_selfie, emotions_sheet, ..."""
    return PEOPLE / f"P{number:03d}" / "assets" / f"{picture}.jpg"


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Small networks gain nothing from more threads, and on a busy machine they wait for each other."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
