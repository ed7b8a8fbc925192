"""A few people's photos, their crops, a small teacher and its vectors."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from support.people import person

from reliableswap.data.crops import Crops, crops_of_photos
from reliableswap.data.encoders import EncoderChoice
from reliableswap.data.splits import Split, holds_out
from reliableswap.models.identity import IdentityEncoder
from reliableswap.training.tasks.encoders.teacher import teacher_features

SPLIT = Split()


def in_training(name: str) -> bool:
    return SPLIT.of(name) == "train" and not holds_out(name)


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two photos each of three training and two held-out people, and one photo without a face."""
    folder = tmp_path_factory.mktemp("faces")
    names = [f"person{i}" for i in range(200)]
    chosen = [n for n in names if in_training(n)][:3] + [n for n in names if not in_training(n)][:2]
    for number, name in enumerate(chosen, start=1):
        (folder / name).mkdir()
        for picture in ("studio_portrait", "amateur_selfie"):
            image = cv2.imread(str(person(number, picture)))
            scale = 300 / max(image.shape[:2])
            small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(folder / name / f"{picture}.jpg"), small)
    cv2.imwrite(str(folder / chosen[0] / "wall.png"), np.full((200, 200, 3), 90, np.uint8))
    return folder


@pytest.fixture(scope="session")
def crops(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Crops:
    return crops_of_photos(photos, tmp_path_factory.mktemp("crops"), (), SPLIT, workers=1)


@pytest.fixture(scope="session")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teacher")
    torch.manual_seed(0)
    IdentityEncoder(embedding_size=16, name="teacher").eval().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def features(crops: Crops, teacher: Path) -> np.ndarray:
    return teacher_features(crops, EncoderChoice(teacher), workers=1)
