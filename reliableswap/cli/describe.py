"""`reliableswap describe`: say what a face looks like."""

from __future__ import annotations

import argparse
import json

from reliableswap.media import read_picture

from .unified import add_model_argument, add_picture_arguments, load_unified


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_picture_arguments(parser)
    add_model_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    picture = read_picture(arguments.photo, max_pixels=int(arguments.max_megapixels * 1e6))
    said = load_unified(arguments.model, arguments.device).describe(picture, arguments.face)
    if arguments.json:
        said = json.dumps({"photo": picture.name, "face": arguments.face, "description": said}, indent=1)
    print(said)
    return 0
