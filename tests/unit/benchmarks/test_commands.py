"""Every benchmark's command line works."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
LIBRARIES = {"attacks.py", "people.py", "styles.py"}  # imported by benchmarks, not run
COMMANDS = sorted(path.name for path in BENCHMARKS.glob("*.py") if path.name not in LIBRARIES)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_help_works(name: str) -> None:
    command = [sys.executable, str(BENCHMARKS / name), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=BENCHMARKS.parent, check=False)
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout
