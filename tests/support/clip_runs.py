"""Clip swaps that test the wiring: real reading, segments, marks and joining, but painted instead of swapped faces.

As a program, `python -m support.clip_runs CLIP OUT SECONDS_PER_FRAME`, it starts runs for tests to kill.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np

from reliableswap.faces.track import ClipFaces, TrackedFace, TrackSmoother
from reliableswap.jobs.units import Executor
from reliableswap.media import Picture
from reliableswap.pipelines import clip_job, clip_passes, video
from reliableswap.pipelines.clip_nodes import Nodes
from reliableswap.pipelines.clip_swap import FrameSwapper, SwappedFrame
from reliableswap.pipelines.video import VideoProgress, VideoResult, VideoSettings, swap_clip
from reliableswap.provenance.origin import Origin
from reliableswap.provenance.record import Record
from reliableswap.safety import clip as clip_gates
from reliableswap.safety.age import AgeEstimate
from reliableswap.safety.gates import Gates
from reliableswap.swap.person import Person
from reliableswap.swap.settings import SwapSettings
from support.clips import StandingFaces

SOURCE = Picture(np.zeros((8, 8, 3), np.uint8), name="source")
BOX = (20, 16, 60, 64)  # of the first face; the second is 40 pixels to the right


ID = "urn:c2pa:2f6b1a52-3a0e-4b43-9f6c-0d5b1c2e7a11"  # the same for every run, and so are the watermarks


def mesh(left: int) -> np.ndarray:
    """(468,3) points in a box."""
    rng = np.random.default_rng(left)
    points = rng.uniform((left, BOX[1], 0), (left + 40, BOX[3], 1), (468, 3))
    points[0], points[1] = (left, BOX[1], 0), (left + 40, BOX[3], 1)
    return points.astype(np.float32)


class Run:
    """A clip swap with stubs in place of the networks.

    people: how many are in the clip. young: the numbers of those whom the age gate takes for minors. nude_target,
    nude_result: what the nudity gate objects to. pause: seconds per frame. stop_after: frames until an interrupt.
    """

    def __init__(
        self,
        *,
        people: int = 1,
        young: tuple[int, ...] = (),
        nude_target: bool = False,
        nude_result: bool = False,
        pause: float = 0.0,
        stop_after: int | None = None,
        identifier: str = ID,
    ) -> None:
        self.identifier = identifier
        self.people, self.young, self.pause, self.stop_after = people, young, pause, stop_after
        self.nude_target, self.nude_result = nude_target, nude_result
        self.swapped, self.passes, self.gates = 0, 0, Gates()
        self._steady: dict[FrameSwapper, TrackSmoother] = {}

    def __call__(
        self, clip: Path, output: Path, executor: Executor | None = None, **options: Any
    ) -> Iterator[VideoProgress | VideoResult]:
        """Run the swap. executor: makes the segments. options: of swap_clip."""
        pipe: Any = SimpleNamespace(
            choose_engine=lambda engine: "blend",
            networks=lambda: None,
            safety=self.gates,
            checksums=lambda: {"generator": ("Painted", "0" * 32)},
            place="cpu",
            analyser=SimpleNamespace(name="standing"),
        )
        settings = {
            "people": "first",
            "engine": "auto",
            "settings": SwapSettings(),
            "video": VideoSettings(segment=0.4),
            "consent": "Everybody agreed.",
            "overwrite": False,
            "signer": None,
            "nodes": None if executor is None else Nodes(executor, lambda: pipe),
            **options,
        }
        with ExitStack() as stack:
            for target, name, value in self._patches():
                stack.enter_context(patch.object(target, name, value))
            yield from swap_clip(pipe, SOURCE, clip, output, **settings)

    def result(self, clip: Path, output: Path, **options: Any) -> VideoResult:
        """Run to the end."""
        *_, last = self(clip, output, **options)
        assert isinstance(last, VideoResult)
        return last

    def _patches(self) -> list[tuple[Any, str, Any]]:
        nets = SimpleNamespace(score=self._score)
        ages = SimpleNamespace(estimate=lambda seen, **_: AgeEstimate(10.0 if seen in self.young else 40.0))
        return [
            (clip_passes, "find_faces", self._find),
            (clip_passes, "Subject", SimpleNamespace(around=lambda pixels, face, *_: self._person_at(face))),
            (FrameSwapper, "begin", lambda *_: []),
            (FrameSwapper, "__call__", lambda swapper, pixels, faces, _: self._swap(swapper, pixels, faces)),
            (clip_gates, "nudity_net", lambda: nets),
            (clip_gates, "age_nets", lambda: ages),
            (video, "Record", partial(Record, id=self.identifier, time="2026-01-01T00:00:00Z")),
            (
                clip_job,
                "person_of",
                lambda given, *_: Person(getattr(given, "name", given), (), (Origin("0" * 64),)),
            ),
        ]

    def _find(self, frames: Iterable[np.ndarray], networks: Any, *, progress: Any, **_: Any) -> ClipFaces:
        self.passes += 1
        count, size = 0, (0, 0)
        for count, pixels in enumerate(frames, 1):
            size = pixels.shape[:2]
            progress(count)
        return SavedFaces(count, size, [mesh(BOX[0] + 40 * number) for number in range(self.people)])

    def _person_at(self, face: Any) -> int:
        return 1 + round((float(face.box[0]) - BOX[0]) / 40)

    def _score(self, pixels: np.ndarray) -> float:
        painted = bool((np.abs(pixels.astype(int) - (250, 20, 20)).max(2) < 12).any())
        return 0.99 if self.nude_target or (self.nude_result and painted) else 0.0

    def _swap(self, swapper: FrameSwapper, pixels: np.ndarray, faces: Iterable[TrackedFace]) -> SwappedFrame:
        """Paint the face red, and one of its corners in a colour that depends on this frame and on those before it."""
        time.sleep(self.pause)
        if self.swapped == self.stop_after:
            raise KeyboardInterrupt
        self.swapped += 1
        result = SwappedFrame(pixels.copy())
        window = swapper.run_up + 1
        steady = self._steady.setdefault(swapper, TrackSmoother(window, half_life=window))
        for one in swapper.wanted(faces):
            x0, y0, x1, y1 = (int(v) for v in one.face.box)
            result.pixels[y0:y1, x0:x1] = (250, 20, 20)
            colour = steady(one.track, one.frame, pixels[:8, :8].mean((0, 1)))
            result.pixels[y0 : y0 + 8, x0 : x0 + 8] = colour.astype(np.uint8)
            result.changed.append((x0, y0, x1, y1))
            result.people[one.person] = one.face.box
        return result


class SavedFaces(StandingFaces):
    """Standing faces that can be saved to a file."""

    def save(self, path: Path, *, overwrite: bool = True) -> None:
        np.savez(path.with_suffix(""), meshes=self.meshes, size=self.size, frames=self.frames)


def main() -> None:
    """Run once per line of stdin, each time in a fork, which saves the imports.

    A run prints its process id, then the stage at every progress report, so that the reader can kill it at a chosen
    point. When it has ended, its exit status is printed.
    """
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                print(os.getpid(), flush=True)
                for step in Run(pause=float(sys.argv[3]))(Path(sys.argv[1]), Path(sys.argv[2])):
                    print(step.stage if isinstance(step, VideoProgress) else step.path, flush=True)
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        print("ended", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
