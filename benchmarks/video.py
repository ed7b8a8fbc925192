"""Measure how many frames per second a clip is swapped at, where the time goes, and whether memory grows with length.

    python benchmarks/video.py --device openvino
    python benchmarks/video.py --size 1920x1080 --faces 4 --engine blend neural
    python benchmarks/video.py --memory

The clips are made here: portraits of people who do not exist sway and nod, at 25 frames per second. Whole: from the
call to the signed file. Second pass: from the first swapped frame to the last, the rate that a longer clip approaches.
Stages are the milliseconds per frame that each part of the work was busy; parts overlap. CPU: time of all threads, from
the call to the signed file, and in the second pass, with the number of cores that it kept busy.

--memory compares the peak of a process that swaps a clip of ten seconds with that of one that swaps five minutes. Both
clips are small, with ten frames per second, and show a face half of the time.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import torch
from people import PEOPLE, photo_of
from PIL import Image

from reliableswap import ReliableSwapPipeline
from reliableswap.pipelines.video import VideoResult

RATE, MEMORY_RATE = 25, 10  # frames per second
CONSENT = "These people do not exist."


def write_clip(
    path: Path,
    frames: int,
    size: tuple[int, int],
    faces: int,
    share: float,
    loop: int,
    rate: int = RATE,
    shown: Callable[[int], bool] = lambda number: True,
) -> None:
    """Write a clip of `frames` frames, `loop` of them different. size: width, height. share: a face's height, of the
    frame's. shown: whether a frame, by its number, shows the people."""
    width, height = size
    photos = []
    for person in PEOPLE[:faces]:
        with Image.open(photo_of(person)) as image:
            scale = min(2 * share * height / image.height, width / faces / image.width)
            side = (round(image.width * scale), round(image.height * scale))
            photos.append(np.asarray(image.convert("RGB").resize(side)))
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("libx264", rate=rate, options={"crf": "16", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            picture = _picture(photos if shown(number) else [], number % loop, size)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def _picture(photos: list[np.ndarray], number: int, size: tuple[int, int]) -> np.ndarray:
    """(H,W,3) uint8 the people beside each other, swaying out of step."""
    width, height = size
    picture = np.full((height, width, 3), (96, 104, 112), np.uint8)
    for place, photo in enumerate(photos):
        time_ = number + 7 * place
        middle = photo.shape[1] / 2, photo.shape[0] / 2
        matrix = cv2.getRotationMatrix2D(middle, 3 * np.sin(time_ / 9), 1.0)
        column = width * (place + 0.5) / len(photos)
        matrix[:, 2] += np.array([column, height / 2]) - middle
        matrix[:, 2] += height * np.array([0.03 * np.sin(time_ / 13), 0.015 * np.sin(time_ / 7)])
        cv2.warpAffine(photo, matrix, size, dst=picture, borderMode=cv2.BORDER_TRANSPARENT)
    return picture


@dataclass(frozen=True)
class Speed:
    """Frames per second of a whole run and of its second pass, and that pass's CPU milliseconds per frame."""

    whole: float
    second: float
    cpu: float


def swap_once(
    pipe: ReliableSwapPipeline, clip: Path, output: Path, engine: Any
) -> tuple[Speed, dict[str, Any]]:
    """Swap a clip; return how fast the run was, and its report."""
    began, swapping, working = time.perf_counter(), list[float](), list[float]()
    report: dict[str, Any] = {}
    for step in pipe.video(
        photo_of(PEOPLE[-1]), clip, output, people="all", engine=engine, consent=CONSENT, overwrite=True
    ):
        if isinstance(step, VideoResult):
            report = dict(step.report)
        elif step.stage == "swap":
            swapping.append(time.perf_counter())
            working.append(time.process_time())
    whole, passed = report["frames"] / (time.perf_counter() - began), len(swapping) - 1
    second, cpu = passed / (swapping[-1] - swapping[0]), 1e3 * (working[-1] - working[0]) / passed
    return Speed(whole, second, cpu), report


def measure_speed(options: argparse.Namespace, folder: Path) -> None:
    """Print a block for each engine."""
    size = tuple(map(int, options.size.split("x")))
    clip = folder / "clip.mp4"
    write_clip(clip, options.frames, size, options.faces, options.share, options.frames)
    pipe = ReliableSwapPipeline.bundled().on(options.device)
    print(f"{options.size}, {options.frames} frames, {options.faces} faces, device {pipe.place}", flush=True)
    for engine in options.engine:
        swap_once(pipe, clip, folder / "warm.mp4", engine)
        speeds, works = list[Speed](), list[float]()
        stages, report = defaultdict[str, list[float]](list), dict[str, Any]()
        for _ in range(options.repeats):
            work = time.process_time()
            speed, report = swap_once(pipe, clip, folder / "out.mp4", engine)
            works.append(1e3 * (time.process_time() - work) / report["frames"])
            speeds.append(speed)
            for stage, spent in report["stages"].items():
                stages[stage].append(1e3 * spent / report["frames"])
        print(f"{report['engine']}: swapped {report['frames_swapped']} of {report['frames']} frames")
        whole = statistics.median(speed.whole for speed in speeds)
        second = statistics.median(speed.second for speed in speeds)
        cpu = statistics.median(speed.cpu for speed in speeds)
        print(f"  frames per second: whole {whole:.1f}, second pass {second:.1f}")
        print(f"  CPU: whole {statistics.median(works):.0f} ms per frame, second pass {cpu:.0f} ms, ", end="")
        print(f"{cpu * second / 1e3:.2f} cores busy")
        medians = {stage: statistics.median(spent) for stage, spent in stages.items()}
        shown = ", ".join(f"{s} {ms:.1f}" for s, ms in sorted(medians.items(), key=lambda pair: -pair[1]))
        print(f"  milliseconds per frame: {shown}", flush=True)


def measure_memory(options: argparse.Namespace, folder: Path) -> None:
    """Print the peaks of a short and a long clip, each swapped by a process of its own."""
    peaks = []
    for name, seconds in (("short", 10), ("long", options.seconds)):
        clip, frames = folder / f"{name}.mp4", seconds * MEMORY_RATE
        write_clip(clip, frames, (160, 120), 1, 0.5, 100, MEMORY_RATE, lambda number: number % 100 < 50)
        command = [sys.executable, __file__, "--peak", str(clip), "--device", options.device]
        made = subprocess.run(command, capture_output=True, text=True)
        if made.returncode:
            sys.exit(made.stderr)
        peaks.append(float(made.stdout.split()[-1]))
        print(f"{name}: {seconds} s, {frames} frames, peak {peaks[-1]:.0f} MB", flush=True)
    print(f"the long clip's peak differs by {100 * (peaks[1] / peaks[0] - 1):+.1f} % (goal: within 10 %)")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="1280x720", metavar="WxH")
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--faces", type=int, default=1)
    parser.add_argument(
        "--share", type=float, default=0.4, help="height of a face, as a share of the frame's"
    )
    parser.add_argument("--engine", nargs="+", default=["auto"], help="auto, blend, neural")
    parser.add_argument("--device", default="cpu", help="cpu, openvino, onnx, cuda")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, help="PyTorch threads")
    parser.add_argument("--memory", action="store_true", help="measure memory instead of speed")
    parser.add_argument("--seconds", type=int, default=300, help="length of the long clip, with --memory")
    parser.add_argument("--peak", type=Path, help=argparse.SUPPRESS)  # swap this clip, print the peak
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        if options.peak:
            pipe = ReliableSwapPipeline.bundled().on(options.device)
            swap_once(pipe, options.peak, Path(folder) / "out.mp4", "blend")
            # Kilobytes on Linux, bytes on macOS.
            unit = 1e6 if sys.platform == "darwin" else 1e3
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)
        elif options.memory:
            measure_memory(options, Path(folder))
        else:
            measure_speed(options, Path(folder))


if __name__ == "__main__":
    main()
