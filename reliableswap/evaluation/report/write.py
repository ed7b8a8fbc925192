"""Write the report's files into one folder."""

from __future__ import annotations

from pathlib import Path

from reliableswap.errors import ReliableSwapError
from reliableswap.evaluation.results import Evaluation

from . import plots
from .html import page
from .info import RunInfo
from .json_csv import as_csv, as_json
from .texts import environment, markdown, model_index

FILES = ("report.md", "index.html", "report.json", "pairs.csv", "model-index.yaml")


def check_output(folder: Path | None, overwrite: bool = False) -> Path:
    """Return the report's folder; raise now if the report could not be written after a long measurement."""
    if folder is None:
        raise ReliableSwapError("no output folder; give -o FOLDER")
    if folder.is_file():
        raise ReliableSwapError(f"{folder} is a file; the report is a folder, so give another name")
    if not overwrite and any((folder / name).exists() for name in FILES):
        raise ReliableSwapError(f"{folder} holds a report; give another folder or --overwrite")
    environment()
    plots.check_installed()
    return folder


def write_report(evaluation: Evaluation, info: RunInfo, folder: Path) -> None:
    """Write every format of the report."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = (
        markdown(evaluation, info),
        page(evaluation, info),
        as_json(evaluation, info),
        as_csv(evaluation),
        model_index(evaluation, info),
    )
    for name, text in zip(FILES, texts, strict=True):
        (folder / name).write_text(text, encoding="utf-8")
