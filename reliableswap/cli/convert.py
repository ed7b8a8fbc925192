"""`reliableswap convert`: turn an author's checkpoint into a folder for `from_pretrained`."""

from __future__ import annotations

import argparse
from pathlib import Path

from reliableswap.convert.checkpoints import KINDS, convert

from .common import say

ONNX = "inswapper, hyperswap and onnx-encoder"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", choices=KINDS, help="the published network that the checkpoint holds")
    parser.add_argument(
        "checkpoint", type=Path, help="a .pth, .ckpt or .safetensors file, or an .onnx file for " + ONNX
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--prefix", help="prefix of the network's names, if the file holds several networks of this kind"
    )
    parser.add_argument(
        "--encoder", type=Path, metavar="DIR", help="the identity encoder that a generator was trained with"
    )
    parser.add_argument("--name", default="", help="name of this encoder in generators' configs")
    parser.add_argument(
        "--template", help="the crop template that a generator was trained on, if not the published one"
    )
    parser.add_argument(
        "--value-range",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="value range of a generator's pictures, if not the published one",
    )


def run(arguments: argparse.Namespace) -> int:
    settings = {"template": arguments.template, "value_range": arguments.value_range}
    report = convert(
        arguments.kind,
        arguments.checkpoint,
        arguments.output,
        prefix=arguments.prefix,
        encoder=arguments.encoder,
        name=arguments.name,
        **{name: value for name, value in settings.items() if value is not None},
    )
    say(str(report))
    return 0
