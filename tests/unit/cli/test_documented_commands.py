"""Every command in the documents exists, with its options and settings."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from reliableswap.cli import train
from reliableswap.cli.main import COMMANDS, make_parser

ROOT = Path(__file__).parents[3]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
TRAIN = "train_accelerate.py"


def commands_of(document: Path) -> Iterator[list[str]]:
    """Yield the words of each command line in the document's shell blocks."""
    text = document.read_text(encoding="utf-8")
    for block in re.findall(r"^ *```(?:bash|sh|console)\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE):
        for line in block.replace("\\\n", " ").splitlines():
            for command in line.split("&&"):
                words = shlex.split(command, comments=True)
                if words:
                    yield words


ALL = [(document.name, words) for document in DOCUMENTS for words in commands_of(document)]
OURS = [(name, words) for name, words in ALL if words[0] == "reliableswap"]
TRAININGS = [(name, words[words.index(TRAIN) + 1 :]) for name, words in ALL if TRAIN in words]
TRAININGS += [(name, words[2:]) for name, words in OURS if words[1] == "train"]
SCRIPTS = [(name, words) for name, words in ALL if words[0] == "python" and words[1].endswith(".py")]


def label(value: object) -> str:
    return " ".join(value)[:60] if isinstance(value, list) else str(value)


@pytest.mark.parametrize(("name", "words"), OURS, ids=label)
def test_the_parser_takes_the_command(name: str, words: list[str]) -> None:
    make_parser(words[1]).parse_args(words[1:])  # raises SystemExit for an unknown command or option


@pytest.mark.parametrize(("name", "words"), TRAININGS, ids=label)
def test_a_trainings_settings_exist(name: str, words: list[str]) -> None:
    task, *options = words
    if "--help" not in options and task in train.TASKS:
        train.parse(task, options)
    else:
        assert task in (*train.TASKS, "TASK")


@pytest.mark.parametrize(("name", "words"), SCRIPTS, ids=label)
def test_a_script_exists_and_names_its_options(name: str, words: list[str]) -> None:
    source = (ROOT / words[1]).read_text(encoding="utf-8")
    if words[1] == TRAIN:
        return
    if "from rows import" in source:  # rows adds options of its own
        source += (ROOT / "benchmarks" / "rows.py").read_text(encoding="utf-8")
    for option in (word for word in words[2:] if word.startswith("--")):
        assert option in source or option[2:] in source, f"{name}: {words[1]} has no {option}"


def test_the_documents_show_most_sub_commands() -> None:
    shown = {words[1] for _, words in OURS}
    assert {"swap", "faces", "triplets", "train", "evaluate", "verify"} <= shown
    assert shown <= set(COMMANDS)


@pytest.mark.slow
def test_every_option_that_a_sentence_names_exists_somewhere() -> None:
    """Options between backticks, such as `--faces all`."""
    known = {path: path.read_text(encoding="utf-8") for path in code_files()}
    everything = "\n".join(known.values())
    for document in DOCUMENTS:
        if document.name == "CHANGELOG.md":  # also names removed options
            continue
        for option in re.findall(r"`(--[a-z][a-z0-9_-]+)", document.read_text(encoding="utf-8")):
            name = option[2:].removeprefix("no-")  # every on-off setting has both
            assert re.search(rf"\b{name}\b|\b{name.replace('-', '_')}\b", everything), (
                f"{document.name}: {option}"
            )


def code_files() -> list[Path]:
    """Python files that define options."""
    return [
        *(ROOT / "reliableswap").rglob("*.py"),
        *(ROOT / "benchmarks").glob("*.py"),
        *(ROOT / "tools").rglob("*.py"),
    ]
