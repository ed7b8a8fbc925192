"""The package as a whole: what importing loads, what installing includes, and rules for every file."""

from __future__ import annotations

import contextlib
import functools
import io
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "reliableswap").rglob("*.py"))
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

# Packages from extras. A swap must work without them.
EXTRAS = (
    "accelerate", "av", "dlib", "gradio", "insightface", "matplotlib", "openpeople",
    "openvino", "pyarrow", "tyro",
)  # fmt: skip


def python(code: str) -> str:
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return run.stdout.strip()


def test_importing_the_package_is_quick() -> None:
    # CPU time, because other test processes keep the cores busy.
    code = "import time; start = time.process_time(); import reliableswap; print(time.process_time() - start)"
    assert min(float(python(code)) for _ in range(3)) < 0.3


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, reliableswap; print(sorted({'torch', 'diffusers', 'cv2', 'gradio'} & set(sys.modules)))"
    )
    assert python(code) == "[]"


@pytest.mark.slow
def test_modules_that_exported_folders_use_do_not_import_torch() -> None:
    code = """
import importlib, pkgutil, sys
for room in ("geometry", "imaging", "media", "provenance", "faces", "swap", "safety"):
    package = importlib.import_module(f"reliableswap.{room}")
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("_torch"):
            importlib.import_module(module.name)
print(sorted({"torch", "diffusers", "gradio"} & set(sys.modules)))
"""
    assert python(code) == "[]"


@pytest.mark.slow
def test_a_swap_needs_no_extra() -> None:
    code = f"""
import sys
from support.people import portrait
source, target = portrait(1, 200), portrait(2, 200)
for name in {EXTRAS}:
    sys.modules.pop(name, None)
    sys.modules[name] = None  # importing it now raises ModuleNotFoundError
from reliableswap import ReliableSwapPipeline
print(len(ReliableSwapPipeline.bundled()(source, target).images))
"""
    assert python("import sys; sys.path[:0] = ['.', 'tests']\n" + code) == "1"


def test_public_names_load_on_first_use() -> None:
    import reliableswap

    for name in reliableswap.__all__:
        assert getattr(reliableswap, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = reliableswap.nothing


def test_requirements_txt_is_core_and_space() -> None:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    listed = [line for line in lines if not line.startswith("#")]
    project = PROJECT["project"]
    assert listed == [*project["dependencies"], *project["optional-dependencies"]["space"]]


def test_the_space_runs_on_the_gradio_that_the_readme_names() -> None:
    front = (ROOT / "README.md").read_text().split("---")[1]
    assert re.search(r"^sdk_version: 6\.", front, re.MULTILINE)
    assert re.search(r"^app_file: app\.py$", front, re.MULTILINE)


def test_every_data_file_of_the_package_is_installed() -> None:
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["reliableswap"]
    ignored = {".py", ".pyc"}
    package = ROOT / "reliableswap"
    for path in package.rglob("*"):
        if path.is_file() and path.suffix not in ignored:
            name = path.relative_to(package).as_posix()
            assert any(fnmatch(name, pattern.replace("**/", "*")) for pattern in patterns), name


def test_no_module_reads_the_private_names_of_another_package() -> None:
    for path in SOURCES:
        for line in path.read_text().splitlines():
            found = re.match(r"\s*from (\.\.\w[\w.]*|reliableswap\.\w[\w.]*) import (.+)", line)
            if found:
                assert not re.search(r"(^|, )_", found.group(2)), f"{path.relative_to(ROOT)}: {line}"


def test_pickles_are_read_by_convert_alone() -> None:
    for path in SOURCES:
        calls = re.findall(r"torch\.load\([^)]*\)", path.read_text())
        if calls:
            assert path.parent.name == "convert", path.relative_to(ROOT)
            assert all("weights_only=True" in call for call in calls)


def test_no_file_names_a_machine_specific_path() -> None:
    for path in [*SOURCES, *(ROOT / "tests").rglob("*.py"), *DOCUMENTS]:
        if path.name != "test_package.py":
            assert not re.search(r"/(home|root|work)/\w", path.read_text()), path


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_of_documents_lead_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text()):
        if not re.match(r"\w+:", link):
            assert (document.parent / link).exists(), link


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_scripts_that_documents_name_exist(document: Path) -> None:
    for script in re.findall(r"(?<![\w/])((?:benchmarks|tools)/\w+\.py)\b", document.read_text()):
        assert (ROOT / script).is_file(), script


def documented_commands(document: Path) -> list[str]:
    """The `reliableswap` commands in a document's fenced blocks, each on one line."""
    blocks = re.findall(r"```bash\n(.*?)```", document.read_text(), re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    commands = [re.sub(r".*train_accelerate\.py", "reliableswap train", line) for line in lines]
    return [line for line in commands if line.startswith("reliableswap ")]


@functools.cache
def help_text(*words: str) -> str:
    from reliableswap.cli.main import main

    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.suppress(SystemExit):
        main([*words, "--help"])
    return output.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_options_that_documents_name_exist(document: Path) -> None:
    for command in documented_commands(document):
        words = command.split()[1:]
        text = help_text(*words[: 2 if words[0] == "train" else 1]).replace("_", "-")
        for option in (word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)):
            assert re.search(rf"{re.escape(option.replace('_', '-'))}(?![\w-])", text), command
