"""A pipeline with third-party ONNX files as generator and encoder: called, marked, saved and loaded like any other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support import onnx_swappers
from support.people import portrait

from reliableswap import ReliableSwapPipeline, verify
from reliableswap.convert.onnx_files import identity_encoder, swapper
from reliableswap.errors import RefusedError, WeightsError
from reliableswap.safety.nudity import NudityNet


@pytest.fixture(scope="module")
def pipe(tmp_path_factory: pytest.TempPathFactory) -> ReliableSwapPipeline:
    folder = tmp_path_factory.mktemp("published")
    encoder = identity_encoder(onnx_swappers.arcface(folder / "w600k_r50.onnx"))
    generator = swapper(onnx_swappers.inswapper(folder / "inswapper_128.onnx"), "inswapper", encoder)
    return ReliableSwapPipeline.bundled(identity=encoder, generator=generator, fixer=None)


def test_it_swaps_reports_and_marks(pipe: ReliableSwapPipeline, tmp_path: Path) -> None:
    target = portrait(2, 200)
    result = pipe(portrait(1, 200), target)
    assert result.report.engine == "neural"
    assert result.report.faces[0].identity_after is not None
    assert not np.array_equal(result.pictures[0].pixels, target)
    assert not np.array_equal(pipe(portrait(3, 200), target).pictures[0].pixels, result.pictures[0].pixels)
    result.save(tmp_path / "swapped.png")
    assert verify(tmp_path / "swapped.png").ai_made
    kind, checksum = pipe._running.checksums()["generator"]
    assert (kind, len(checksum)) == ("OnnxGenerator", 32)


def test_the_gates_check_its_results(
    pipe: ReliableSwapPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = portrait(2, 200)
    shown = []
    monkeypatch.setattr(NudityNet, "score", lambda _, pixels: shown.append(pixels.copy()) or 0.01)
    made = pipe(portrait(1, 200), target).pictures[0].pixels
    assert any(np.array_equal(pixels, made) for pixels in shown)
    monkeypatch.setattr(NudityNet, "score", lambda _, pixels: 0.99 * (not np.array_equal(pixels, target)))
    with pytest.raises(RefusedError):
        pipe(portrait(1, 200), target)


@pytest.mark.slow
def test_other_devices_leave_the_file_to_its_own_runtime(pipe: ReliableSwapPipeline) -> None:
    before = pipe(portrait(1, 200), portrait(2, 200)).pictures[0].pixels
    pipe.to(torch.float64)
    try:
        after = pipe(portrait(1, 200), portrait(2, 200)).pictures[0].pixels
    finally:
        pipe.to(torch.float32)
    assert np.abs(after.astype(int) - before).mean() < 1


@pytest.mark.slow
def test_it_is_saved_and_loaded(pipe: ReliableSwapPipeline, tmp_path: Path) -> None:
    before = pipe(portrait(1, 200), portrait(2, 200)).pictures[0].pixels
    pipe.save_pretrained(tmp_path)
    assert (tmp_path / "generator" / "network.onnx").is_file()
    assert "| `generator` | OnnxGenerator | 263,6" in (tmp_path / "README.md").read_text()
    loaded = ReliableSwapPipeline.from_pretrained(tmp_path)
    assert np.array_equal(loaded(portrait(1, 200), portrait(2, 200)).pictures[0].pixels, before)


def test_another_encoder_is_refused(pipe: ReliableSwapPipeline) -> None:
    with pytest.raises(WeightsError, match="was trained with"):
        ReliableSwapPipeline.bundled(generator=pipe.generator, fixer=None)
