"""Options of the unified face model's commands, and loading of its pipeline."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .common import megapixels

if TYPE_CHECKING:
    from reliableswap.pipelines.unified import UnifiedFacePipeline


def add_model_argument(parser: argparse.ArgumentParser) -> None:
    """Add --model and --device."""
    parser.add_argument(
        "--model",
        metavar="DIR",
        help="folder or Hub id of a UnifiedFacePipeline (default: the bundled one)",
    )
    parser.add_argument("--device", help="cpu, cuda, cuda:1 or mps (default: cpu)")


def add_picture_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the picture, the number of its face, the size limit and --json."""
    parser.add_argument("photo", metavar="PHOTO", help="the picture with a face")
    parser.add_argument(
        "--face",
        type=int,
        default=0,
        metavar="N",
        help="number of the face, as `faces` lists them (default: 0)",
    )
    parser.add_argument(
        "--max-megapixels",
        type=megapixels,
        default=100.0,
        metavar="N",
        help="refuse larger pictures (default: 100)",
    )
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")


def load_unified(place: str | None, device: str | None = None) -> UnifiedFacePipeline:
    """Load the pipeline of --model, or the bundled one."""
    from reliableswap.errors import ReliableSwapError
    from reliableswap.pipelines.unified import UnifiedFacePipeline

    pipe = UnifiedFacePipeline.bundled() if place is None else UnifiedFacePipeline.from_pretrained(place)
    if device:
        try:
            pipe.to(device)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0].rstrip(".")
            raise ReliableSwapError(f"can't run on {device}: {reason}; choose cpu") from error
    return pipe
