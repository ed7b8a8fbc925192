"""The Space: the page in the browser, its API and its MCP tools. Importing it imports Gradio."""

from . import device as device  # first: ZeroGPU's package wants to be imported before torch
from .files import folder

folder()  # before Gradio is imported: some of its modules note at import where temporary files go

from reliableswap.space.app.page import build  # noqa: E402

from .serve import launch  # noqa: E402

__all__ = ["build", "launch"]
