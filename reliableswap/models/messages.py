"""Error messages about loading, each in one line."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import constants


def explain_loading(wanted: str, place: str, options: dict[str, Any], error: Exception) -> str:
    """Explain why a folder or repository yields no network, and what to do."""
    folder = Path(place, options.get("subfolder") or "")
    if Path(place).is_dir():
        if not (folder / "config.json").is_file():
            return f"no config.json in {folder}, so no {wanted} to load; pass a folder that save_pretrained wrote"
        names = sorted(
            p.name for p in folder.iterdir() if p.suffix in {".safetensors", ".bin", ".pt", ".pth", ".ckpt"}
        )
        variant = f" of variant {options['variant']!r}" if options.get("variant") else ""
        return (
            f"no safetensors weights{variant} for {wanted} in {folder} (weight files there: {first_few(names)}); "
            "pickled weights are never loaded; pass the right variant, or convert them first"
        )
    if constants.HF_HUB_OFFLINE or options.get("local_files_only"):
        return (
            f"{place} is neither a folder nor in the local Hub cache, and the Hub is not queried while offline "
            "(HF_HUB_OFFLINE or local_files_only); check the path, or load it once while online"
        )
    return f"no {wanted} at {place}: {one_line(error)}; check the folder or the Hub repository's name"


def one_line(error: Exception) -> str:
    """Return the start of an error's message without line breaks, cut between words."""
    return textwrap.shorten(str(error).strip().rstrip("."), 300, placeholder=" …")


def first_few(names: Sequence[str]) -> str:
    """List the first few of possibly many names."""
    shown = ", ".join(names[:6]) or "none"
    return shown + (f" and {len(names) - 6} more" if len(names) > 6 else "")
