"""Identity encoders of aligned crops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support import onnx_files
from support.triplet_people import aligned

from reliableswap.bundled import bundled
from reliableswap.data.encoders import EncoderChoice
from reliableswap.errors import ReliableSwapError


def test_an_encoder_in_bfloat16_says_nearly_the_same(tmp_path: Path) -> None:
    crops = [aligned(n).crop for n in (1, 2, 3)]
    exact, rounded = (EncoderChoice(bundled("identity"), precision=p).load() for p in ("float32", "bfloat16"))
    assert rounded.label == f"{exact.label} bfloat16"
    assert EncoderChoice(bundled("identity"), precision="auto").load().label in {exact.label, rounded.label}
    one, other = exact(crops), rounded(crops)
    assert (one * other).sum(1).min() > 0.99
    assert not np.array_equal(one, other)
    assert np.abs(one @ one.T - other @ other.T).max() < 0.02
    with pytest.raises(ReliableSwapError, match="precision is float8"):
        EncoderChoice(bundled("identity"), precision="float8")


def test_an_onnx_encoder_sees_the_identity_window(tmp_path: Path) -> None:
    path = onnx_files.mean_colour(tmp_path / "mean.onnx", 112)
    encoder = EncoderChoice(path, mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0)).load()
    crops = [aligned(n).crop for n in (1, 2)]
    for crop_, found in zip(crops, encoder(crops), strict=True):
        shown = (crop_[0:112, 8:120].reshape(-1, 3).mean(0) / 255 - (0.1, 0.2, 0.3)) / (0.5, 1.0, 2.0)
        assert found == pytest.approx(shown / np.linalg.norm(shown), abs=1e-4)
