"""Record calls that would make a program wait for an accelerator: values read back, value-dependent shapes, copies."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

_METHODS = {"item", "tolist", "numpy", "cpu", "__float__", "__bool__", "__int__", "__index__", "__array__"}
_OPERATORS = {
    "_local_scalar_dense",
    "nonzero",
    "masked_select",
    "_unique2",
    "unique_consecutive",
    "repeat_interleave",
}
_CHECKED = ("linalg_", "_linalg_")  # on a GPU these wait to check that they succeeded
_UNCHECKED = {"linalg_vector_norm", "linalg_cross", "_linalg_check_errors"}
_INDEXING = {"index", "index_put", "index_put_", "_unsafe_index"}
# AdamW keeps its step count on the CPU, and reads it there.
_EXCUSED = ("torch/optim/",)


class _Functions(TorchFunctionMode):
    def __init__(self, found: list[str]) -> None:
        self.found = found

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name in _METHODS or func in (torch.tensor, torch.as_tensor):
            _note(self.found, name)
        return func(*args, **(kwargs or {}))


class _Operators(TorchDispatchMode):
    def __init__(self, found: list[str]) -> None:
        super().__init__()
        self.found = found

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in _OPERATORS or (name.startswith(_CHECKED) and name not in _UNCHECKED):
            _note(self.found, name)
        if name in _INDEXING and any(
            one is not None and one.dtype in (torch.bool, torch.uint8) for one in args[1]
        ):
            _note(self.found, f"{name} by bool")
        return func(*args, **(kwargs or {}))


def _note(found: list[str], name: str) -> None:
    """Record the call, and the line of our code that made it."""
    frame: Any = sys._getframe(2)
    ours = ""
    while frame is not None:
        path = frame.f_code.co_filename
        if any(part in path for part in _EXCUSED):
            return
        if not ours and "/torch/" not in path and "sync_watch" not in path:
            ours = f"{path}:{frame.f_lineno}"
        frame = frame.f_back
    found.append(f"{name} at {ours}")


@contextmanager
def waits() -> Iterator[list[str]]:
    """Yield a list of the calls inside that would wait; it is complete at the end."""
    found: list[str] = []
    with _Functions(found), _Operators(found):
        yield found
