"""The metrics of a report: name, meaning, unit and which direction is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """One row of a report's table; values are shown multiplied by `scale`.

    share: each pair counts as 0 or 1; median: the report shows the median instead of the mean.
    """

    key: str
    label: str
    meaning: str
    better: Literal["up", "down"]
    unit: str = ""
    digits: int = 2
    scale: float = 1.0
    median: bool = False
    share: bool = False

    def show(self, value: float) -> str:
        return f"{value * self.scale:.{self.digits}f}"

    @property
    def title(self) -> str:
        """Label, unit and an arrow in the better direction."""
        arrow = "↑" if self.better == "up" else "↓"
        return f"{self.label}{f' ({self.unit})' if self.unit else ''} {arrow}"


def _share(key: str, label: str, meaning: str, better: Literal["up", "down"]) -> Metric:
    return Metric(key, label, meaning, better, unit="%", digits=1, scale=100.0, share=True)


def _length(key: str, label: str, meaning: str) -> Metric:
    return Metric(key, label, meaning, "down", unit="% of eye distance", scale=100.0)


_PROBE_INPUTS = {
    "whole": ("whole", "features of the whole crop at 256 px"),
    "patches": (
        "patches",
        "features of patches inside the face at 512 px, scores averaged over each picture's patches",
    ),
    "patch": ("single patch", "the same, each patch scored alone"),
}
METRICS: tuple[Metric, ...] = (
    _share("top1", "ID retrieval", "the source's person is the nearest of all people of the protocol", "up"),
    _share("top5", "ID top-5", "the source's person is among the five nearest", "up"),
    Metric("cos_source", "cos to source", "identity cosine of result and source", "up", digits=3),
    Metric("cos_target", "cos to target", "identity cosine of result and target", "down", digits=3),
    _share("copied", "copy rate", "results closer to the target's identity than to the source's", "down"),
    _share(
        "reference_top1",
        "retrieval, other photo",
        "as ID retrieval, but the gallery shows the source's person in a photo that the method never saw",
        "up",
    ),
    Metric(
        "cos_reference",
        "cos to other photo",
        "identity cosine of result and another photo of the source's person",
        "up",
        digits=3,
    ),
    _share(
        "lower_top1", "lower-face retrieval", "retrieval by the lower-face judge (jaw and mouth only)", "up"
    ),
    Metric("lower_cos_source", "lower-face cos", "lower-face cosine of result and source", "up", digits=3),
    Metric("pose", "pose error", "angle between the head poses of result and target", "down", unit="°"),
    _length(
        "expression",
        "expression error",
        "distance of lips, eyelids and brows from the target's, without pose and face shape",
    ),
    Metric(
        "gaze",
        "gaze error",
        "offset of the iris from the target's, as a share of eye width",
        "down",
        digits=3,
    ),
    Metric("eyelid", "eyelid error", "difference in eye opening over eye width", "down", digits=3),
    Metric("mouth", "mouth error", "difference in mouth opening over mouth width", "down", digits=3),
    _length("shape_source", "shape to source", "distance of the frontal face outline from the source's"),
    Metric("ssim", "SSIM outside", "structural similarity to the target outside the face", "up", digits=4),
    Metric(
        "psnr", "PSNR outside", "PSNR to the target outside the face, 100 if equal", "up", unit="dB", digits=1
    ),
    Metric(
        "seam",
        "seam, median",
        "steepest edge across the border of the swap, relative to that of the photo at the same point of the face; "
        "median of the outline's points, 1 if nothing was changed",
        "down",
    ),
    Metric("seam_high", "seam, 95th percentile", "the same, 95th percentile of the outline's points", "down"),
    *(
        Metric(
            f"told_{kind}_lite{variant}",
            f"told from photos, {what} (Lite{variant})",
            f"AUC of linear probes on EfficientNet-Lite{variant} features, which no loss uses, that tell results from "
            f"photos of other people: {how}; 0.5 is chance, 1 is always right",
            "down",
            digits=3,
        )
        for kind, (what, how) in _PROBE_INPUTS.items()
        for variant in (1, 2)
    ),
    Metric("truth_psnr", "PSNR to truth", "PSNR of the face to the true picture", "up", unit="dB"),
    Metric(
        "truth_ssim", "SSIM to truth", "structural similarity of the face to the true picture", "up", digits=4
    ),
    Metric("truth_cos", "cos to truth", "identity cosine of result and true picture", "up", digits=3),
    _length("truth_mesh", "mesh to truth", "mean distance of mesh points from the true picture's"),
    Metric(
        "identity_variance",
        "identity variance",
        "variance of a clip's identity vectors around their mean, ×1000",
        "down",
        scale=1000.0,
    ),
    Metric(
        "flicker",
        "flicker",
        "how much more the face changes from frame to frame than the target's, in grey levels, with motion compensated",
        "down",
    ),
    _share(
        "unswapped", "not swapped", "frames of clips in which the target's face was left unchanged", "down"
    ),
    _share(
        "on_time",
        "on time",
        "frames with the target's timestamp, in a clip with the same number of frames",
        "up",
    ),
    _share("failed", "failures", "no result, or no face in it; retrieval counts these as misses", "down"),
    Metric("milliseconds", "time", "median time of a swap", "down", unit="ms", digits=0, median=True),
)
BY_KEY = {metric.key: metric for metric in METRICS}
