"""Running on a GPU that the host lends."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from reliableswap.space.device import on_gpu


def job() -> None: ...


def test_without_the_spaces_package_the_function_is_unchanged() -> None:
    assert on_gpu(job) is job


def test_with_the_spaces_package_the_function_is_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    lender, wrapped = ModuleType("spaces"), list[Any]()
    lender.GPU = lambda function: wrapped.append(function) or function  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "spaces", lender)
    on_gpu(job)
    assert wrapped == [job]
