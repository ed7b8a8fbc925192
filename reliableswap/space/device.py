"""Run heavy functions on a GPU of ZeroGPU (the package `spaces`) if the host offers it."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def _zero_gpu() -> Any:
    """Return the decorator of ZeroGPU, or None on other hosts."""
    try:
        return import_module("spaces").GPU
    except ImportError:
        return None


_zero_gpu()  # `spaces` has to be imported before torch


def lends_gpus() -> bool:
    """Whether this host lends a GPU for single calls only, so that nothing can hold it between calls."""
    return _zero_gpu() is not None


def on_gpu(function: Callable[P, R]) -> Callable[P, R]:
    """Wrap the function to run on a ZeroGPU; return it unchanged on other hosts."""
    decorator = _zero_gpu()
    if decorator is None:
        return function
    wrapped: Callable[P, R] = decorator(function)
    return wrapped
