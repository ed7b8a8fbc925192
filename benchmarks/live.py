"""Measure how many frames per second the Live tab swaps at 640x480, without a browser.

python benchmarks/live.py --device openvino
python benchmarks/live.py --clip CLIP --engine blend

The frames show a portrait that sways and nods, or come from a clip, cropped and scaled to 640x480. Each arrives as the
JPEG that a browser sends and leaves as the JPEG that it receives, so all of the server's work is measured. The next
frame is taken as soon as the last one is done.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from people import PEOPLE, photo_of
from PIL import Image

from reliableswap import ReliableSwapPipeline
from reliableswap.pipelines.live import LiveSwap
from reliableswap.space.frames import decode_frame, encode_frame

WIDTH, HEIGHT = 640, 480
GOAL = 10.0
WARM_UP = 10  # frames


def moving_portrait(person: str, face_share: float) -> Iterator[np.ndarray]:
    """Yield frames (480,640,3) uint8 of a portrait that moves. face_share: approximate height of the face, of the
    frame's."""
    with Image.open(photo_of(person)) as image:
        photo = np.asarray(image.convert("RGB"))
    scale = face_share * HEIGHT / (0.5 * photo.shape[0])
    for number in itertools.count():
        turn = 3 * np.sin(number / 9)
        matrix = cv2.getRotationMatrix2D((photo.shape[1] / 2, photo.shape[0] / 2), turn, scale)
        matrix[:, 2] += np.array([WIDTH - photo.shape[1], HEIGHT - photo.shape[0]]) / 2
        matrix[:, 2] += (20 * np.sin(number / 13), 10 * np.sin(number / 7))
        yield cv2.warpAffine(
            photo, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
        )


def clip_frames(path: Path) -> Iterator[np.ndarray]:
    """Yield the frames of a clip, cropped to 4:3 and scaled, in an endless loop."""
    from reliableswap.media.video.info import probe
    from reliableswap.media.video.reader import ClipReader

    while True:
        for frame in ClipReader(probe(path)).frames():
            height, width = frame.rgb.shape[:2]
            cut = min(width, height * WIDTH // HEIGHT), min(height, width * HEIGHT // WIDTH)
            left, top = (width - cut[0]) // 2, (height - cut[1]) // 2
            piece = frame.rgb[top : top + cut[1], left : left + cut[0]]
            yield cv2.resize(piece, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--device", default="cpu", help="cpu, openvino, onnx, cuda")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--clip", type=Path, help="clip with a face to use instead of a moving portrait")
    parser.add_argument(
        "--face", type=float, default=0.45, help="height of the portrait's face, as a share of the frame's"
    )
    parser.add_argument("--threads", type=int, help="PyTorch threads")
    parser.add_argument("--save", type=Path, help="write the last frame to this file")
    parser.add_argument(
        "--pace",
        type=float,
        help="simulated frames per second, for profiles on a busy machine (default: real time)",
    )
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)

    pipe = ReliableSwapPipeline.bundled().on(options.device)
    live = LiveSwap(pipe, photo_of(PEOPLE[1]), engine=options.engine, consent="These people do not exist.")
    frames = clip_frames(options.clip) if options.clip else moving_portrait(PEOPLE[0], options.face)
    sent = [encode_frame(frame) for frame in itertools.islice(frames, options.frames + WARM_UP)]
    seconds, swapped, held_back = [], 0, 0
    profiler = None
    began, cpu_began = time.perf_counter(), time.process_time()
    for number, data in enumerate(sent):
        if number == WARM_UP:
            if options.profile:
                import cProfile

                profiler = cProfile.Profile()
                profiler.enable()
            began, cpu_began = time.perf_counter(), time.process_time()
        start = time.perf_counter()
        result = live(decode_frame(data), number / options.pace if options.pace else start)
        answer = None if result.pixels is None else encode_frame(result.pixels)
        if number >= WARM_UP:
            seconds.append(time.perf_counter() - start)
            swapped += result.swapped
            held_back += answer is None
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu_began
    if profiler is not None:
        import pstats

        profiler.disable()
        pstats.Stats(profiler).sort_stats("cumulative").print_stats(45)
    live.close()
    if options.save and result.pixels is not None:
        Image.fromarray(result.pixels).save(options.save)
    rate = len(seconds) / wall
    print(f"{rate:.1f} frames per second at {WIDTH}x{HEIGHT} (goal {GOAL:.0f}), device {pipe.place}")
    print(f"per frame: median {statistics.median(seconds) * 1e3:.0f} ms, maximum {max(seconds) * 1e3:.0f} ms")
    print(f"CPU time of all threads: {1e3 * cpu / len(seconds):.0f} ms per frame")
    print(f"swapped {swapped} of {len(seconds)} frames, held back {held_back}")


if __name__ == "__main__":
    main()
