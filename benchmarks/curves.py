"""The held-out figures of trainings over their steps, as a table and as plots, and their pictures side by side."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from reliableswap.errors import ReliableSwapError
from reliableswap.evaluation.report.plots import COLOURS
from reliableswap.media import Picture, read_picture, write_picture
from reliableswap.training.core.runlog import FIGURES_FILE, GRIDS

Curve = list[dict[str, float]]  # the figures of each validation, with its step

PANELS = {
    "source_first": "source first",
    "identity": "cosine to the source",
    "lower_face": "lower face to the source",
    "copied": "copied",
    "pose": "pose, °",
    "expression": "expression",
}
_COLUMNS = 5  # source, target, guidance, output and truth in a grid of Validation


def read_curve(folder: Path) -> Curve:
    """The figures of a run by step; a validation that a resumed run repeated counts once."""
    path = folder / FIGURES_FILE
    if not path.is_file():
        raise ReliableSwapError(
            f"{path} does not exist; train with validation triplets, which give the figures"
        )
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [one for _, one in sorted({line["step"]: line for line in lines}.items())]


def last_quarter(curve: Curve, figure: str = "source_first") -> float:
    """The percentage points that a share gained in the last quarter of the steps."""
    end = curve[-1]
    start = [one for one in curve if one["step"] <= 0.75 * end["step"]]
    return 100 * (end[figure] - (start[-1] if start else curve[0])[figure])


def write_csv(curves: Mapping[str, Curve], path: Path) -> None:
    """One line for each run and validation."""
    names = sorted({name for curve in curves.values() for one in curve for name in one} - {"step"})
    with path.open("w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, ["run", "step", *names])
        table.writeheader()
        for run, curve in curves.items():
            table.writerows({"run": run, **one} for one in curve)


def plot(rows: Mapping[str, Sequence[Curve]], path: Path) -> None:
    """Plot a panel for each figure, a line for each row: the mean over its seeds, in a band from lowest to highest."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    known = [name for name in PANELS if any(name in one for curves in rows.values() for one in curves[0])]
    figure, axes = pyplot.subplots(
        2, (len(known) + 1) // 2, figsize=(4 * ((len(known) + 1) // 2), 6.5), squeeze=False
    )
    for name, axis in zip(known, axes.flat, strict=False):
        for colour, (row, curves) in zip(COLOURS, rows.items(), strict=False):
            steps, values = _common_steps([curve for curve in curves if name in curve[0]], name)
            if not len(steps):
                continue
            axis.plot(steps, values.mean(0), color=colour, label=row)
            axis.fill_between(steps, values.min(0), values.max(0), color=colour, alpha=0.15, linewidth=0)
        axis.set_title(PANELS[name], fontsize=10)
        axis.set_xlabel("step")
        axis.grid(alpha=0.3)
    for axis in list(axes.flat)[len(known) :]:
        axis.axis("off")
    axes.flat[0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _common_steps(curves: Sequence[Curve], name: str) -> tuple[np.ndarray, np.ndarray]:
    """(N,) the steps that all seeds have, and (seeds,N) the figure there."""
    by_step = [{int(one["step"]): one[name] for one in curve} for curve in curves]
    steps = sorted(set.intersection(*(set(one) for one in by_step))) if by_step else []
    return np.array(steps), np.array([[one[step] for step in steps] for one in by_step])


def sheet(rows: Mapping[str, Path], path: Path) -> None:
    """Write source, target and every row's output for the same held-out samples, from the runs' last grids."""
    grids = [read_picture(sorted((folder / GRIDS).glob("step-*.png"))[-1]).pixels for folder in rows.values()]
    side = grids[0].shape[1] // _COLUMNS
    columns = [grids[0][:, : 2 * side], *(grid[:, 3 * side : 4 * side] for grid in grids)]
    picture = np.concatenate(columns, axis=1)
    head = np.full((20, picture.shape[1], 3), 255, np.uint8)
    for number, name in enumerate(["source", "target", *rows]):
        words = name.replace("triplets", "").replace("+ ", "+").replace("  ", " ").strip()
        cv2.putText(
            head, words, (number * side + 2, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.28, (0, 0, 0), 1, cv2.LINE_AA
        )
    write_picture(Picture(np.concatenate([head, picture]), name=path.name), path, overwrite=True)
