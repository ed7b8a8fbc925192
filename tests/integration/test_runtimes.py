"""OpenVINO's and ONNX Runtime's tests, in their own process: their threads and libraries would slow the other tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECKS = Path(__file__).parents[1] / "support" / "runtime_checks.py"


@pytest.mark.slow
def test_runtimes_in_a_process_of_their_own() -> None:
    command = [sys.executable, "-m", "pytest", "--show-capture=no", str(CHECKS)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=CHECKS.parents[2], timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
