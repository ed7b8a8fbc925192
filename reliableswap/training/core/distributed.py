"""The processes of a run: their process group, and decisions that they make together."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from accelerate import PartialState
from accelerate.utils import broadcast_object_list, gather_object, parse_flag_from_env

from reliableswap.errors import ReliableSwapError

_TIMEOUT = timedelta(hours=12)

Result = TypeVar("Result")


class SharedError(ReliableSwapError):
    """An error raised on every rank, so that a single rank can report it."""


def processes() -> PartialState:
    """Return the process group, created as Accelerator would create it.

    PartialState is a singleton and later options are ignored, so the timeout is set here: ranks wait while the first
    one aligns and labels photos, which may take longer than NCCL's ten minutes.
    """
    return PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU"), timeout=_TIMEOUT)


def from_main(decide: Callable[[], Result]) -> Result:
    """Call `decide` on rank 0 and return its result on every rank; its ReliableSwapError is raised on every rank."""
    answer: list[Result | ReliableSwapError | None] = [None]
    if PartialState().is_main_process:
        try:
            answer[0] = decide()
        except ReliableSwapError as error:
            answer[0] = error
    broadcast_object_list(answer)
    result = answer[0]
    if isinstance(result, ReliableSwapError):
        raise SharedError(str(result)) from result
    return result  # type: ignore[return-value]


def on_all(act: Callable[[], Result]) -> list[Result]:
    """Call `act` on every rank and return all results by rank; if it fails on any rank, raise one error on all."""
    outcome: Result | ReliableSwapError
    try:
        outcome = act()
    except ReliableSwapError as error:
        outcome = error
    outcomes: list[Result | ReliableSwapError] = gather_object([outcome])
    errors = {rank: str(one) for rank, one in enumerate(outcomes) if isinstance(one, ReliableSwapError)}
    if not errors:
        return outcomes  # type: ignore[return-value]
    if len(set(errors.values())) == 1 and len(errors) == len(outcomes):
        raise SharedError(errors[0])
    raise SharedError("; ".join(f"rank {rank}: {text}" for rank, text in errors.items()))
