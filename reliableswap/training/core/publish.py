"""Publish a training's result: a from_pretrained folder with its card, and optionally a repository on the Hub."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

from huggingface_hub import HfApi

from reliableswap import __version__
from reliableswap.models.base import Network

from .config import CONFIG_FILE
from .runlog import FIGURES_FILE
from .settings import RunSettings
from .task import Task


def publish(network: Network, task: Task, settings: RunSettings, step: int) -> None:
    """Save the network and its model card into output_dir; upload the folder if the settings say so."""
    folder = settings.output_dir
    network.save_pretrained(folder)
    repo_id = settings.hub_model_id or folder.name
    (folder / "README.md").write_text(card(network, task, settings, step, repo_id), encoding="utf-8")
    if settings.push_to_hub:
        api = HfApi()
        repository = api.create_repo(repo_id, private=settings.hub_private, exist_ok=True).repo_id
        api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            # Grids, crops and labels show people; the settings contain paths of this machine.
            ignore_patterns=["checkpoint-*", "*.np[yz]", "crops/*", "tracker/*", "grids/*", CONFIG_FILE],
            commit_message=f"{type(network).__name__} after {step} steps",
        )


def card(network: Network, task: Task, settings: RunSettings, step: int, repo_id: str) -> str:
    """Return the model card: the measured figures, the training data, and the command of the run."""
    name = type(network).__name__
    figures = _last_figures(settings.output_dir / FIGURES_FILE)
    lines = [
        "---", "license: other", "library_name: reliableswap", "tags: [face-swap, reliableswap]", "---", "",
        f"# {name}", "",
        f"{network.parameter_count:,} parameters, trained with ReliableSwap {__version__} for {step} of "
        f"{settings.max_train_steps} steps of {settings.train_batch_size * settings.gradient_accumulation_steps} "
        f"samples per process.", "",
        "```python", f"from reliableswap.models import {name}", "",
        f'network = {name}.from_pretrained("{repo_id}")', "```", "",
        f"## Measured on {task.measured_on}", "",
    ]  # fmt: skip
    if figures:
        lines += [f"After {figures.pop('step'):.0f} steps.", "", "| figure | value |", "|---|---|"]
        lines += [f"| {key} | {value:.4f} |" for key, value in figures.items()]
    else:
        lines.append("Nothing: the run stopped before its first validation.")
    facts = task.facts()
    if facts:
        lines += ["", "## Data", "", *(f"- {key}: {value}" for key, value in facts.items())]
    lines += [
        "", "## Training command", "",
        "```bash", _command(), "```", "",
        f"`{CONFIG_FILE}` in the run's folder holds every setting; `--config {CONFIG_FILE}` repeats the run.", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _command() -> str:
    """Return the command line of this run, without paths of this machine."""
    words = [_without_folders(word) for word in sys.argv]
    return shlex.join(["python", *words] if words[0].endswith(".py") else words)


def _without_folders(word: str) -> str:
    """Reduce each absolute or parent path in an argument to its last part."""
    parts = [Path(part).name if part.startswith(("/", "..")) else part for part in word.split(",")]
    return ",".join(parts)


def _last_figures(log: Path) -> dict[str, float]:
    if not log.is_file():
        return {}
    figures: dict[str, float] = json.loads(log.read_text().splitlines()[-1])
    return figures
