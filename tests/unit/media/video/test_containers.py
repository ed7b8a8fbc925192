"""Containers with unusual timestamps, frame rates and seeking."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from support.clips import moving, read_times

from reliableswap.errors import ClipError
from reliableswap.media.video.colour import Colours
from reliableswap.media.video.info import probe
from reliableswap.media.video.reader import ClipReader


def written(
    path: Path,
    count: int,
    codec: str = "libx264",
    base: Fraction = Fraction(1, 25),
    pts: list[int] | None = None,
    last: int | None = None,
    between: int = 0,
    pix_fmt: str = "yuv420p",
) -> Path:
    """Write a clip.

    pts: timestamps in `base`, for streams without B-frames. last: duration of the last frame. between: most B-frames
    in a row.
    """
    options = {"preset": "ultrafast"} if codec == "libx264" else {}
    with av.open(str(path), "w") as out:
        video = out.add_stream(codec, rate=25, options=options)
        video.width, video.height, video.pix_fmt, video.time_base = 128, 96, pix_fmt, base
        context = video.codec_context
        context.time_base, context.gop_size, context.max_b_frames = base, 40, between
        packets = []
        for number, picture in enumerate(moving(count)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pix_fmt)
            frame.pts, frame.time_base = number * round(1 / (25 * base)), base
            packets += video.encode(frame)
        packets += video.encode(None)
        for packet, stamp in zip(packets, pts or [], strict=False):
            packet.pts = packet.dts = stamp
        if last is not None:
            packets[-1].duration = last
        for packet in packets:
            out.mux(packet)
    return path


def assert_parts_equal_a_full_read(path: Path, size: int) -> None:
    """Assert that every part of the clip, read by itself, equals those frames of a full read."""
    reader = ClipReader(probe(path))
    whole, times = [frame.rgb for frame in reader.frames()], read_times(reader)
    for begin in range(0, len(whole), size):
        end = min(begin + size, len(whole))
        part = [frame.rgb for frame in reader.frames_of(times.part(begin, end))]
        assert len(part) == end - begin
        assert all(map(np.array_equal, part, whole[begin:end]))


@pytest.mark.parametrize(("name", "between"), [("a.ts", 3), ("a.avi", 3), ("a.flv", 3), ("a.mkv", 3)])
def test_parts_can_be_read_from_any_frame(tmp_path: Path, name: str, between: int) -> None:
    assert_parts_equal_a_full_read(written(tmp_path / name, 100, between=between), 13)


def test_frames_with_equal_timestamps_are_read_alike_from_any_start(tmp_path: Path) -> None:
    stamps = [40 * number for number in range(50)]
    stamps[24] = stamps[23]
    path = written(tmp_path / "a.mkv", 50, "mjpeg", Fraction(1, 1000), stamps, pix_fmt="yuvj420p")
    assert_parts_equal_a_full_read(path, 4)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_long_last_frame_is_not_taken_for_damage(tmp_path: Path, name: str) -> None:
    stamps = [33 * number for number in range(20)]
    path = written(tmp_path / name, 20, base=Fraction(1, 1000), pts=stamps, last=3000)
    info = probe(path)
    assert info.length is not None
    assert info.length > 3.5
    assert len(list(ClipReader(info).frames())) == 20


def test_a_rate_that_the_container_does_not_state_is_measured(tmp_path: Path) -> None:
    stamps = [33 * number + 7 * number % 11 for number in range(90)]  # irregular, as from a camera
    path = written(tmp_path / "a.webm", 90, "libvpx", Fraction(1, 1000), stamps)
    content = path.read_bytes()
    place = content.index(b"\x23\xe3\x83")  # DefaultDuration, which browser recordings lack
    size = content[place + 3] & 0x7F
    void = bytes([0xEC, 0x80 | (2 + size)]) + bytes(2 + size)
    path.write_bytes(content[:place] + void + content[place + 4 + size :])
    assert float(probe(path).rate) == pytest.approx(1000 / 33, rel=0.02)


@pytest.mark.parametrize(("pix_fmt", "full"), [("yuv411p", False), ("yuv440p", False), ("bgr0", True)])
def test_only_rgb_is_taken_as_full_range_by_default(tmp_path: Path, pix_fmt: str, full: bool) -> None:
    path = written(tmp_path / "a.mkv", 2, "ffv1", pix_fmt=pix_fmt)
    assert Colours.of(probe(path)).full is full


def test_transparency_that_a_decoder_leaves_out_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.webm"
    with av.open(str(path), "w") as out:
        video = out.add_stream("libvpx-vp9", rate=25, options={"deadline": "realtime", "cpu-used": "8"})
        video.width, video.height, video.pix_fmt = 128, 96, "yuva420p"
        for picture in moving(3):
            frame = av.VideoFrame.from_ndarray(np.dstack([picture, picture[..., 0]]), format="rgba")
            out.mux(video.encode(frame.reformat(format="yuva420p")))
        out.mux(video.encode(None))
    with pytest.raises(ClipError, match="alpha channel"):
        probe(path).check()
