"""`reliableswap train TASK`: train one of the networks; `reliableswap train TASK --help` lists its settings."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
from collections.abc import Callable, Sequence
from typing import Any

from reliableswap.errors import ReliableSwapError

# task: (module with run(settings), its settings class, what it trains)
TASKS = {
    "generator": (
        "reliableswap.training.tasks.generator.task",
        "GeneratorSettings",
        "a generator on triplets: the light one, SimSwap or FaceShifter",
    ),
    "detector": (
        "reliableswap.training.tasks.faces.detector",
        "DetectorSettings",
        "the face detector, from a teacher's boxes",
    ),
    "landmarks": (
        "reliableswap.training.tasks.faces.landmarks",
        "LandmarksSettings",
        "the network of the 468-point mesh, from a teacher's meshes",
    ),
    "identity": (
        "reliableswap.training.tasks.encoders.identity",
        "IdentitySettings",
        "the identity encoder, from a teacher's vectors",
    ),
    "fixer": (
        "reliableswap.training.tasks.encoders.fixer",
        "FixerSettings",
        "the encoder of the lower face, from a margin between people and a teacher's vectors",
    ),
    "glasses": (
        "reliableswap.training.tasks.faces.glasses",
        "GlassesSettings",
        "the segmentation of glasses, from glasses painted on faces without any",
    ),
    "person": (
        "reliableswap.training.tasks.person.task",
        "PersonSettings",
        "decoders of people, one each, with a shared encoder, from clips and photos",
    ),
    "everybody": (
        "reliableswap.training.tasks.person.general",
        "GeneralSettings",
        "the network that `person` starts from: one encoder and one decoder for everybody, from photos",
    ),
    "tokeniser": (
        "reliableswap.training.tasks.unified.tokeniser",
        "TokeniserSettings",
        "the tokeniser of faces: 128 px as 64 codebook indices",
    ),
    "unified": (
        "reliableswap.training.tasks.unified.unified",
        "UnifiedSettings",
        "the transformer that describes faces, answers questions and draws, from described faces",
    ),
    "visibility": (
        "reliableswap.training.tasks.faces.visibility",
        "VisibilitySettings",
        "the network that says what every pixel of a face shows, from label maps and objects pasted in front",
    ),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add TASK; `parse` reads the options that follow it."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    lines = [f"  {name:<11}{text}" for name, (_, _, text) in TASKS.items()]
    parser.epilog = "tasks:\n" + "\n".join(lines)
    parser.add_argument("task", choices=list(TASKS), metavar="TASK", help="what to train, see below")
    parser.add_argument(
        "options", nargs=argparse.REMAINDER, metavar="...", help="the task's settings; --help lists them"
    )


def run(arguments: argparse.Namespace) -> int:
    """Train. Only rank 0 logs more than warnings, and reports an error that all ranks share."""
    from reliableswap.training.core.distributed import SharedError

    main_rank = os.environ.get("RANK", "0") == "0"
    if not main_rank:
        logging.getLogger("reliableswap").setLevel(logging.WARNING)
    try:
        train, settings = parse(arguments.task, arguments.options)
        train(settings)
    except SharedError:
        if main_rank:
            raise
        return 2
    return 0


def parse(task: str, options: Sequence[str]) -> tuple[Callable[[Any], object], Any]:
    """Return the function that trains and its parsed settings."""
    module, settings, text = TASKS[task]
    try:
        home = importlib.import_module(module)
        from reliableswap.training.core.config import parse_settings
    except ImportError as error:
        if error.name is None or error.name.startswith("reliableswap"):
            raise
        raise ReliableSwapError(
            f"training needs {error.name}; run: pip install 'reliableswap[train]'"
        ) from error
    kind = getattr(home, settings)
    return home.run, parse_settings(kind, options, f"reliableswap train {task}", f"Train {text}.")
