"""What the page's events and the API's endpoints share: their limits, and errors that people can read."""

from __future__ import annotations

import contextlib
import functools
import html
import logging
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

import gradio as gr

from reliableswap.errors import RefusedError, ReliableSwapError

P = ParamSpec("P")
R = TypeVar("R")
logger = logging.getLogger(__name__)

ONE_AT_A_TIME: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "device"}  # for heavy jobs
# Pass files on as they came: our own code checks them, with clearer messages than the components'.
UNCHECKED: dict[str, Any] = {"preprocess": False}
# For events that only change the page: not in the API, not in the queue, and without a progress bar.
PAGE_ONLY: dict[str, Any] = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}


def one_line(error: BaseException) -> str:
    """Return the error's message on one line with HTML escaped: it may hold a client's file name."""
    return html.escape(" ".join(str(error).split()), quote=False)


def show_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Show ReliableSwap's errors as toasts; log any other error, and show an apology without its details."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with _errors_shown(function.__name__):
            return function(*args, **kwargs)

    return call


def show_errors_of_steps(function: Callable[P, Iterator[R]]) -> Callable[P, Iterator[R]]:
    """As `show_errors`, for an event that yields intermediate outputs."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> Iterator[R]:
        with _errors_shown(function.__name__):
            yield from function(*args, **kwargs)

    return call


@contextlib.contextmanager
def _errors_shown(name: str) -> Iterator[None]:
    try:
        yield
    except ReliableSwapError as error:
        raise gr.Error(one_line(error), title="Not done", print_exception=False) from error
    except gr.Error:
        raise
    except Exception as error:
        logger.exception("%s failed", name)
        raise gr.Error(
            "something went wrong on the server; please try again, or try another picture",
            title="Not done",
            print_exception=False,
        ) from error


def show_refusals(function: Callable[P, Any]) -> Callable[P, Any]:
    """Show a refusal of the gates as a quiet notice and leave the page's outputs as they are.

    For the page only: an endpoint has to answer with an error.
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> Any:
        try:
            return function(*args, **kwargs)
        except RefusedError as error:
            notify_refusal(error)
            return gr.skip()

    return call


def notify_refusal(error: RefusedError) -> None:
    """Show a refusal as a quiet notice."""
    gr.Info(one_line(error), title="Not swapped", duration=20)
