"""What a VisibilityNet tells apart, in the order of its answer's channels."""

from __future__ import annotations

CLASSES = (
    "background", "skin", "brows", "eyes", "lips", "inner mouth", "beard", "hair", "glasses", "front",
)  # fmt: skip
