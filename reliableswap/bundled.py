"""Where the networks that ship with the package lie."""

from __future__ import annotations

from pathlib import Path

from .errors import WeightsError

WEIGHTS = Path(__file__).parent / "weights"


def bundled(name: str = "") -> Path:
    """The folder of a bundled network (`detector`, `landmarks`, ...), or of the whole bundled pipeline."""
    folder = WEIGHTS / name
    if not any((folder / index).is_file() for index in ("config.json", "model_index.json")):
        raise WeightsError(
            f"no bundled weights {name or 'at all'} in {WEIGHTS}; reinstall the package, or train them with "
            "train_accelerate.py and pass their folder"
        )
    return folder
