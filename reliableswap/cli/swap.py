"""`reliableswap swap`: put the face of one photo into another."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from reliableswap.errors import ReliableSwapError
from reliableswap.media import check_output, read_picture
from reliableswap.provenance.credentials import credentials
from reliableswap.swap.attributes import Attributes
from reliableswap.swap.settings import MAX_YEARS, SwapSettings

from .common import (
    add_person_arguments,
    add_photo_arguments,
    add_signer_arguments,
    fraction,
    is_number,
    load_pipeline,
    quality,
    say,
)

# SwapSettings' fields that the command line offers, and what they do.
STRENGTHS = {
    "likeness": "how much of the source comes in, 0 to 1",
    "shape": "how far the outline moves to the source's, 0 to 1",
    "expression": "how far lips, lids and brows are moved back to the target's, 0 to 1",
    "glasses": "how far the target's own glasses are kept, 0 (removed, as far as the engine can) to 1",
    "detail": "how far sharpness and grain are matched to the target's, 0 to 1",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "pictures",
        nargs="+",
        metavar="SOURCE TARGET",
        help="two pictures; only TARGET with --map or --person",
    )
    parser.add_argument(
        "-o", "--output", required=True, metavar="OUT", help="the result; its extension is its format"
    )
    parser.add_argument(
        "--engine",
        choices=("auto", "blend", "neural", "person"),
        default="auto",
        help="auto: person with --person, neural if the pipeline has a generator, else blend (default: auto)",
    )
    add_person_arguments(parser)
    parser.add_argument(
        "--faces",
        default="largest",
        help="largest, all, or numbers as `reliableswap faces` prints them, such as 0,2 (default: largest)",
    )
    parser.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="N=PICTURE",
        help="face N gets this source; may be repeated",
    )
    for name, text in STRENGTHS.items():
        default = getattr(SwapSettings, name)
        parser.add_argument(f"--{name}", type=fraction, default=default, help=f"{text} (default: {default})")
    add_age_argument(parser)
    add_attribute_arguments(parser)
    parser.add_argument(
        "--quality", type=quality, default=95, help="quality of JPEG, WebP and AVIF, 1 to 100 (default: 95)"
    )
    parser.add_argument(
        "--consent", metavar="TEXT", help="who agreed to what; it is recorded with the time in the report"
    )
    parser.add_argument(
        "--label", action="store_true", help='also write "Made by AI" in the lower right corner'
    )
    add_signer_arguments(parser)
    add_photo_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    mapping = parse_mapping(arguments.map)
    if mapping and arguments.faces != "largest":
        raise ReliableSwapError(f"--faces {arguments.faces} and --map both choose faces; give one of them")
    source, target = source_and_target(arguments.pictures, mapping, arguments.person)
    faces: Any = arguments.faces
    if faces not in ("largest", "all"):
        faces = parse_numbers(faces)
    output = check_output(arguments.output, overwrite=arguments.overwrite)
    signer = credentials(arguments.cert, arguments.key)
    limit = int(arguments.max_megapixels * 1e6)
    target_picture = read_picture(target, max_pixels=limit)
    if mapping:
        faces = {index: read_picture(path, max_pixels=limit) for index, path in mapping.items()}
    source_picture = None if source is None else read_picture(source, max_pixels=limit)

    pipe = load_pipeline(arguments)
    engine: Any = "person" if arguments.person and arguments.engine == "auto" else arguments.engine
    say(f"engine {pipe.choose_engine(engine)} on {pipe.place}, analyser {pipe.analyser.name}")
    settings = SwapSettings(**{name: getattr(arguments, name) for name in (*STRENGTHS, "age")})
    settings = settings.with_attributes(parse_attributes(arguments.keep, arguments.take))
    result = pipe(
        source_picture,
        target_picture,
        faces=faces,
        person=arguments.person,
        engine=engine,
        settings=settings,
        consent=arguments.consent,
    )
    result.save(
        output,
        overwrite=arguments.overwrite,
        quality=arguments.quality,
        label=arguments.label,
        signer=signer,
    )
    report = result.report
    for face in report.faces:
        if face.error is not None:
            say(f"face {face.index} was left alone: {face.error}")
        if face.apparent_age is not None:
            word = "older" if face.age > 0 else "younger"
            say(
                f"face {face.index}: made {abs(face.age):g} years {word}; it looks about {face.apparent_age:.0f}"
            )
        if face.attributes:
            say(
                f"face {face.index}: "
                + "; ".join(f"{part} of the {side}" for part, side in face.attributes.items())
            )
        for sentence in face.advice:
            say(f"face {face.index}: {sentence}")
    say(
        f"swapped {len(report.swapped)} of {len(report.faces)} face{'s' * (len(report.faces) != 1)} in "
        f"{report.seconds:.2f} s; wrote {output} (marked as made by AI; `reliableswap verify` reads the marks)"
    )
    if arguments.json:
        print(json.dumps({"output": str(output), **report.to_dict()}, indent=1))
    return 0


def parse_mapping(pairs: Sequence[str], what: str = "face") -> dict[int, str]:
    """Parse --map 0=a.jpg --map 1=b.jpg into a dictionary."""
    mapping: dict[int, str] = {}
    for pair in pairs:
        number, _, path = pair.partition("=")
        if not is_number(number) or not path:
            raise ReliableSwapError(
                f"--map {pair} is not NUMBER=PICTURE; write for example --map 0=alice.jpg"
            )
        if int(number) in mapping:
            raise ReliableSwapError(f"{what} {number} is mapped twice; give each {what} one --map")
        mapping[int(number)] = path
    return mapping


def add_age_argument(parser: argparse.ArgumentParser) -> None:
    """Add --age."""
    parser.add_argument(
        "--age",
        type=years,
        default=0.0,
        metavar="YEARS",
        help=f"make the new face look older (such as +10) or younger (-10), by {MAX_YEARS:g} years at most",
    )


def years(text: str) -> float:
    value = float(text)
    if not -MAX_YEARS <= value <= MAX_YEARS:
        raise argparse.ArgumentTypeError(f"{text} is not between -{MAX_YEARS:g} and {MAX_YEARS:g} years")
    return value


def add_attribute_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --keep and --take, which `parse_attributes` parses."""
    parser.add_argument(
        "--keep",
        default="",
        metavar="PARTS",
        help="parts that stay the target's: beard, brows, lips, shape, skin; separated by commas",
    )
    parser.add_argument(
        "--take",
        default="",
        metavar="PARTS",
        help="parts that come from the source and would otherwise stay, or might stay, the target's: glasses, beard",
    )


def parse_attributes(keep: str, take: str) -> Attributes:
    """Parse --keep brows,lips and --take glasses into attributes."""
    chosen: dict[str, str] = {}
    for text, side in ((keep, "target"), (take, "source")):
        for part in filter(None, (one.strip() for one in text.split(","))):
            if part in chosen:
                raise ReliableSwapError(f"{part} is in both --keep and --take; name it in one of them")
            chosen[part] = side
    return Attributes.of(chosen)


def source_and_target(
    pictures: Sequence[str], mapping: dict[int, str], person: str | None = None
) -> tuple[str | None, str]:
    """Return source and target; the source is None where --map or --person names it."""
    if mapping and person:
        raise ReliableSwapError("--map and --person both name sources; give one of them")
    if person:
        if len(pictures) != 1:
            raise ReliableSwapError(f"with --person give only the TARGET; the source is {person}'s decoder")
        return None, pictures[0]
    if mapping:
        if len(pictures) != 1:
            raise ReliableSwapError("with --map give only the TARGET; the sources are the mapped pictures")
        return None, pictures[0]
    if len(pictures) != 2:
        raise ReliableSwapError("give two pictures, SOURCE TARGET (or --map NUMBER=PICTURE and the TARGET)")
    return pictures[0], pictures[1]


def parse_numbers(text: str, option: str = "--faces") -> list[int]:
    """Parse --faces 0,2 into a list."""
    parts = [part.strip() for part in text.split(",")]
    if not all(map(is_number, parts)):
        word = "first" if "people" in option else "largest"
        raise ReliableSwapError(f"{option} {text} is not valid; use {word}, all or numbers such as 0,2")
    return [int(part) for part in parts]
