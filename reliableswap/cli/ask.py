"""`reliableswap ask`: answer a question about a face."""

from __future__ import annotations

import argparse
import json

from reliableswap.media import read_picture

from .unified import add_model_argument, add_picture_arguments, load_unified


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_picture_arguments(parser)
    parser.add_argument("question", metavar="QUESTION", help='such as "does she wear glasses?"')
    add_model_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    picture = read_picture(arguments.photo, max_pixels=int(arguments.max_megapixels * 1e6))
    pipe = load_unified(arguments.model, arguments.device)
    said = pipe.ask(picture, arguments.question, arguments.face)
    if arguments.json:
        facts = {
            "photo": picture.name,
            "face": arguments.face,
            "question": arguments.question,
            "answer": said,
        }
        said = json.dumps(facts, indent=1)
    print(said)
    return 0
