"""`reliableswap export DIR -o OUT`: write a pipeline or a network as ONNX or OpenVINO files that run without torch.

The outputs of every file are compared with torch's, and the differences are printed; one above 1e-3 is an error. With
--int8, ONNX Runtime quantises the identity encoder and the generator to 8 bits, and they are compared on photos.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from reliableswap.errors import ReliableSwapError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = __doc__
    parser.add_argument(
        "place",
        metavar="DIR",
        help="a save_pretrained folder, a Hub id, or `bundled` for the networks that ship with the package",
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT", help="folder to write; it must be empty"
    )
    parser.add_argument("--format", choices=("onnx", "openvino"), default="onnx", help="(default: onnx)")
    parser.add_argument(
        "--int8", action="store_true", help="8-bit identity encoder and generator; needs photos"
    )
    parser.add_argument(
        "--photos",
        type=Path,
        metavar="PHOTOS",
        help="for --int8: folder with a sub-folder of several photos for each person (default: the package "
        "openpeople's photos, if it is installed)",
    )


def run(arguments: argparse.Namespace) -> int:
    from reliableswap.bundled import bundled
    from reliableswap.pipelines.export import export_folder

    place = bundled() if arguments.place == "bundled" else arguments.place
    photos = example_photos(arguments.photos) if arguments.int8 else []
    for made in export_folder(place, arguments.output, arguments.format, photos=photos, int8=arguments.int8):
        print(made, flush=True)
    return 0


def example_photos(folder: Path | None) -> list[tuple[str, Path]]:
    """Return (person, file) of every photo."""
    from reliableswap.data.photos import list_photos

    if folder is not None:
        return [(photo.identity, photo.path) for photo in list_photos(folder)]
    try:
        import openpeople
    except ImportError as error:
        raise ReliableSwapError(
            "8-bit scales come from swaps between photos; give some with --photos, or install the package openpeople"
        ) from error
    people = Path(openpeople.__file__).parent / "data" / "curated"
    kinds = ("studio_portrait", "amateur_selfie", "amateur_posture")
    found = [
        (person.name, person / "assets" / f"{kind}.jpg")
        for person in sorted(people.iterdir())
        for kind in kinds
    ]
    return [(person, path) for person, path in found if path.is_file()]
