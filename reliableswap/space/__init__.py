"""The Space: the page in the browser, its API and its MCP tools. Public names load on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reliableswap.lazy import lazy_names

from . import device as device  # first: ZeroGPU must be imported before torch
from .files import shared_storage

shared_storage()  # before Gradio is imported: some of its modules read at import where temporary files go

_MODULES = {
    "build": "app.page",
    "launch": "serve",
}

__all__ = sorted(_MODULES)

if TYPE_CHECKING:
    from .app.page import build as build
    from .serve import launch as launch

__getattr__, __dir__ = lazy_names(__name__, globals(), _MODULES)
