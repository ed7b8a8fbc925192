"""The container images' definitions: what can be checked of them without a docker daemon."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FILES = [ROOT / "Dockerfile", ROOT / "docker" / "cuda.Dockerfile"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def instructions(file: Path) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile, with continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", file.read_text(), flags=re.M).replace("\\\n", " ")
    pairs = (line.partition(" ") for line in text.splitlines() if line.strip())
    return [(name, rest.strip()) for name, _, rest in pairs]


def arguments(file: Path, wanted: str) -> list[str]:
    return [rest for name, rest in instructions(file) if name == wanted]


@pytest.fixture(params=FILES, ids=lambda file: file.name)
def file(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_copied_files_exist_and_are_in_the_build_context(file: Path) -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [one for rest in arguments(file, "COPY") if "--from" not in rest for one in rest.split()[:-1]]
    assert "reliableswap" in copied
    for one in copied:
        assert (ROOT / one).exists(), one
        assert one.split("/")[0] in allowed, one


def test_the_base_is_pinned_and_the_last_stage_does_not_run_as_root(file: Path) -> None:
    version = dict(rest.split("=", 1) for rest in arguments(file, "ARG"))["PYTHON"]
    assert re.fullmatch(r"3\.\d+\.\d+-slim-\w+", version)
    assert [rest.split()[0] for rest in arguments(file, "FROM")] == ["python:${PYTHON}"] * 2
    names = [name for name, _ in instructions(file)]
    last = names[len(names) - names[::-1].index("FROM") :]
    assert last.index("USER") < last.index("HEALTHCHECK") < last.index("CMD")
    assert arguments(file, "USER")[-1] not in {"root", "0"}


def test_torch_and_extras_are_the_project_s(file: Path) -> None:
    (torch,) = (one for one in PROJECT["dependencies"] if one.startswith("torch"))
    assert f'"{torch}"' in next(rest for rest in arguments(file, "RUN") if "--index-url" in rest)
    extras = dict(rest.split("=", 1) for rest in arguments(file, "ARG"))["EXTRAS"].split(",")
    assert set(extras) <= set(PROJECT["optional-dependencies"])


def test_nothing_is_cached_in_a_layer(file: Path) -> None:
    assert any("PIP_NO_CACHE_DIR=1" in rest for rest in arguments(file, "ENV"))
    for rest in arguments(file, "RUN"):
        if "apt-get install" in rest:
            assert "--no-install-recommends" in rest
            assert "rm -rf /var/lib/apt/lists/*" in rest
