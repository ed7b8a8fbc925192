"""Train a network of ReliableSwap: `python train_accelerate.py detector --help`, or under `accelerate launch`."""

from __future__ import annotations

import argparse
import importlib
import sys

from reliableswap.errors import ReliableSwapError
from reliableswap.training.settings import add_arguments, from_arguments

# sub-command: (module, its settings, what it trains)
TRAININGS = {
    "detector": (
        "reliableswap.training.detector",
        "DetectorSettings",
        "the face detector, from a teacher's boxes",
    ),
    "landmarks": (
        "reliableswap.training.landmarks",
        "LandmarksSettings",
        "the 468-point mesh, from a teacher's",
    ),
    "blend-data": (
        "reliableswap.training.blend_data",
        "BlendDataSettings",
        "the data files of the blend engine: the mean face and its triangles, shape, looks",
    ),
}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    argv = sys.argv[1:] if argv is None else argv
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (module, settings, text) in TRAININGS.items():
        command = commands.add_parser(name, help=text, description=f"Train {text}.")
        if name in argv[:1]:  # only what runs is imported
            add_arguments(command, getattr(importlib.import_module(module), settings))
    arguments = parser.parse_args(argv)
    module, settings, _ = TRAININGS[arguments.command]
    home = importlib.import_module(module)
    try:
        home.run(from_arguments(arguments, getattr(home, settings)))
    except ReliableSwapError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
