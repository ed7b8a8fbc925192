"""The surrogates' ablation runs commands that exist."""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from pathlib import Path

from reliableswap.cli import triplets
from reliableswap.training.core.config import parse_settings
from reliableswap.training.tasks.generator.settings import GeneratorSettings

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "surrogates.py"


def test_every_command_parses() -> None:
    done = subprocess.run(
        [sys.executable, str(BENCHMARK), "photos", "faces", "-o", "out", "--dry-run", "--seeds", "0"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = [shlex.split(line) for line in done.stdout.splitlines()]
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
