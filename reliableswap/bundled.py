"""The folder of the networks that ship with the package."""

from __future__ import annotations

from pathlib import Path

from .errors import WeightsError

WEIGHTS = Path(__file__).parent / "weights"


def bundled(name: str = "") -> Path:
    """Return the folder of a bundled network (`detector`, `landmarks`, ...), or of the bundled pipeline."""
    folder = WEIGHTS / name
    if not any((folder / file).is_file() for file in ("config.json", "model_index.json")):
        raise WeightsError(
            f"{folder} holds no bundled weights; reinstall the package, or train them with "
            "`reliableswap train` and pass their folder"
        )
    return folder
