"""OpenVINO's tests, in a process of their own: it brings threads and libraries that other tests shall not inherit."""

from __future__ import annotations

import subprocess
from pathlib import Path


def test_openvino_in_a_process_of_its_own(
    openvino_checks: tuple[subprocess.Popen[bytes], Path],
) -> None:
    process, said = openvino_checks
    code = process.wait(timeout=300)
    text = said.read_text(errors="replace")
    assert code == 0, text[-4000:]
    assert " passed" in text
    assert "skipped" not in text
