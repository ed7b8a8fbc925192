"""The surrogates' ablation runs commands that exist."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

import pytest
from support.published import load_benchmark

from reliableswap.cli import triplets
from reliableswap.training.core.config import parse_settings
from reliableswap.training.tasks.generator.settings import GeneratorSettings

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


def test_every_command_parses(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)  # as python does for a script
    given = ["surrogates.py", "photos", "faces", "-o", "out", "--dry-run", "--seeds", "0"]
    monkeypatch.setattr(sys, "argv", given)
    load_benchmark("surrogates").main()
    lines = [shlex.split(line) for line in capsys.readouterr().out.splitlines()]
    parser = argparse.ArgumentParser()
    triplets.add_arguments(parser)
    made, trained = set(), set()
    for line in lines:
        if "triplets" in line[:4]:
            found = parser.parse_args(line[line.index("triplets") + 1 :])
            assert triplets.settings_of(found).surrogates.singles
            made.add(str(found.output))
        else:
            settings = parse_settings(GeneratorSettings, line[line.index("generator") + 1 :], "", "")
            assert settings.triplets in made
            changed = settings.supervision, settings.adapter, settings.proxy_beta, settings.alternate
            trained.add((settings.triplets, *changed))
    assert len(made) == 4
    assert len(trained) == len(lines) - 4 == 10
