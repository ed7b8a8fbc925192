"""Read a clip's frames in order, upright and in RGB, from any time on."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import cv2
import numpy as np

from reliableswap.errors import ClipError

from .colour import Box, Colours
from .info import ClipInfo, picture_stream
from .library import clip_errors, open_clip
from .times import FrameTimes

_TOLERANCE = Fraction(1, 2)  # seconds: containers round lengths, and include longer sound
# Frames before the wanted one to seek to, tried in turn: a key frame may need earlier frames, and some containers seek
# past the target.
_RUN_UPS = (12, 48, 192, 768)


@dataclass(eq=False)
class ClipFrame:
    """A frame as read. pts, duration: in the clip's time base. rgb (H,W,3) uint8, upright. stored: PyAV's frame."""

    pts: int
    duration: int
    rgb: np.ndarray
    stored: Any


class ClipReader:
    """Reads one clip; every iteration opens the file anew, so that several can run at the same time.

    Frames without a timestamp (some AVI files) get one from their number.
    """

    def __init__(self, info: ClipInfo) -> None:
        self.info, self.colours = info, Colours.of(info)
        self._grey: np.ndarray | None = None  # the `grey` that `with_changes` added last, and its steps
        self._steps = np.zeros((0, 0), np.int16)

    def frames(self, begin: int | None = None, end: int | None = None) -> Iterator[ClipFrame]:
        """Yield the frames with begin <= pts < end; None stands for the clip's own beginning and end.

        Raise ClipError for a clip that ends earlier than its container states, or that fails to decode on the way.
        """
        for pts, duration, frame in self._stored(begin, end):
            yield self._frame(pts, duration, frame)

    def _stored(self, begin: int | None, end: int | None) -> Iterator[tuple[int, int, Any]]:
        """Yield (pts, duration, frame) of the same frames as `frames`, as they are stored."""
        decoded = self._decoded_before(begin)
        try:
            for pts, duration, frame in decoded:
                if end is not None and pts >= end:
                    return
                if begin is None or pts >= begin:
                    yield pts, duration, frame
        finally:
            decoded.close()

    def _decoded_before(self, begin: int | None) -> Generator[tuple[int, int, Any], None, None]:
        """Yield (pts, duration, frame) from the wanted frame or an earlier one on."""
        if begin is not None and self.info.first_pts is not None and begin > self.info.first_pts:
            for run_up in _RUN_UPS:
                decoded = self._decoded(begin, run_up)
                try:
                    first = next(decoded, None)
                    if first is not None and first[0] <= begin:
                        yield first
                        yield from decoded
                        return
                finally:
                    decoded.close()
        yield from self._decoded(None)

    def _frame(self, pts: int, duration: int, frame: Any) -> ClipFrame:
        rgb = self.info.orientation.upright(self.colours.to_rgb(frame))
        return ClipFrame(pts, duration, rgb, frame)

    def _decoded(self, begin: int | None, run_up: int = 0) -> Generator[tuple[int, int, Any], None, None]:
        """Yield (pts, duration, frame) with rising timestamps, from `run_up` frames before the timestamp `begin` on."""
        info = self.info
        step = max(1, round(1 / (info.rate * info.time_base)))
        with open_clip(info.path) as container, clip_errors(info.name, "read"):
            stream = picture_stream(container)
            stream.thread_type = "AUTO"
            if begin is not None:
                place = max(begin - run_up * step, info.first_pts or 0)
                container.seek(place, stream=stream, backward=True)
            last: int | None = None
            duration = step
            for frame in container.decode(stream):
                height, width = info.stored_size
                if (frame.height, frame.width) != (height, width):
                    raise ClipError(
                        f"{info.name} changes its frame size from {width}x{height} to {frame.width}x{frame.height}; "
                        "split it there"
                    )
                pts = info.stamp(frame)
                if pts is None:
                    pts = (info.first_pts or 0) if last is None else last + step
                if last is not None and pts <= last:
                    if begin is not None and pts < last:  # out of order right after a seek
                        continue
                    pts = last + 1
                last, duration = pts, int(frame.duration or step)
                yield pts, duration, frame
            self._check_end(last, step, duration)

    def _check_end(self, last: int | None, step: int, duration: int) -> None:
        """Raise if the clip ended early. duration: of the last frame, which may be shown for long."""
        info = self.info
        if last is None or info.length is None:
            return
        end = (last - (info.first_pts or 0) + max(step, duration)) * info.time_base
        if end < info.length - max(_TOLERANCE, 3 * step * info.time_base):
            raise ClipError(
                f"{info.name} is truncated: its frames end after {float(end):.1f} of {float(info.length):.1f} s; get "
                f"an intact copy, or take a part with end={float(end):.1f}"
            )

    def frames_at(self, numbers: Sequence[int], times: FrameTimes) -> Iterator[tuple[int, ClipFrame]]:
        """Yield (number, frame) for rising numbers of frames; decode only what is near them."""
        waiting = list(numbers)
        near = max(_RUN_UPS[1], round(float(self.info.rate) * 2))
        while waiting:
            run = [waiting.pop(0)]
            while waiting and waiting[0] - run[-1] <= near:
                run.append(waiting.pop(0))
            wanted = {int(times.pts[number]): number for number in run}
            found = 0
            stored = self._stored(int(times.pts[run[0]]), int(times.pts[run[-1]]) + 1)
            for pts, duration, frame in stored:
                if pts in wanted:
                    found += 1
                    yield wanted[pts], self._frame(pts, duration, frame)
            if found != len(run):
                raise ClipError(
                    f"{self.info.name} no longer matches the first reading; was the file changed?"
                )

    def frames_of(self, times: FrameTimes) -> Iterator[ClipFrame]:
        """Yield exactly the frames of these times."""
        number = 0
        for frame in self.frames(int(times.pts[0]), int(times.pts[-1]) + 1):
            if number >= len(times) or frame.pts != times.pts[number]:
                break
            number += 1
            yield frame
        if number != len(times):
            raise ClipError(f"{self.info.name} no longer matches the first reading; was the file changed?")

    def with_changes(
        self, frame: ClipFrame, after: np.ndarray, boxes: Sequence[Box], grey: np.ndarray | None
    ) -> Any:
        """Add to PyAV's frame what changed from `frame.rgb` to `after` (H,W,3) inside the boxes, and `grey`; return it.

        boxes: upright, inside the picture. grey (H,W) float32: a change of all three channels, or None. An array that
        is passed again must hold the same values.
        """
        stored = self.colours.planes(frame.stored)
        height, width = after.shape[:2]
        turn = self.info.orientation
        stored.make_writable()
        for box in _merge_touching(boxes):
            x0, y0, x1, y1 = self._whole_samples(box, height, width)
            change = cv2.subtract(after[y0:y1, x0:x1], frame.rgb[y0:y1, x0:x1], dtype=cv2.CV_16S)
            self.colours.add(stored, turn.stored(change), turn.stored_box((x0, y0, x1, y1), height, width))
        if grey is not None:
            if grey is not self._grey:  # a watermark is the same for several frames
                self._grey, self._steps = grey, self.colours.grey_steps(turn.stored(grey))
            self.colours.add_grey(stored, self._steps)
        return stored

    def _whole_samples(self, box: Box, height: int, width: int) -> Box:
        """The box, enlarged to whole chroma samples of the stored picture."""
        turn = self.info.orientation
        stored = self.colours.whole_samples(turn.stored_box(box, height, width), *self.info.stored_size)
        return turn.displayed_box(stored, *self.info.stored_size)


def _merge_touching(boxes: Sequence[Box]) -> list[Box]:
    """Merge boxes that share pixels, or may do so on whole chroma samples: a change must be added only once."""
    apart: list[Box] = []
    for box in boxes:
        x0, y0, x1, y1 = box
        while True:
            touching = next(
                (b for b in apart if b[0] < x1 + 2 and x0 < b[2] + 2 and b[1] < y1 + 2 and y0 < b[3] + 2),
                None,
            )
            if touching is None:
                break
            apart.remove(touching)
            x0, y0 = min(x0, touching[0]), min(y0, touching[1])
            x1, y1 = max(x1, touching[2]), max(y1, touching[3])
        apart.append((x0, y0, x1, y1))
    return apart
