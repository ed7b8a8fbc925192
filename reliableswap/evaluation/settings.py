"""The settings of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from reliableswap.errors import ReliableSwapError

from .protocols.clips import FRAMES
from .protocols.pairs import PROTOCOLS


@dataclass(frozen=True)
class PipelineChoice:
    """A pipeline folder, Hub id or `bundled`, and the engines to compare; no engines: `auto`."""

    place: str
    engines: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """What to evaluate, on which pairs and by which judges.

    held_out: percent of people, `all`, or None for what the compared generators store (see `held_out.py`);
    swap: arguments of the pipelines' calls, such as shape=0.5; natural: measure "told from photos"; real: photos
    for it and for the Fréchet distance.
    """

    protocol: str
    faces: Path
    pipelines: tuple[PipelineChoice, ...] = ()
    outputs: tuple[tuple[str, Path], ...] = ()  # method name, folder of results
    controls: bool = False
    pairs: int = 1000
    seed: int = 0
    frames: int = FRAMES
    held_out: float | Literal["all"] | None = None
    judge: str | None = None
    judge_mean: tuple[float, ...] = (0.5,)
    judge_std: tuple[float, ...] = (0.5,)
    lower_judge: str | None = None
    allow_same_judge: bool = False
    mesh: str = "bundled"
    features: str = "efficientnet-lite2"
    natural: bool = False
    real: Path | None = None
    keep: Path | None = None
    swap: dict[str, float] = field(default_factory=dict)
    device: str | None = None

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise ReliableSwapError(
                f"unknown protocol {self.protocol!r}; choose one of {', '.join(PROTOCOLS)}"
            )
        for name, value in self.swap.items():
            if not 0 <= value <= 1:
                raise ReliableSwapError(f"--{name} is {value}; choose a value from 0 to 1")
        for name in ("judge_mean", "judge_std"):
            count = len(getattr(self, name))
            if count not in (1, 3):
                option = "--" + name.replace("_", "-")
                raise ReliableSwapError(f"{option} has {count} numbers; give one, or one per colour channel")

    def check_complete(self) -> None:
        """Raise if something is missing that a measurement needs."""
        if not (self.pipelines or self.outputs or self.controls):
            raise ReliableSwapError(
                "nothing to evaluate; give --pipeline bundled, --outputs NAME=FOLDER or --controls"
            )
        if self.judge is None:
            raise ReliableSwapError(
                "no judge of identity; give --judge dlib, an ONNX file or an encoder's folder"
            )
        if self.real is not None and self.features == "none" and not self.natural:
            raise ReliableSwapError(
                "--real is for the Fréchet distance and --natural; leave out --features none, or --real"
            )
