"""The classes of a VisibilityNet, in the order of its output channels."""

from __future__ import annotations

CLASSES = (
    "background", "skin", "brows", "eyes", "lips", "inner mouth", "beard", "hair", "glasses", "front",
)  # fmt: skip
