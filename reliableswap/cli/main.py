"""The `reliableswap` command: one function a sub-command, errors in one line, exit status 2."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from reliableswap import __version__
from reliableswap.errors import ReliableSwapError

if TYPE_CHECKING:
    from reliableswap.pipelines.image import ReliableSwapPipeline


def say(text: str) -> None:
    """Progress and facts go to stderr, so that stdout holds nothing but the answer."""
    print(text, file=sys.stderr, flush=True)


def swap(arguments: argparse.Namespace) -> int:
    from reliableswap.media import check_output, read_picture

    mapping = mapped(arguments.map)
    if mapping and arguments.faces != "largest":
        raise ReliableSwapError(f"--faces {arguments.faces} and --map both choose faces; give one of them")
    source, target = sources_and_target(arguments.pictures, mapping)
    faces: Any = arguments.faces
    if faces not in ("largest", "all"):
        faces = numbers(faces)
    output = check_output(arguments.output, overwrite=arguments.overwrite)
    read = {"max_pixels": int(arguments.max_megapixels * 1e6)}
    target_picture = read_picture(target, **read)
    if mapping:
        faces = {index: read_picture(path, **read) for index, path in mapping.items()}
    source_picture = None if source is None else read_picture(source, **read)

    pipe = load_pipeline(arguments)
    say(f"engine {pipe.choose_engine(arguments.engine)} on {pipe.place}, analyser {pipe.analyser.name}")
    result = pipe(
        source_picture,
        target_picture,
        faces=faces,
        engine=arguments.engine,
        likeness=arguments.likeness,
        shape=arguments.shape,
        expression=arguments.expression,
        glasses=arguments.glasses,
        detail=arguments.detail,
    )
    result.save(output, overwrite=arguments.overwrite, quality=arguments.quality)
    report = result.report
    say(
        f"swapped {len(report.swapped)} of {len(report.faces)} face{'s' * (len(report.faces) != 1)} in "
        f"{report.seconds:.2f} s; wrote {output} (marked as made by AI)"
    )
    if arguments.json:
        print(json.dumps({"output": str(output), **report.to_dict()}, indent=1))
    return 0


def faces(arguments: argparse.Namespace) -> int:
    from reliableswap.faces.draw import annotate
    from reliableswap.media import check_output, read_picture, write_picture

    output = None
    if arguments.output is not None:
        output = check_output(arguments.output, overwrite=arguments.overwrite)
    picture = read_picture(arguments.photo, max_pixels=int(arguments.max_megapixels * 1e6))
    pipe = load_pipeline(arguments)
    found = pipe.find(picture)
    if output is not None:
        from dataclasses import replace

        drawn = replace(picture, pixels=annotate(picture.pixels, found))
        write_picture(drawn, output, overwrite=arguments.overwrite, ai_made=False)
        say(f"wrote {output}")
    if arguments.json:
        print(
            json.dumps(
                {"photo": picture.name, "faces": [described(i, f) for i, f in enumerate(found)]}, indent=1
            )
        )
    else:
        for index, face in enumerate(found):
            x0, y0, x1, y1 = (round(float(v)) for v in face.box)
            print(f"face {index}: box {x0},{y0} to {x1},{y1}, roll {face.roll:.0f}°, score {face.score:.2f}")
    return 0


def load_pipeline(arguments: argparse.Namespace) -> ReliableSwapPipeline:
    """The pipeline of --pipeline, or the bundled one, with the analyser that was asked for."""
    from reliableswap.pipelines.image import ReliableSwapPipeline

    if arguments.pipeline is None:
        pipe = ReliableSwapPipeline.bundled()
    else:
        pipe = ReliableSwapPipeline.from_pretrained(arguments.pipeline)
    if arguments.device:
        pipe.on(arguments.device)
    if arguments.analyser != "bundled":
        from reliableswap.faces.analysers.insightface import InsightFaceAnalyser

        pipe.analyser = InsightFaceAnalyser(
            arguments.insightface_pack, root=arguments.insightface_root, landmarks=pipe.landmarks
        )
    return pipe


def mapped(pairs: Sequence[str]) -> dict[int, str]:
    """--map 0=a.jpg --map 1=b.jpg as a dictionary."""
    mapping: dict[int, str] = {}
    for pair in pairs:
        number, _, path = pair.partition("=")
        if not _counts(number) or not path:
            raise ReliableSwapError(
                f"--map {pair} is not NUMBER=PICTURE; write for example --map 0=alice.jpg"
            )
        if int(number) in mapping:
            raise ReliableSwapError(f"face {number} is mapped twice; give each face one --map")
        mapping[int(number)] = path
    return mapping


def sources_and_target(pictures: Sequence[str], mapping: dict[int, str]) -> tuple[str | None, str]:
    """SOURCE TARGET, or only TARGET where --map names the sources."""
    if mapping:
        if len(pictures) != 1:
            raise ReliableSwapError("with --map give only the TARGET; the sources are the mapped pictures")
        return None, pictures[0]
    if len(pictures) != 2:
        raise ReliableSwapError("give two pictures, SOURCE TARGET (or --map NUMBER=PICTURE and the TARGET)")
    return pictures[0], pictures[1]


def numbers(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(map(_counts, parts)):
        raise ReliableSwapError(f"--faces {text} is not known; use largest, all or numbers such as 0,2")
    return [int(part) for part in parts]


def _counts(text: str) -> bool:
    return text.isascii() and text.isdigit()


def described(index: int, face: Any) -> dict[str, Any]:
    return {
        "index": index,
        "box": [round(float(v), 1) for v in face.box],
        "points5": [[round(float(v), 1) for v in point] for point in face.points5],
        "score": round(face.score, 4),
        "presence": None if face.presence is None else round(face.presence, 4),
        "roll": round(face.roll, 1),
    }


def quality(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and 100")
    return value


def share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def megapixels(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text} is not a number of megapixels above 0")
    return value


# Sub-commands that live in their own rooms: `add_arguments(parser)` and `run(arguments)` of a module.
ELSEWHERE = {
    "triplets": ("reliableswap.cli.triplets", "make naive and cycle triplets from a folder of photos"),
    "evaluate": ("reliableswap.cli.evaluate", "measure pipelines and folders of results, side by side"),
    "convert": (
        "reliableswap.convert.checkpoints",
        "turn an author's checkpoint into a folder for from_pretrained",
    ),
}


def make_parser(command: str | None) -> argparse.ArgumentParser:
    """The parser; the arguments of a sub-command that lives elsewhere are known if it is the one called."""
    parser = argparse.ArgumentParser(
        prog="reliableswap",
        description="Swap faces of people who agreed, or who do not exist. Results are marked as made by AI.",
    )
    parser.add_argument("--version", action="version", version=f"reliableswap {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)

    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--pipeline", metavar="DIR", help="a pipeline folder or Hub id (default: the bundled one)"
    )
    common.add_argument("--analyser", choices=("bundled", "insightface"), default="bundled")
    common.add_argument("--insightface-pack", default="buffalo_l", metavar="NAME", help="pack name or folder")
    common.add_argument("--insightface-root", default="~/.insightface", metavar="DIR")
    common.add_argument("--device", help="cpu, openvino, cuda, cuda:1, mps (default: cpu)")
    common.add_argument(
        "--max-megapixels", type=megapixels, default=100.0, metavar="N", help="refuse larger pictures"
    )
    common.add_argument("--overwrite", action="store_true", help="replace an existing output")
    common.add_argument("--json", action="store_true", help="print a report as JSON")
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")

    one = commands.add_parser("swap", parents=[common], help="put the face of SOURCE into TARGET")
    one.add_argument(
        "pictures", nargs="+", metavar="SOURCE TARGET", help="two pictures; only TARGET with --map"
    )
    one.add_argument(
        "-o", "--output", required=True, metavar="OUT", help="the result; its extension is its format"
    )
    one.add_argument("--engine", choices=("auto", "blend", "neural"), default="auto")
    one.add_argument(
        "--faces", default="largest", help="largest, all, or numbers as `reliableswap faces` prints them"
    )
    one.add_argument(
        "--map", action="append", default=[], metavar="N=PICTURE", help="face N gets this source"
    )
    one.add_argument("--likeness", type=share, default=1.0, help="how much of the source comes in, 0 to 1")
    one.add_argument(
        "--shape", type=share, default=0.5, help="how far the outline moves to the source's, 0 to 1"
    )
    one.add_argument(
        "--expression",
        type=share,
        default=0.65,
        help="how far lips, lids and brows are drawn back to the target's, 0 to 1",
    )
    one.add_argument(
        "--glasses",
        type=share,
        default=1.0,
        help="how far the target's own stay on, 0 (off, as far as the engine can) to 1",
    )
    one.add_argument(
        "--detail", type=share, default=1.0, help="how far sharpness and grain become the target's, 0 to 1"
    )
    one.add_argument("--quality", type=quality, default=95, help="of JPEG and WebP, 1 to 100")
    one.set_defaults(run=swap)

    one = commands.add_parser("faces", parents=[common], help="list the faces of a photo")
    one.add_argument("photo")
    one.add_argument("-o", "--output", metavar="OUT", help="write the photo with the faces drawn in")
    one.set_defaults(run=faces)

    for name, (module, text) in ELSEWHERE.items():
        one = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        if name == command:  # the others are not even imported: a swap starts faster for it
            home = importlib.import_module(module)
            home.add_arguments(one)
            one.add_argument("--debug", action="store_true", help="show the traceback of an error")
            one.set_defaults(run=home.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else list(argv)
    command = next((word for word in argv if not word.startswith("-")), None)
    arguments = make_parser(command).parse_args(argv)
    run: Callable[[argparse.Namespace], int] = arguments.run
    try:
        return run(arguments)
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
