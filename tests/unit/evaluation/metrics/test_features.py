"""Features of the Fréchet distance, and what the distance is called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support import onnx_files

from reliableswap.errors import WeightsError
from reliableswap.evaluation.metrics.features import distance_name, open_features
from reliableswap.faces.face import Detection


def test_only_inception_gives_fid() -> None:
    assert distance_name("inception_v3") == "FID"
    assert "FID" not in distance_name("efficientnet-lite0")


def test_unknown_features_are_refused() -> None:
    with pytest.raises(WeightsError, match="unknown features"):
        open_features("resnet")


def test_onnx_features_get_pixels_from_minus_one_to_one(tmp_path: Path) -> None:
    path = onnx_files.mean_colour(tmp_path / "inception_small.onnx", 299)
    features = open_features(str(path))
    assert distance_name(features.name) == "FID"
    image = np.full((300, 300, 3), (0, 255, 51), np.uint8)
    points = np.array([[120, 120], [180, 120], [150, 150], [125, 180], [175, 180]], np.float32)
    face = Detection(np.array([100, 90, 200, 210], np.float32), points, 1.0)
    assert features(image, face) == pytest.approx([-1, 1, -0.6], abs=1e-3)
