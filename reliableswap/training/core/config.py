"""Fill a settings dataclass from a preset, a YAML file and the command line; each overrides those before it."""

from __future__ import annotations

import argparse
import dataclasses
import os
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml

from reliableswap.errors import ReliableSwapError

CONFIG_FILE = "settings.yaml"
_CONFIG_HELP = "YAML file of settings; options on the command line override it"
_PRESET_HELP = "recipe whose values become the defaults; --config and options override it"

Settings = TypeVar("Settings")


def parse_settings(kind: type[Settings], argv: Sequence[str], prog: str, description: str) -> Settings:
    """Parse the command line into settings. `--help` prints the defaults as the preset and the YAML file set them.

    Options may be written with dashes or underscores. A settings class has an option --preset if it has PRESETS, which
    maps names to the values that differ from its defaults.
    """
    try:
        import tyro
    except ImportError as error:
        raise ReliableSwapError("training needs tyro; run: pip install 'reliableswap[train]'") from error
    presets: Mapping[str, Mapping[str, Any]] = getattr(kind, "PRESETS", {})
    config, preset = _first_options(argv)
    file = read_settings(config, kind) if config is not None else {}
    preset = file.pop("preset", None) if preset is None else preset
    options: list[tuple[str, Any, Any, str]] = [("config", Path | None, config, _CONFIG_HELP)]
    if presets:
        preset = preset or next(iter(presets))
        if preset not in presets:
            raise ReliableSwapError(f"unknown preset {preset!r}; choose one of {', '.join(presets)}")
        options.append(("preset", Literal[tuple(presets)], preset, _PRESET_HELP))
    hints = typing.get_type_hints(kind)
    defaults = {**presets.get(preset or "", {}), **file}
    names = []
    for one in dataclasses.fields(kind):  # type: ignore[arg-type]
        names.append(one.name)
        options.append((one.name, hints[one.name], defaults.get(one.name, one.default), one.metadata["help"]))
    view = dataclasses.make_dataclass(
        kind.__name__,
        [
            (name, Annotated[hint, tyro.conf.arg(help=text)], dataclasses.field(default=default))
            for name, hint, default, text in options
        ],
    )
    on_main = os.environ.get("RANK", "0") == "0"
    parsed: Any = tyro.cli(view, args=list(argv), prog=prog, description=description, console_outputs=on_main)
    return kind(**{name: getattr(parsed, name) for name in names})


def _first_options(argv: Sequence[str]) -> tuple[Path | None, str | None]:
    """Parse --config and --preset ahead of the other options, whose defaults depend on them."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--preset")
    found, _ = parser.parse_known_args(argv)
    return found.config, found.preset


def read_settings(path: Path, kind: type) -> dict[str, Any]:
    """Read the values of a YAML file by field name, converted to the fields' types. `preset` may be among the names."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ReliableSwapError(f"{path} can't be read as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, Mapping):
        raise ReliableSwapError(f"{path} holds no settings; write `name: value` lines")
    hints = {**typing.get_type_hints(kind), **({"preset": str} if hasattr(kind, "PRESETS") else {})}
    names = {one.name for one in dataclasses.fields(kind)} | ({"preset"} & hints.keys())
    unknown = sorted(set(map(str, values)) - names)
    if unknown:
        raise ReliableSwapError(f"{path}: unknown settings {', '.join(unknown)}; see --help for their names")
    return {name: _converted(hints[name], value, f"{path}: {name}") for name, value in values.items()}


def write_settings(path: Path, settings: Any) -> None:
    """Write every value to a YAML file, which repeats the run if passed as --config."""
    values = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in dataclasses.asdict(settings).items()
    }
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")


def _converted(kind: Any, value: Any, name: str) -> Any:
    """Convert a value to the field's type."""
    if isinstance(kind, types.UnionType):
        if value is None:
            return None
        kind = next(k for k in typing.get_args(kind) if k is not type(None))
    if typing.get_origin(kind) is Literal:
        if value is False:  # YAML 1.1 reads a bare `no` as False
            value = "no"
        if value not in typing.get_args(kind):
            raise ReliableSwapError(
                f"{name} is {value!r}; choose one of {', '.join(map(str, typing.get_args(kind)))}"
            )
        return value
    wrong = ReliableSwapError(f"{name} is {value!r}; give a value of type {kind.__name__}")
    if value is None or (kind is bool) != isinstance(value, bool):
        raise wrong
    try:
        return kind(value)
    except (TypeError, ValueError) as error:
        raise wrong from error
