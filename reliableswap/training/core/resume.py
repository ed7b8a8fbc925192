"""Resume from a checkpoint: rank 0 chooses it, and every rank loads the same one, or all stop."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from reliableswap.errors import ReliableSwapError

from .distributed import from_main, on_all
from .fingerprint import Fingerprint
from .runlog import FIGURES_FILE
from .settings import RunSettings
from .state import (
    POSITION_FILE,
    TrainingState,
    checkpoints,
    clean_up,
    load_checkpoint,
    read_position,
)

logger = logging.getLogger(__name__)


def resume(settings: RunSettings, state: TrainingState, now: Fingerprint) -> dict[str, Any] | None:
    """Load the checkpoint that the settings ask for and return its position, or None for a new run."""
    chosen = from_main(lambda: choose_checkpoint(settings.output_dir, settings.resume_from_checkpoint))
    if chosen is None:
        return None
    name, position = chosen
    wanted = str(settings.resume_from_checkpoint)
    folder = settings.output_dir / name if wanted == "latest" else Path(wanted)

    def load() -> None:
        require_same_checkpoint(folder, position)
        before = Fingerprint(position["settings"], position["data"])
        before.require_same(
            now, f"{name} can't be resumed with other settings or data (use the original ones)"
        )
        load_checkpoint(folder, state)

    on_all(load)
    logger.info("resumed from %s", name)
    return position


def choose_checkpoint(output: Path, wanted: str | None) -> tuple[str, dict[str, Any]] | None:
    """Return name and position of the checkpoint to resume from, or None for a new run. Read this process's disk."""
    if not wanted:
        if checkpoints(output) or (output / FIGURES_FILE).is_file():
            raise ReliableSwapError(
                f"{output} already holds a run; continue it with --resume_from_checkpoint latest, or choose another "
                "--output_dir"
            )
        return None
    if wanted != "latest":
        return Path(wanted).name, read_position(Path(wanted))
    clean_up(output)
    found = checkpoints(output)
    return (found[-1].name, read_position(found[-1])) if found else None


def require_same_checkpoint(folder: Path, position: dict[str, Any]) -> None:
    """Raise if the folder on this rank's disk isn't the checkpoint that rank 0 chose."""
    if not (folder / POSITION_FILE).is_file():
        raise ReliableSwapError(
            f"{folder} is missing on this machine, but rank 0 resumes from it; use an --output_dir that all machines "
            "share, or copy the checkpoint"
        )
    mine = read_position(folder)
    if mine["id"] != position["id"]:
        raise ReliableSwapError(
            f"{folder} (step {mine['step']}, id {mine['id']}) is not the checkpoint that rank 0 resumes from (step "
            f"{position['step']}, id {position['id']}); use an --output_dir that all machines share, or copy the "
            "checkpoint"
        )
