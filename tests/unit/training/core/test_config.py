"""Settings: --help prints what runs; options win over the file, the file over the preset."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import pytest

from reliableswap.cli.train import TASKS, parse
from reliableswap.errors import ReliableSwapError
from reliableswap.training.core.config import parse_settings, read_settings, write_settings
from reliableswap.training.core.settings import RunSettings, setting
from reliableswap.training.tasks.generator.settings import GeneratorSettings


@dataclass
class Some(RunSettings):
    PRESETS: ClassVar = {"plain": {}, "wide": {"width": 64, "learning_rate": 0.5}}

    width: int = setting(8, "width of the network, 100 % of it")
    shape: Literal["round", "square"] = setting("round", "shape of it")
    start: Path | None = setting(None, "where to start")


def parsed(*options: str) -> Some:
    return parse_settings(Some, options, "train", "Train some.")


def printed_defaults(text: str) -> dict[str, str]:
    """The defaults that a help text prints, by option: a table with wrapped lines and perhaps borders."""
    found = {}
    for option in re.split(r"^[│ ] --", text, flags=re.MULTILINE)[1:]:
        name = re.split(r"[ ,]", option)[0].replace("-", "_")
        default = re.search(r"\(default:([^()]*)\)", re.sub(r"[│\s]+", "", option))
        if default:
            found[name] = default[1].strip("'")
    return found


@pytest.mark.parametrize("task", TASKS)
def test_help_prints_the_values_that_run(task: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(task, ["--help"])
    printed = printed_defaults(capsys.readouterr().out)
    settings = parse(task, [])[1]
    for one in dataclasses.fields(settings):
        if "(default:" not in one.metadata["help"]:
            assert printed[one.name] == str(getattr(settings, one.name)), one.name
    assert type(settings)() == settings


def test_the_help_of_a_preset_prints_that_presets_values(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed("--preset", "wide", "--help")
    assert printed_defaults(capsys.readouterr().out)["width"] == "64"


def test_a_generators_settings_are_those_of_the_first_preset() -> None:
    assert GeneratorSettings() == GeneratorSettings.of("light")


def test_options_win_over_the_file_and_the_file_over_the_preset(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("preset: wide\nlearning_rate: 1e-5\nuse_ema: false\nseed: 3\nmixed_precision: no\n")
    mine = parsed("--config", str(file), "--seed", "4")
    assert (mine.width, mine.learning_rate, mine.use_ema, mine.seed) == (64, 1e-5, False, 4)
    assert mine.mixed_precision == "no"
    assert parsed("--config", str(file), "--preset", "plain").width == 8


@pytest.mark.parametrize("flag", ["--max-train-steps", "--max_train_steps"])
def test_dashes_and_underscores_mean_the_same(flag: str) -> None:
    assert parsed(flag, "7").max_train_steps == parsed(f"{flag}=7").max_train_steps == 7


def test_what_a_run_writes_repeats_it(tmp_path: Path) -> None:
    mine = Some(output_dir=tmp_path, width=3, shape="square", start=tmp_path / "network", use_ema=False)
    write_settings(tmp_path / "settings.yaml", mine)
    assert parsed("--config", str(tmp_path / "settings.yaml")) == mine


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rat: 1", "unknown settings learning_rat"),
        ("- 1", "holds no settings"),
        ("a: [", "can't be read as YAML"),
        ("use_ema: 3", "use_ema is 3; give a value of type bool"),
        ("seed: many", "value of type int"),
        ("seed: true", "value of type int"),
        ("seed:", "value of type int"),
        ("shape: flat", "shape is 'flat'; choose one of round, square"),
        ("preset: huge", "unknown preset 'huge'; choose one of plain, wide"),
    ],
)
def test_a_bad_file_is_one_line(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(ReliableSwapError, match=re.escape(message)) as caught:
        parsed("--config", str(tmp_path / "bad.yaml"))
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ReliableSwapError, match="can't be read as YAML"):
        read_settings(tmp_path / "none.yaml", Some)


@pytest.mark.parametrize("options", [["--colour", "red"], ["--seed", "many"], ["--shape", "flat"]])
def test_a_bad_option_ends_with_status_2(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parsed(*options)
    assert caught.value.code == 2
    assert options[0] in capsys.readouterr().err


def test_counts_below_one_are_refused() -> None:
    with pytest.raises(ReliableSwapError, match="--logging_steps is 0; choose 1 or more"):
        parsed("--logging_steps", "0")
