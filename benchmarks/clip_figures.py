"""Swap the beginnings of real clips and measure the results: sheets to look at, and `reliableswap evaluate`'s figures.

    python benchmarks/clip_figures.py CLIP... -o OUT [--frames 48] [--every 10] [--engine auto] [--judge dlib]
    python benchmarks/clip_figures.py CLIP... -o OUT --alone      # also without steadying, for comparison

Each clip is cut to its first frames, with their timestamps, and re-encoded almost losslessly. Sources are the studio
portraits of openpeople, in turn. OUT/sheets holds the face in every tenth frame of each clip above its swapped
version, OUT/report what `evaluate --protocol video` measures.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from people import PEOPLE, photo_of
from PIL import Image

from reliableswap import ReliableSwapPipeline
from reliableswap.errors import ReliableSwapError
from reliableswap.pipelines.video import VideoResult, VideoSettings

_ROW = 400  # height of a frame on a sheet, in pixels


def cut(clip: Path, out: Path, frames: int) -> None:
    """Store the first frames of a clip as H.264 of high quality, without sound."""
    with av.open(str(clip)) as source, av.open(str(out), "w") as target:
        given = source.streams.video[0]
        stream: Any = target.add_stream(
            "libx264", rate=given.average_rate, options={"crf": "10", "preset": "veryfast"}
        )
        stream.width, stream.height, stream.pix_fmt = given.width // 2 * 2, given.height // 2 * 2, "yuv420p"
        stream.time_base = given.time_base
        for frame in islice(source.decode(given), frames):
            moved = frame.reformat(stream.width, stream.height, "yuv420p")
            moved.pts, moved.time_base = frame.pts, frame.time_base
            target.mux(stream.encode(moved))
        target.mux(stream.encode(None))


def swap(
    pipe: ReliableSwapPipeline, source: Path, clip: Path, out: Path, engine: Any, steady: bool
) -> dict[str, Any]:
    """Swap everybody in a clip, and return the report."""
    consent = "The source does not exist; the clips are examples for research."
    for step in pipe.video(
        source,
        clip,
        out,
        people="all",
        engine=engine,
        consent=consent,
        overwrite=True,
        video=VideoSettings(quality=100, steady=steady),
    ):
        if isinstance(step, VideoResult):
            return dict(step.report)
    raise RuntimeError(f"{clip} ended without a result")


def sheet(pipe: ReliableSwapPipeline, before: Path, after: Path, out: Path, every: int) -> None:
    """Write every `every`-th frame of a clip, cropped to the faces' surroundings, above its swapped version."""
    rows = [list(islice(_frames(path), 0, None, every)) for path in (before, after)]
    boxes = [face.box for frame in rows[0] for face in pipe.find(frame)[:1]]
    if not boxes:
        raise SystemExit(f"no face found in the frames of {before}")
    low, high = np.min(boxes, 0)[:2], np.max(boxes, 0)[2:]
    room = 0.4 * float(max(high - low))
    height, width = rows[0][0].shape[:2]
    x0, y0 = np.maximum(low - room, 0).astype(int)
    x1, y1 = np.minimum(high + room, (width, height)).astype(int)
    pairs = [np.vstack([_small(frame[y0:y1, x0:x1]) for frame in pair]) for pair in zip(*rows, strict=False)]
    Image.fromarray(np.hstack(pairs)).save(out)


def _frames(path: Path) -> Iterator[np.ndarray]:
    with av.open(str(path)) as clip:
        for frame in clip.decode(clip.streams.video[0]):
            yield frame.to_ndarray(format="rgb24")


def _small(frame: np.ndarray) -> np.ndarray:
    scale = _ROW / frame.shape[0]
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(frame, None, fx=scale, fy=scale, interpolation=method)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", type=Path, nargs="+", help="clips to swap, one row of the report each")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="folder for clips, sheets and report"
    )
    parser.add_argument("--frames", type=int, default=48, help="frames per clip (default: %(default)s)")
    parser.add_argument(
        "--every", type=int, default=10, help="show every N-th frame on the sheets (default: %(default)s)"
    )
    parser.add_argument("--engine", default="auto", help="auto, blend or neural (default: %(default)s)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or openvino (default: %(default)s)")
    parser.add_argument("--judge", default="dlib", help="as for reliableswap evaluate (default: %(default)s)")
    parser.add_argument("--alone", action="store_true", help="also swap without steadying, for comparison")
    options = parser.parse_args()
    steadied = {"swapped": True, **({"alone": False} if options.alone else {})}
    folders = {name: options.output / name for name in ("cut", "sheets", *steadied)}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    pipe = ReliableSwapPipeline.bundled().on(options.device)
    rows: list[tuple[str, Path, Path]] = []
    for number, clip in enumerate(options.clips):
        source = photo_of(PEOPLE[number % len(PEOPLE)])
        name = f"{clip.stem}.mp4"
        before = folders["cut"] / name
        cut(clip, before, options.frames)
        try:
            for folder, steady in steadied.items():
                report = swap(pipe, source, before, folders[folder] / name, options.engine, steady)
                counts = f"{report['frames_swapped']} of {report['frames']} frames"
                print(f"{clip.name}, {folder}: {counts}", flush=True)
        except ReliableSwapError as error:  # such as a refusal by a gate
            print(f"{clip.name}: {error}", flush=True)
            continue
        sheet(pipe, before, folders["swapped"] / name, folders["sheets"] / f"{clip.stem}.png", options.every)
        rows.append((clip.stem, source.resolve(), before.resolve()))
    if not rows:
        raise SystemExit("no clip could be swapped")
    table = options.output / "clips.tsv"
    with table.open("w", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t")
        writer.writerows([("name", "source", "target"), *rows])
    outputs = chain.from_iterable(("--outputs", f"{name}={folders[name]}") for name in steadied)
    command = [
        sys.executable, "-m", "reliableswap", "evaluate", "--protocol", "video", "--faces", str(table), *outputs,
        "--frames", "0", "--judge", options.judge, "--features", "none",
        "-o", str(options.output / "report"), "--overwrite",
    ]  # fmt: skip
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
