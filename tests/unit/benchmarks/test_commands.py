"""Every benchmark's command line works."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
# Modules that benchmarks import; they have no command line.
LIBRARIES = {
    "attacks.py",
    "curves.py",
    "memory.py",
    "people.py",
    "rows.py",
    "s3_server.py",
    "styles.py",
    "unified_drawings.py",
}
COMMANDS = sorted(path.name for path in BENCHMARKS.glob("*.py") if path.name not in LIBRARIES)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_works(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    script = str(BENCHMARKS / name)
    monkeypatch.setattr(sys, "argv", [script, "--help"])
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])  # as python does for a script
    before = set(sys.modules)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(script, run_name="__main__")
    assert not ended.value.code
    assert "usage:" in capsys.readouterr().out
    for module in set(sys.modules) - before:
        if str(getattr(sys.modules[module], "__file__", "")).startswith(str(BENCHMARKS)):
            monkeypatch.delitem(sys.modules, module)  # imported through the added path
