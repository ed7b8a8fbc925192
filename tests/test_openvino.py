"""OpenVINO's tests, in a process of their own: it brings threads and libraries that other tests shall not inherit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CHECKS = Path(__file__).with_name("openvino_checks.py")


def test_openvino_in_a_process_of_its_own() -> None:
    command = [sys.executable, "-m", "pytest", "--show-capture=no", str(CHECKS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=CHECKS.parent.parent)
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
