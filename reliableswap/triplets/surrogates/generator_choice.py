"""Which earlier generator makes surrogates.

The networks' code takes seconds to import, and most runs have no generator, so it is imported only by `load`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .swapped import GeneratorSwap


@dataclass(frozen=True)
class GeneratorChoice:
    """Which generator swaps. It can be pickled for another process.

    folder: of a generator trained with the bundled encoders, or of a pipeline, which brings its own.
    device: a PyTorch device, openvino or onnx.
    """

    folder: Path
    device: str = "cpu"

    def load(self) -> GeneratorSwap:
        """Load the networks, and check that generator and encoders belong together."""
        from .swapped import load

        return load(self)
