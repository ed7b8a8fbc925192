"""Import diffusers without the parts that a swap never uses, which halves a command's start-up time.

diffusers' pipeline class imports 70 transformers, and with them SciPy and torch's compiler. Here, their packages and
the compiler load on first use, and the optional dependencies of diffusers count as not installed. Only for a process
that is a command of ours: a host application may need all of diffusers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

# Packages whose __init__ imports all of their modules.
PACKAGES = tuple(f"diffusers.models.{name}" for name in ("autoencoders", "transformers", "unets"))
OPTIONAL = ("accelerate", "peft", "scipy", "transformers")
_COMPILER = "torch._dynamo"


def import_diffusers() -> None:
    """Import diffusers' pipeline class quickly, unless diffusers is imported already."""
    if "diffusers" in sys.modules:
        return
    with _lazy(PACKAGES), _hidden(OPTIONAL), _no_compiler():
        from diffusers.utils import torch_utils

        torch_utils.is_compiled_module = _only_if_loaded(torch_utils.is_compiled_module)
        import diffusers.pipelines.pipeline_utils  # noqa: F401


class _LazyPackage(ModuleType):
    """A package whose code runs on the first access to a name that it does not have yet."""

    def __getattr__(self, name: str) -> Any:
        loader = None if self.__spec__ is None else self.__spec__.loader
        if name.startswith("__") or not isinstance(loader, _LazyLoader):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        self.__class__ = ModuleType  # from here on, it is an ordinary module
        loader.original.exec_module(self)
        return getattr(self, name)


class _LazyLoader:
    """Makes a `_LazyPackage` module of what `original` would load."""

    def __init__(self, original: Any) -> None:
        self.original = original

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _LazyPackage(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Run nothing yet."""


class _LazyFinder:
    """Finds packages whose code is to run later."""

    def __init__(self, packages: Sequence[str]) -> None:
        self.packages = packages

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in self.packages:
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is not None:
            spec.loader = _LazyLoader(spec.loader)  # type: ignore[assignment]  # Python asks for these two methods
        return spec


@contextmanager
def _lazy(packages: Sequence[str]) -> Iterator[None]:
    """Inside, importing these packages or their modules does not run the packages' own code."""
    finder = _LazyFinder(packages)
    sys.meta_path.insert(0, finder)  # Python calls only find_spec
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


@contextmanager
def _hidden(packages: Sequence[str]) -> Iterator[None]:
    """Inside, hide these packages as if they were not installed, unless they are imported already."""
    hidden = [name for name in packages if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # Python's way to say that there is no module
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


@contextmanager
def _no_compiler() -> Iterator[None]:
    """Inside, replace torch's compiler with a stand-in that changes no function or class: nothing is compiled here."""
    import torch

    if _COMPILER in sys.modules:
        yield
        return
    sys.modules[_COMPILER] = stand_in = ModuleType(_COMPILER)
    stand_in.__dict__.update(allow_in_graph=_unchanged, disable=_unchanged)
    try:
        yield
    finally:
        del sys.modules[_COMPILER]
        vars(torch).pop(_COMPILER.partition(".")[2], None)


def _unchanged(function: Any = None, *args: Any, **kwargs: Any) -> Any:
    """Change nothing, as a decorator with or without arguments."""
    return _unchanged if function is None else function


def _only_if_loaded(is_compiled: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Wrap `is_compiled` so that it answers False, without importing the compiler, until something else imports it."""
    return lambda module: _COMPILER in sys.modules and is_compiled(module)
