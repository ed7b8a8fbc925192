"""The figures of a report: what they are called, which way is better, and what they mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Figure:
    """One column of a report; values are shown times `scale`."""

    key: str
    label: str
    meaning: str
    better: Literal["up", "down"]
    unit: str = ""
    digits: int = 2
    scale: float = 1.0
    median: bool = False
    share: bool = False  # of the pairs: each counts as 0 or 1

    def show(self, value: float) -> str:
        return f"{value * self.scale:.{self.digits}f}"

    @property
    def title(self) -> str:
        arrow = "↑" if self.better == "up" else "↓"
        return f"{self.label}{f' ({self.unit})' if self.unit else ''} {arrow}"


def _share(key: str, label: str, meaning: str, better: Literal["up", "down"]) -> Figure:
    return Figure(key, label, meaning, better, unit="%", digits=1, scale=100.0, share=True)


def _length(key: str, label: str, meaning: str) -> Figure:
    return Figure(key, label, meaning, "down", unit="% of eye distance", scale=100.0)


FIGURES: tuple[Figure, ...] = (
    _share("top1", "ID retrieval", "the source's person is nearest among all people of the protocol", "up"),
    _share("top5", "ID top-5", "the source's person is among the five nearest", "up"),
    Figure("cos_source", "cos to source", "identity cosine, result to source", "up", digits=3),
    Figure("cos_target", "cos to target", "identity cosine, result to target", "down", digits=3),
    _share("copied", "copy rate", "results closer to the target's identity than to the source's", "down"),
    _share(
        "reference_top1",
        "retrieval, other photo",
        "as ID retrieval, but the gallery shows the source's person in a photo the method never saw",
        "up",
    ),
    Figure(
        "cos_reference",
        "cos to other photo",
        "identity cosine, result to another photo of the source's person",
        "up",
        digits=3,
    ),
    _share(
        "lower_top1", "lower-face retrieval", "retrieval by the lower-face judge: jaw and mouth alone", "up"
    ),
    Figure("lower_cos_source", "lower-face cos", "lower-face cosine, result to source", "up", digits=3),
    Figure("pose", "pose error", "angle between the heads of result and target", "down", unit="°"),
    _length(
        "expression", "expression error", "lips, lids and brows against the target's, pose and person removed"
    ),
    Figure(
        "gaze", "gaze error", "how far the iris lies from its place, of the eye's width", "down", digits=3
    ),
    Figure("eyelid", "eyelid error", "difference of the eyes' opening over their width", "down", digits=3),
    Figure("mouth", "mouth error", "difference of the mouth's opening over its width", "down", digits=3),
    _length(
        "shape_source", "shape to source", "the outline's distance from the source's, seen from the front"
    ),
    Figure("ssim", "SSIM outside", "structural similarity to the target outside the face", "up", digits=4),
    Figure(
        "psnr", "PSNR outside", "signal to noise outside the face, 100 for equal", "up", unit="dB", digits=1
    ),
    Figure("truth_psnr", "PSNR to truth", "the face against the true picture", "up", unit="dB"),
    Figure("truth_ssim", "SSIM to truth", "the face against the true picture", "up", digits=4),
    Figure("truth_cos", "cos to truth", "identity cosine, result to the true picture", "up", digits=3),
    _length("truth_mesh", "mesh to truth", "mesh points against those of the true picture"),
    Figure(
        "identity_variance",
        "identity variance",
        "of a clip's identity vectors about their mean, ×1000",
        "down",
        scale=1000.0,
    ),
    Figure("flicker", "flicker", "grey levels the face trembles more than the target's own", "down"),
    _share("failed", "failures", "no result, or no face in it; retrieval counts them as misses", "down"),
    Figure("milliseconds", "time", "median time of a swap", "down", unit="ms", digits=0, median=True),
)
BY_KEY = {figure.key: figure for figure in FIGURES}
