"""Frames of a clip, by number."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from reliableswap.evaluation.protocols.video import FrameReader


@pytest.mark.parametrize("width", [64, 62])  # PyAV pads the rows of the second
def test_frames_are_whole_arrays_whatever_their_width(tmp_path: Path, width: int) -> None:
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, 48, "bgr0"
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(np.full((48, width, 3), 40 * number, np.uint8), format="rgb24")
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    reader = FrameReader(path)
    for number in (2, 0):
        frame = reader.read(number)
        assert frame.flags.c_contiguous
        np.testing.assert_array_equal(frame, np.full((48, width, 3), 40 * number))
