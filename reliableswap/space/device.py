"""Where the heavy functions run: on a lent GPU where the host lends one (ZeroGPU), else where the pipeline is."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

try:
    _LENT: Any = import_module("spaces").GPU
except ImportError:
    _LENT = None


def on_gpu(function: Callable[P, R]) -> Callable[P, R]:
    """The function, run on a lent GPU where there is one to lend; the very same function elsewhere."""
    if _LENT is None:
        return function
    lent: Callable[P, R] = _LENT(function)
    return lent
