"""`reliableswap convert`: its arguments reach the conversion, and its report goes to stderr."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support import published

from reliableswap.cli.main import main
from reliableswap.models import load_network

parity = published.load_benchmark("parity")


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    weights = parity.ruled_weights(published.simswap(4, blocks=1))
    torch.save({"netG": weights, "netG_ema": weights}, tmp_path / "file.pth")
    return tmp_path / "file.pth"


def test_settings_and_prefix_reach_the_config(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["convert", "simswap", str(checkpoint), "-o", str(tmp_path / "out"), "--prefix", "netG."]
    assert main([*line, "--template", "arcface_128", "--value-range", "-1", "1"]) == 0
    config = load_network(tmp_path / "out").config
    assert config.template == "arcface_128"
    assert tuple(config.value_range) == (-1.0, 1.0)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "SimSwapGenerator" in printed.err


def test_a_file_with_two_networks_is_an_error_in_one_line(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", "simswap", str(checkpoint), "-o", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "choose one with --prefix" in line
    assert not (tmp_path / "out").exists()
