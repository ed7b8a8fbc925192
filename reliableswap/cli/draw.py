"""`reliableswap draw`: draw a face of a person who does not exist, from a description."""

from __future__ import annotations

import argparse
from pathlib import Path

from reliableswap.errors import ReliableSwapError
from reliableswap.media import check_output

from .common import add_signer_arguments, say
from .unified import add_model_argument, load_unified


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "description",
        metavar="DESCRIPTION",
        help='such as "a bearded man with glasses, smiling"; "" for any face',
    )
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help="the picture; several are numbered: OUT-0.png, OUT-1.png",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="random seed; each gives another face (default: 0)"
    )
    parser.add_argument("--count", type=int, default=1, metavar="N", help="faces to draw (default: 1)")
    parser.add_argument(
        "--steps", type=int, default=16, metavar="N", help="passes of the network (default: 16)"
    )
    parser.add_argument(
        "--guidance", type=float, default=4.0, help="how strictly to follow the description (default: 4)"
    )
    parser.add_argument(
        "--temperature", type=float, default=1.0, help="below 1: likelier and less varied (default: 1)"
    )
    parser.add_argument("--label", action="store_true", help='draw "Made by AI" into the picture')
    parser.add_argument("--overwrite", action="store_true", help="replace existing pictures")
    add_model_argument(parser)
    add_signer_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    from reliableswap.provenance.credentials import credentials

    if arguments.count < 1:
        raise ReliableSwapError(f"--count is {arguments.count}; give 1 or more")
    path = Path(arguments.output)
    paths = [path]
    if arguments.count > 1:
        paths = [path.with_name(f"{path.stem}-{number}{path.suffix}") for number in range(arguments.count)]
    for one in paths:
        check_output(one, overwrite=arguments.overwrite)
    signer = credentials(arguments.cert, arguments.key)
    drawn = load_unified(arguments.model, arguments.device).draw(
        arguments.description,
        seed=arguments.seed,
        steps=arguments.steps,
        guidance=arguments.guidance,
        temperature=arguments.temperature,
        count=arguments.count,
    )
    for number, one in enumerate(paths):
        drawn.save(one, number, overwrite=arguments.overwrite, label=arguments.label, signer=signer)
        say(f"wrote {one}")
    return 0
