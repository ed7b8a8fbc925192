"""The facts about a run that a reader needs to judge its figures and to repeat it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class RunInfo:
    """How an evaluation was made.

    held_out: percent of people that training left out and that were measured; None: everybody.
    shared: judges that are also a pipeline's own network; trained: methods whose training may have seen these people.
    """

    protocol: str
    faces: str
    seed: int
    judge: str
    held_out: float | None = None
    lower_judge: str | None = None
    features: str | None = None
    analyser: str = ""
    version: str = ""
    command: str = ""
    shared: list[str] = field(default_factory=list)
    trained: list[str] = field(default_factory=list)
    seconds: float = 0.0
