"""`reliableswap faces`: list the faces of a photo and outline them in it, or list the people of a clip."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from reliableswap.errors import ReliableSwapError
from reliableswap.faces.draw import annotate
from reliableswap.faces.face import Face
from reliableswap.media import Picture, check_output, read_picture
from reliableswap.media.video.outputs import is_clip_name
from reliableswap.provenance.copies import write_copy

from . import people
from .common import add_photo_arguments, load_pipeline, say
from .video import add_range


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("photo", metavar="PHOTO", help="the picture or clip to look for faces in")
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        help="copy of the photo with its faces outlined, or contact sheet of a clip's people",
    )
    parser.add_argument(
        "--describe", action="store_true", help="say what each face of a picture looks like (docs/unified.md)"
    )
    parser.add_argument(
        "--model", metavar="DIR", help="with --describe: a UnifiedFacePipeline (default: the bundled one)"
    )
    add_range(parser)
    add_photo_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    if is_clip_name(arguments.photo):
        if arguments.describe:
            raise ReliableSwapError(f"{arguments.photo} is a clip; --describe is for pictures")
        return people.run(arguments)
    if arguments.start is not None or arguments.end is not None:
        raise ReliableSwapError(f"{arguments.photo} is a picture; --start and --end are for clips")
    output = None
    if arguments.output is not None:
        output = check_output(arguments.output, overwrite=arguments.overwrite)
    picture = read_picture(arguments.photo, max_pixels=int(arguments.max_megapixels * 1e6))
    found = load_pipeline(arguments).find(picture)
    said = descriptions(arguments.model, picture, found) if arguments.describe else [None] * len(found)
    if output is not None:
        drawn = replace(picture, pixels=annotate(picture.pixels, found))
        write_copy(drawn, output, "faces outlined", overwrite=arguments.overwrite)
        say(f"wrote {output}")
    if arguments.json:
        faces = [describe(index, face) for index, face in enumerate(found)]
        for facts, text in zip(faces, said, strict=True):
            facts |= {} if text is None else {"description": text}
        print(json.dumps({"photo": picture.name, "faces": faces}, indent=1))
    else:
        for index, face in enumerate(found):
            x0, y0, x1, y1 = (round(float(v)) for v in face.box)
            print(f"face {index}: box {x0},{y0} to {x1},{y1}, roll {face.roll:.0f}°, score {face.score:.2f}")
            if said[index] is not None:
                print(f"  {said[index]}")
    return 0


def descriptions(model: str | None, picture: Picture, faces: Sequence[Face]) -> list[str | None]:
    """Describe in words what each face looks like."""
    from .unified import load_unified

    return [*load_unified(model).describe_faces(picture, faces)]


def describe(index: int, face: Face) -> dict[str, Any]:
    """Return a face as values for JSON."""
    return {
        "index": index,
        "box": [round(float(v), 1) for v in face.box],
        "points5": [[round(float(v), 1) for v in point] for point in face.points5],
        "score": round(face.score, 4),
        "presence": None if face.presence is None else round(face.presence, 4),
        "roll": round(face.roll, 1),
    }
