"""The `reliableswap` command. Each sub-command is a module; an error is one line and exit status 2."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext

from reliableswap import __version__
from reliableswap.errors import ReliableSwapError
from reliableswap.lazy import gc_paused

from .common import say
from .remote import run_with_local_copies

# Sub-command: (module with `add_arguments(parser)` and `run(arguments)`, what it does).
COMMANDS = {
    "swap": ("reliableswap.cli.swap", "put the face of SOURCE into TARGET"),
    "video": ("reliableswap.cli.video", "put the face of SOURCE on people of a clip"),
    "faces": ("reliableswap.cli.faces", "list the faces of a photo, or the people of a clip"),
    "batch": ("reliableswap.cli.batch", "swap the pictures and clips of a list"),
    "triplets": ("reliableswap.cli.triplets", "make naive and cycle triplets from a folder of photos"),
    "describe": ("reliableswap.cli.describe", "say what a face looks like"),
    "ask": ("reliableswap.cli.ask", "answer a question about a face"),
    "draw": ("reliableswap.cli.draw", "draw a face of a person who does not exist"),
    "describe-data": (
        "reliableswap.cli.describe_data",
        "make captions, questions and answers about photos of faces",
    ),
    "train": ("reliableswap.cli.train", "train a network"),
    "evaluate": ("reliableswap.cli.evaluate", "measure pipelines and folders of results, side by side"),
    "verify": ("reliableswap.cli.verify", "say whether files are marked as made by AI, and by what"),
    "convert": ("reliableswap.cli.convert", "turn an author's checkpoint into a folder for from_pretrained"),
    "export": ("reliableswap.cli.export", "write a pipeline or a network as ONNX or OpenVINO files"),
    "release": ("reliableswap.cli.release", "put trained networks among those that ship with the package"),
}
_QUICK = ("swap", "faces", "video")  # they use little of diffusers
# These run several threads of their own, beside which OpenMP's threads must not busy-wait.
_SIDE_BY_SIDE = ("video", "batch")


def make_parser(command: str | None) -> argparse.ArgumentParser:
    """Build the parser. Import only the called command's module, so that a swap starts quickly."""
    parser = argparse.ArgumentParser(
        prog="reliableswap",
        description="Swap faces of people who agreed, or who do not exist. Results are marked as made by AI.",
    )
    parser.add_argument("--version", action="version", version=f"reliableswap {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, text) in COMMANDS.items():
        one = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        if name == command:
            home = importlib.import_module(module)
            home.add_arguments(one)
            one.add_argument("--debug", action="store_true", help="show the traceback of an error")
            one.set_defaults(run=home.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    own_process = argv is None
    argv = sys.argv[1:] if argv is None else list(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # the Hub's client logs every request
    command = next((word for word in argv if not word.startswith("-")), None)
    if own_process and command in _SIDE_BY_SIDE:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with gc_paused() if own_process else nullcontext():
        arguments = make_parser(command).parse_args(argv)
    arguments.quick = own_process and command in _QUICK
    run: Callable[[argparse.Namespace], int] = arguments.run
    try:
        return run_with_local_copies(run, arguments)
    except ReliableSwapError as error:
        if arguments.debug:
            raise
        say(f"error: {error}")
        return 2
    except KeyboardInterrupt:
        say("stopped")
        return 130
    except MemoryError:
        say("error: out of memory; use smaller pictures or --max-megapixels")
        return 2


if __name__ == "__main__":
    sys.exit(main())
