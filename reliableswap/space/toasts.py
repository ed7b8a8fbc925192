"""Errors as toasts: one line, safe to show as HTML, never a traceback."""

from __future__ import annotations

import functools
import html
import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import gradio as gr

from reliableswap.errors import ReliableSwapError

P = ParamSpec("P")
R = TypeVar("R")
_log = logging.getLogger(__name__)


def one_line(error: BaseException) -> str:
    """The error's message; a toast renders HTML, and a message may hold a file name from a client."""
    return html.escape(" ".join(str(error).split()), quote=False)


def toasts(function: Callable[P, R]) -> Callable[P, R]:
    """The function with the package's errors turned into toasts, and any other into an apology and a log entry."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except ReliableSwapError as error:
            raise gr.Error(one_line(error), title="Not done", print_exception=False) from error
        except gr.Error:
            raise
        except Exception as error:
            _log.exception("%s failed", function.__name__)
            raise gr.Error(
                "something went wrong on the server, and it was noted there; please try again, or another picture",
                title="Not done",
                print_exception=False,
            ) from error

    return call
