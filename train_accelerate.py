"""Train a network of ReliableSwap: `python train_accelerate.py generator --help`, or under `accelerate launch`."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from reliableswap.errors import ReliableSwapError
from reliableswap.training.core.settings import add_arguments, from_arguments, read_settings

# sub-command: (module, its settings, what it trains)
TRAININGS = {
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
        "the 468-point mesh, from a teacher's",
    ),
    "identity": (
        "reliableswap.training.tasks.encoders.identity",
        "IdentitySettings",
        "the identity encoder, from a teacher's vectors",
    ),
    "fixer": (
        "reliableswap.training.tasks.encoders.fixer",
        "FixerSettings",
        "the encoder of the lower face, by a margin between people and a teacher's vectors",
    ),
    "glasses": (
        "reliableswap.training.tasks.faces.glasses",
        "GlassesSettings",
        "the network that tells which pixels are glasses, from glasses painted on faces without any",
    ),
    "blend-data": (
        "tools.blend_data",
        "BlendDataSettings",
        "the data files of the blend engine: the mean face and its triangles, shape, looks",
    ),
}


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    try:
        home, settings = parse(argv)
        home.run(settings)
    except ReliableSwapError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def parse(argv: list[str]) -> tuple[object, object]:
    """The training's module and its settings. The command line wins over the YAML file, that over the preset."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (module, settings, text) in TRAININGS.items():
        command = commands.add_parser(name, help=text, description=f"Train {text}.")
        if name in argv[:1]:  # only what runs is imported
            kind = getattr(importlib.import_module(module), settings)
            command.add_argument(
                "--config", type=Path, help="YAML file of these settings; options here win over it"
            )
            add_arguments(command, kind)
            config = command.parse_known_args(argv[1:])[0].config
            values = read_settings(config, kind) if config else {}
            command.set_defaults(**values)
            if hasattr(kind, "preset_values"):
                preset = command.parse_known_args(argv[1:])[0].preset
                command.set_defaults(**kind.preset_values(preset))
                command.set_defaults(**values)
    arguments = parser.parse_args(argv)
    module, settings, _ = TRAININGS[arguments.command]
    home = importlib.import_module(module)
    return home, from_arguments(arguments, getattr(home, settings))


if __name__ == "__main__":
    sys.exit(main())
