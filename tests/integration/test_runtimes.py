"""OpenVINO's and ONNX Runtime's tests, in their own process: their threads and libraries would slow the other tests."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest


@pytest.mark.slow
def test_runtimes_in_a_process_of_their_own(runtime_checks: tuple[subprocess.Popen[bytes], Path]) -> None:
    process, said = runtime_checks
    code = process.wait(timeout=300)
    text = said.read_text(errors="replace")
    assert code == 0, text[-4000:]
    assert " passed" in text
    assert "skipped" not in text
