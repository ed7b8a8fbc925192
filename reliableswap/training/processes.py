"""Who else was launched."""

from __future__ import annotations

from accelerate import PartialState
from accelerate.utils import parse_flag_from_env


def processes() -> PartialState:
    """Who else was launched, asked as the loop's Accelerator asks later: whoever comes first decides for both."""
    return PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU"))
