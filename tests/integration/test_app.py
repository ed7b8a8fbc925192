"""`python app.py` as a user starts it, and the files that configure a Space."""

from __future__ import annotations

import os
import runpy
import signal
import socket
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest
import yaml
from support.s3 import refuses

from reliableswap.space.people import PEOPLE

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_it_starts_offline_and_leaves_no_files(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "GRADIO_SERVER_PORT": str(port),
        "TMPDIR": str(tmp_path),
        "http_proxy": "http://127.0.0.1:9",  # requests to other servers fail
        "https_proxy": "http://127.0.0.1:9",
        "no_proxy": "127.0.0.1,localhost",
        "OMP_NUM_THREADS": "1",
    }
    environment.pop("GRADIO_TEMP_DIR", None)
    app = subprocess.Popen(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        deadline = time.monotonic() + 240  # long, for busy machines; benchmarks/space.py measures the time
        while refuses(port) and time.monotonic() < deadline and app.poll() is None:
            time.sleep(0.1)
        assert "ReliableSwap" in httpx.get(f"http://127.0.0.1:{port}/", timeout=60).text
        assert list(tmp_path.glob("reliableswap-*")), "uploads and results have a folder of their own"
    finally:
        app.terminate()
        output = app.communicate(timeout=120)[0].decode()
    assert "Traceback" not in output
    assert not list(tmp_path.glob("reliableswap-*")), "which is deleted at exit"


def test_a_wrong_folder_of_people_ends_the_start_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PEOPLE, str(tmp_path / "missing"))
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # leave this process's signal handlers alone
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "app.py"), run_name="__main__")
    (line,) = str(ended.value.code).splitlines()
    assert line.startswith(f"{PEOPLE}={tmp_path / 'missing'}: ")


@pytest.mark.parametrize("name", ["RELIABLESWAP_UNIFIED", "RELIABLESWAP_TRUST", "RELIABLESWAP_CERT"])
def test_a_wrong_path_in_the_environment_ends_the_start_with_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = str(tmp_path / "missing")
    monkeypatch.setenv(name, missing)
    if name == "RELIABLESWAP_CERT":
        monkeypatch.setenv("RELIABLESWAP_KEY", missing)
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # leave this process's signal handlers alone
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "app.py"), run_name="__main__")
    (line,) = str(ended.value.code).splitlines()
    assert line.startswith(name)
    assert missing in line


def test_the_front_matter_is_what_a_space_needs() -> None:
    _, front, _ = (ROOT / "README.md").read_text("utf-8").split("---\n", 2)
    facts = yaml.safe_load(front)
    assert facts["sdk"] == "gradio"
    assert (ROOT / facts["app_file"]).is_file()
    assert facts["license"] == "apache-2.0"
    assert str(facts["sdk_version"]).split(".")[0] == version("gradio").split(".")[0] == "6"
    packages = (ROOT / "packages.txt").read_text().split()
    assert packages
    assert all(name.replace("-", "").replace(".", "").isalnum() for name in packages)
