"""Run a tool as a command: settings from its options, its result printed, an error in one line."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from reliableswap.errors import ReliableSwapError
from reliableswap.training.core.config import parse_settings

Settings = TypeVar("Settings")


def run_command(
    run: Callable[[Settings], str],
    settings: type[Settings],
    name: str,
    document: str | None,
    argv: Sequence[str] | None,
) -> int:
    """Call `run` with the parsed settings, print what it returns, and return the exit status.

    name: of the tool's module in tools. document: its docstring, whose first line describes the command. argv: the
    command line without the program; None: that of this process.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    description = (document or "").splitlines()[0]
    try:
        arguments = sys.argv[1:] if argv is None else argv
        print(run(parse_settings(settings, arguments, f"python -m tools.{name}", description)), end="")
    except ReliableSwapError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0
