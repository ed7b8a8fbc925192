"""Which earlier generator makes surrogates.

Networks' code takes seconds to import, and most runs have no generator. So it is imported when a generator is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .swapped import GeneratorSwap


@dataclass(frozen=True)
class GeneratorChoice:
    """Which generator swaps; it can be sent to another process.

    folder: of a generator trained with the bundled encoders, or of a pipeline, which brings its own.
    device: one of torch's, openvino or onnx.
    """

    folder: Path
    device: str = "cpu"

    def load(self) -> GeneratorSwap:
        """Load the networks, and check that generator and encoders belong together."""
        from .swapped import load

        return load(self)
