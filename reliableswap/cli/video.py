"""`reliableswap video`: put the face of a photo on people of a clip. Running it again continues where it stopped."""

from __future__ import annotations

import argparse
import json
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reliableswap.errors import ReliableSwapError
from reliableswap.media import read_picture
from reliableswap.provenance.credentials import credentials
from reliableswap.swap.settings import SwapSettings

from .common import (
    add_executor_arguments,
    add_person_arguments,
    add_photo_arguments,
    add_signer_arguments,
    executor_of,
    fraction,
    load_pipeline,
    on_a_node,
    quality,
    say,
)
from .swap import (
    STRENGTHS,
    add_age_argument,
    add_attribute_arguments,
    parse_attributes,
    parse_mapping,
    parse_numbers,
)

if TYPE_CHECKING:
    from reliableswap.pipelines.video import VideoProgress

_STAGES = {"find": "finding faces", "check": "checking", "swap": "swapping", "join": "joining"}
_SAY_EVERY = 5.0  # seconds between lines of progress without a terminal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files", nargs="+", metavar="SOURCE CLIP", help="photo and clip; only CLIP with --map or --person"
    )
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help="the result: .mp4, .mov or .mkv")
    parser.add_argument(
        "--people",
        default="first",
        help="first (who is seen most), all, or numbers as `reliableswap faces CLIP` prints them (default: first)",
    )
    parser.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="N=PHOTO",
        help="person N gets this source; may be repeated",
    )
    parser.add_argument(
        "--engine",
        choices=("auto", "blend", "neural", "person"),
        default="auto",
        help="auto: person with --person, neural if the pipeline has a generator, else blend (default: auto)",
    )
    add_person_arguments(parser)
    for name, text in STRENGTHS.items():
        default = getattr(SwapSettings, name)
        parser.add_argument(f"--{name}", type=fraction, default=default, help=f"{text} (default: {default})")
    add_age_argument(parser)
    add_attribute_arguments(parser)
    add_range(parser)
    parser.add_argument(
        "--quality", type=quality, default=85, help="quality of the encoder, 1 to 100 (default: 85)"
    )
    parser.add_argument(
        "--encoder",
        default="auto",
        help="h264, h265, av1, or a hardware one such as h264-nvenc (default: auto, the clip's own or h264)",
    )
    parser.add_argument("--consent", metavar="TEXT", help="who agreed to what; it is recorded with the time")
    parser.add_argument(
        "--on-interrupt",
        choices=("resume", "keep"),
        default="resume",
        help="after Ctrl-C: resume leaves what the next run needs to continue, keep also a playable OUT "
        "(default: resume)",
    )
    parser.add_argument("--fresh", action="store_true", help="discard what an earlier run left in OUT.parts")
    parser.add_argument(
        "--label",
        action="store_true",
        help='also write "Made by AI" in the lower right corner of every frame',
    )
    add_signer_arguments(parser)
    add_executor_arguments(parser, "segment of four seconds")
    add_photo_arguments(parser)


def add_range(parser: argparse.ArgumentParser) -> None:
    """Add --start and --end."""
    parser.add_argument(
        "--start",
        type=float,
        metavar="S",
        help="seconds after the first frame at which to begin; shortens the result",
    )
    parser.add_argument(
        "--end", type=float, metavar="S", help="seconds after the first frame at which to stop"
    )


def run(arguments: argparse.Namespace) -> int:
    from reliableswap.pipelines.clip_nodes import Nodes
    from reliableswap.pipelines.video import VideoResult, VideoSettings

    mapping = parse_mapping(arguments.map, "person")
    if mapping and arguments.people != "first":
        raise ReliableSwapError(f"--people {arguments.people} and --map both choose people; give one of them")
    if mapping and arguments.person:
        raise ReliableSwapError("--map and --person both name sources; give one of them")
    only_clip = bool(mapping or arguments.person)
    if len(arguments.files) != (1 if only_clip else 2):
        raise ReliableSwapError("give SOURCE and CLIP (or --map NUMBER=PHOTO or --person NAME, and the CLIP)")
    limit = int(arguments.max_megapixels * 1e6)
    people: Any = arguments.people
    if mapping:
        people = {number: read_picture(path, max_pixels=limit) for number, path in mapping.items()}
    elif people not in ("first", "all"):
        people = parse_numbers(people, "--people")
    source = None if only_clip else read_picture(arguments.files[0], max_pixels=limit)
    video = VideoSettings(
        start=arguments.start,
        end=arguments.end,
        quality=arguments.quality,
        encoder=arguments.encoder,
        on_interrupt=arguments.on_interrupt,
        fresh=arguments.fresh,
        label=arguments.label,
    )
    signer = credentials(arguments.cert, arguments.key)
    pipe = load_pipeline(arguments)
    engine: Any = "person" if arguments.person and arguments.engine == "auto" else arguments.engine
    say(f"engine {pipe.choose_engine(engine)} on {pipe.place}")
    settings = SwapSettings(**{name: getattr(arguments, name) for name in (*STRENGTHS, "age")})
    settings = settings.with_attributes(parse_attributes(arguments.keep, arguments.take))
    executor = executor_of(arguments)
    shown = ProgressLine()
    steps = pipe.video(
        source,
        arguments.files[-1],
        arguments.output,
        people=people,
        person=arguments.person,
        engine=engine,
        settings=settings,
        video=video,
        consent=arguments.consent,
        overwrite=arguments.overwrite,
        signer=signer,
        nodes=None if executor is None else Nodes(executor, partial(load_pipeline, on_a_node(arguments))),
    )
    try:
        for step in steps:
            if isinstance(step, VideoResult):
                shown.end()
                _print_summary(step.report)
                if arguments.json:
                    print(json.dumps(step.report, indent=1))
            else:
                shown(step)
    except KeyboardInterrupt:
        shown.end()
        steps.close()  # type: ignore[attr-defined]
        kept = Path(arguments.output).exists() and arguments.on_interrupt == "keep"
        done = f"{arguments.output} holds what is done; " if kept else ""
        say(f"stopped; {done}run the same command again to continue")
        return 130
    return 0


class ProgressLine:
    """Shows progress: on one line of a terminal, or as occasional lines in a file."""

    def __init__(self) -> None:
        self._last, self._stage, self._terminal = 0.0, "", sys.stderr.isatty()

    def __call__(self, step: VideoProgress) -> None:
        now = time.monotonic()
        if step.stage == self._stage and now - self._last < (0.2 if self._terminal else _SAY_EVERY):
            return
        self._last, self._stage = now, step.stage
        of = "" if step.frames is None else f" of {step.frames}"
        left = "" if step.seconds_left is None else f", {format_seconds(step.seconds_left)} left"
        text = f"{_STAGES[step.stage]}: frame {step.frame}{of}{left}" if step.stage != "join" else "joining"
        if self._terminal:
            print(f"\r{text:<70}", end="", file=sys.stderr, flush=True)
        else:
            say(text)

    def end(self) -> None:
        if self._terminal and self._stage:
            print(file=sys.stderr)


def format_seconds(seconds: float) -> str:
    """Format seconds as 1:02:03 or 2:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _print_summary(report: Any) -> None:
    for reason, count in report["failed"].items():
        say(f"{count} times, a face was not swapped: {reason}")
    for person in report["people"]:
        if person.get("tracks_refused"):
            say(
                f"person {person['person']} was not swapped (shots: {person['tracks_refused']}): may be under 18"
            )
    if report["left_out"]:
        say(f"left out: {', '.join(report['left_out'])}")
    stages = ", ".join(f"{name} {seconds:.1f}" for name, seconds in report["stages"].items())
    say(
        f"swapped {report['frames_swapped']} of {report['frames']} frames in {report['seconds']:.1f} s (busy: {stages} "
        f"s); wrote {report['output']} (marked as made by AI; `reliableswap verify` reads the marks)"
    )
