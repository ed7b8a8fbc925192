"""A segment: a closed group of pictures in a file of its own."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from reliableswap.errors import ClipError
from reliableswap.media.atomic import atomic_path

from .colour import Colours
from .encoders import Encoding
from .info import ClipInfo
from .library import clip_errors, open_clip, pyav


class SegmentWriter:
    """Encodes frames into a file, written atomically; use it in a `with` statement.

    Frames are numbered, not timed: the joined clip takes its timestamps from the original.
    """

    def __init__(
        self, path: Path, encoding: Encoding, info: ClipInfo, colours: Colours, key_interval: int
    ) -> None:
        self.path, self.written = path, 0
        self._encoding, self._info, self._colours, self._key_interval = encoding, info, colours, key_interval
        self._stack = ExitStack()

    def __enter__(self) -> SegmentWriter:
        with ExitStack() as stack:
            stack.enter_context(clip_errors(self.path.name, "written"))
            draft = stack.enter_context(atomic_path(self.path, overwrite=True))
            self._container: Any = stack.enter_context(pyav().open(str(draft), "w", format="matroska"))
            self._stream = self._encoding.add_stream(
                self._container, self._info, self._colours, self._key_interval
            )
            self._stack = stack.pop_all()
        return self

    def write(self, frame: Any) -> None:
        """Encode a PyAV frame in the clip's working format."""
        target = self._stream.pix_fmt
        if frame.format.name.replace("yuvj", "yuv") != target:
            frame = frame.reformat(format=target)
        frame.pts, frame.time_base = self.written, 1 / self._info.rate
        frame.pict_type = 0  # the encoder chooses: drop the original's frame type
        self.written += 1
        self._container.mux(self._stream.encode(frame))

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool | None:
        """Write the frames that the encoder still holds, and give the file its name; after an error, leave no file."""
        with ExitStack() as stack:
            stack.push(self._stack.pop_all())
            if error is None:
                self._container.mux(self._stream.encode(None))
                return None
            # Closing flushes to a draft that is thrown away; an error there would hide the original one.
            with suppress(Exception):
                self._container.close()
            return stack.pop_all().__exit__(kind, error, trace)


def packets_of(path: Path, frames: int) -> list[Any]:
    """Read a segment's packets, one per frame in time order; raise unless there are `frames` of them."""
    with open_clip(path) as container, clip_errors(path.name, "read"):
        packets = [packet for packet in container.demux(container.streams.video[0]) if packet.size]
    stamps = [packet.pts for packet in packets]
    if len(packets) != frames or sorted(stamps) != stamps or not packets[0].is_keyframe:
        raise ClipError(
            f"the segment {path.name} is damaged: it has {len(packets)} of {frames} frames; delete it and run again"
        )
    return packets
