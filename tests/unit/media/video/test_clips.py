"""A clip taken through reader, segments and joiner keeps its frames, times, sound and everything else."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from support.clips import RATE, Made, moving, packets, pictures, rewritten, stamps

from reliableswap.errors import ClipError
from reliableswap.media.video.info import probe
from reliableswap.media.video.join import check_streams
from reliableswap.media.video.reader import ClipReader

STEP = 512  # in units of 1/12800 s: 25 frames a second


def close(one: list[np.ndarray], other: list[np.ndarray], limit: float = 4) -> bool:
    """Whether frames agree to within the encoding error."""
    return len(one) == len(other) and all(
        np.abs(a.astype(int) - b).mean() < limit for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("extension", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("count", [1, 2, 23])
def test_frames_and_times_stay(tmp_path: Path, extension: str, count: int) -> None:
    base = Fraction(1, 1000) if extension == ".mkv" else Fraction(1, 12800)
    source = Made(moving(count), time_base=base).write(tmp_path / f"a{extension}")
    target = tmp_path / f"b{extension}"
    rewritten(source, target)
    assert stamps(target) == stamps(source)
    assert len(stamps(source)) == count
    assert close(pictures(target), pictures(source))


def test_variable_frame_rate_and_the_last_frame_s_duration_stay(tmp_path: Path) -> None:
    pts = [0, 512, 700, 5000, 5001, 9000, 20000, 20512, 21000, 30000, 31000, 44444]
    source = Made(moving(len(pts)), pts).write(tmp_path / "a.mp4")
    rewritten(source, tmp_path / "b.mp4", per_segment=5)
    assert stamps(tmp_path / "b.mp4") == [Fraction(one, 12800) for one in pts]
    assert probe(tmp_path / "b.mp4").length == probe(source).length


def test_time_stamps_of_eight_hours_stay(tmp_path: Path) -> None:
    begin = 8 * 3600 * 90000
    pts = [begin + 3600 * number for number in range(6)] + [begin + 9 * 3600 * 90000]
    source = Made(moving(7), pts, Fraction(1, 90000), sound=False).write(tmp_path / "a.mp4")
    assert stamps(source)[0] == 8 * 3600
    rewritten(source, tmp_path / "b.mp4", per_segment=3)
    assert stamps(tmp_path / "b.mp4") == stamps(source)


@pytest.mark.parametrize("extension", [".mp4", ".mkv"])
def test_sound_is_copied_byte_for_byte(tmp_path: Path, extension: str) -> None:
    source = Made(moving(30), sound=True).write(tmp_path / f"a{extension}")
    joined = rewritten(source, tmp_path / f"b{extension}")
    before, after = packets(source, "audio"), packets(tmp_path / f"b{extension}", "audio")
    assert joined.copied == ("audio (aac)",)
    assert before == after
    assert len(before[0]) > 40
    assert stamps(tmp_path / f"b{extension}") == stamps(source)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_rotation_is_undone_for_reading_and_written_back(tmp_path: Path, rotation: int) -> None:
    frames = moving(3, 64, 96)
    frames[0][:16, :24] = (255, 0, 0)  # the stored picture's upper left corner
    source = Made(frames, rotation=rotation).write(tmp_path / "a.mp4")
    rewritten(source, tmp_path / "b.mp4")
    for path in (source, tmp_path / "b.mp4"):
        info = probe(path)
        upright = next(ClipReader(info).frames()).rgb
        assert (info.height, info.width) == ((96, 64) if rotation % 180 else (64, 96))
        turned = np.rot90(frames[0], rotation // 90)  # counter-clockwise, as PyAV counts
        assert np.abs(upright.astype(int) - turned).mean() < 6
    assert pictures(tmp_path / "b.mp4")[0].shape == (64, 96, 3)


@pytest.mark.parametrize("size", [(63, 95), (64, 95), (63, 96)])
def test_odd_sizes_stay(tmp_path: Path, size: tuple[int, int]) -> None:
    source = Made(moving(4, *size), pix_fmt="yuv444p").write(tmp_path / "a.mp4")
    rewritten(source, tmp_path / "b.mp4")
    assert pictures(tmp_path / "b.mp4")[0].shape == (*size, 3)
    with pytest.raises(ClipError, match="odd size"):
        rewritten(source, tmp_path / "c.mp4", encoder="av1")


def test_an_odd_size_with_subsampled_chroma_gets_full_chroma(tmp_path: Path) -> None:
    source = Made(moving(4, 63, 95), codec="mpeg4", options={"qscale": "2"}).write(tmp_path / "a.mp4")
    rewritten(source, tmp_path / "b.mp4")
    info = probe(tmp_path / "b.mp4")
    assert (info.height, info.width, info.pixel_format) == (63, 95, "yuv444p")
    assert close(pictures(tmp_path / "b.mp4"), pictures(source))


def test_colour_tags_pixel_aspect_chapters_and_metadata_stay(tmp_path: Path) -> None:
    tags = {"color_range": 1, "color_primaries": 9, "color_trc": 14, "colorspace": 9}
    chapters = [
        {"id": 1, "start": 0, "end": 500, "time_base": Fraction(1, 1000), "metadata": {"title": "One"}},
        {"id": 2, "start": 500, "end": 900, "time_base": Fraction(1, 1000), "metadata": {"title": "Two"}},
    ]
    made = Made(
        moving(25),
        colour=tags,
        aspect=Fraction(4, 3),
        chapters=chapters,
        metadata={"title": "A clip"},
        sound=True,
    )
    for extension in (".mp4", ".mkv"):
        source = made.write(tmp_path / f"a{extension}")
        target = tmp_path / f"b{extension}"
        rewritten(source, target)
        before, after = probe(source), probe(target)
        assert after.colour == before.colour
        assert after.colour.primaries == 9
        assert after.pixel_aspect == Fraction(4, 3)
        import av

        with av.open(str(source)) as one, av.open(str(target)) as other:
            assert other.metadata["title"] == "A clip"
            titles = [[chapter["metadata"]["title"] for chapter in file.chapters()] for file in (one, other)]
            assert titles == [["One", "Two"]] * 2
            assert [stream.type for stream in one.streams] == [stream.type for stream in other.streams]


def test_attachments_stay_and_mp4_reports_leaving_them_out(tmp_path: Path) -> None:
    import av

    source = Made(moving(5), attachment=b"font" * 99).write(tmp_path / "a.mkv")
    joined = rewritten(source, tmp_path / "b.mkv")
    with av.open(str(tmp_path / "b.mkv")) as file:
        attached = [stream for stream in file.streams if stream.type == "attachment"]
        assert [stream.data for stream in attached] == [b"font" * 99]
    assert any("attachment" in one for one in joined.copied)
    joined = rewritten(source, tmp_path / "c.mp4")
    assert any("attachment" in one for one in joined.left_out)


@pytest.mark.parametrize(("encoder", "codec"), [("auto", "h264"), ("h265", "hevc"), ("av1", "av1")])
def test_ten_bits_stay_ten_bits(tmp_path: Path, encoder: str, codec: str) -> None:
    source = Made(moving(6), pix_fmt="yuv420p10le").write(tmp_path / "a.mp4")
    rewritten(source, tmp_path / "b.mp4", encoder=encoder)
    info = probe(tmp_path / "b.mp4")
    assert info.depth == 10
    assert info.codec in (codec, "libdav1d")
    assert stamps(tmp_path / "b.mp4") == stamps(source)
    assert close(pictures(tmp_path / "b.mp4"), pictures(source))


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_refused(tmp_path: Path, transfer: int, name: str) -> None:
    tags = {"color_primaries": 9, "color_trc": transfer, "colorspace": 9}
    source = Made(moving(2), pix_fmt="yuv420p10le", colour=tags).write(tmp_path / "a.mp4")
    with pytest.raises(ClipError, match=name):
        probe(source).check()


def test_a_part_begins_at_zero_and_keeps_its_sound(tmp_path: Path) -> None:
    from support.clips import read_times

    from reliableswap.media.video.encoders import Encoding
    from reliableswap.media.video.join import Segment, join
    from reliableswap.media.video.segment import SegmentWriter

    source = Made(moving(50), sound=True).write(tmp_path / "a.mp4")
    info = probe(source)
    reader = ClipReader(info)
    times = read_times(reader).part(13, 38)
    encoding = Encoding.choose("auto", 90, info, reader.colours)
    with SegmentWriter(tmp_path / "s.mkv", encoding, info, reader.colours, 25) as writer:
        for frame in reader.frames_of(times):
            writer.write(reader.with_changes(frame, frame.rgb, [], None))
    join(
        [Segment(tmp_path / "s.mkv", 25)],
        tmp_path / "b.mp4",
        info,
        times,
        encoding.encoder,
        cut=True,
        from_zero=True,
    )
    assert stamps(tmp_path / "b.mp4") == [Fraction(number, RATE) for number in range(25)]
    assert close(pictures(tmp_path / "b.mp4"), pictures(source)[13:38])
    kept = packets(tmp_path / "b.mp4", "audio")[0]
    whole = dict(packets(source, "audio")[0])
    assert 41 <= len(kept) <= 44
    assert all(content in whole.values() for _, content in kept)
    first = next(stamp for stamp, content in whole.items() if content == kept[0][1])
    assert abs(first - Fraction(13, RATE) - kept[0][0]) <= Fraction(1, 44100)


@pytest.mark.parametrize("begin", [0, 1, 7, 8, 9, 23, 39])
def test_reading_from_any_frame_gives_the_same_pixels(tmp_path: Path, begin: int) -> None:
    options = {"crf": "20", "preset": "medium", "bf": "3"}
    source = Made(moving(40), options=options, gop=12).write(tmp_path / "a.mp4")
    reader = ClipReader(probe(source))
    whole = list(reader.frames())
    part = list(reader.frames(whole[begin].pts))
    assert [frame.pts for frame in part] == [frame.pts for frame in whole[begin:]]
    assert all(np.array_equal(a.rgb, b.rgb) for a, b in zip(part, whole[begin:], strict=True))


def test_only_changed_regions_are_written(tmp_path: Path) -> None:
    source = Made(moving(2, 64, 96)).write(tmp_path / "a.mp4")
    reader = ClipReader(probe(source))
    frame = next(reader.frames())
    after = frame.rgb.copy()
    after[20:41, 31:62] = (220, 60, 90)
    before = frame.stored.to_ndarray()
    changed = reader.with_changes(frame, after, [(31, 20, 62, 41)], None)
    planes = changed.to_ndarray()
    luma = planes[:64] != before[:64]
    assert luma[20:41, 31:62].any()
    luma[20:41, 31:62] = False
    assert not luma.any()
    shown = changed.to_ndarray(format="rgb24")
    assert np.abs(shown[24:38, 36:58].astype(int) - (220, 60, 90)).max() <= 4


def test_errors_on_wrong_files_say_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("This is no clip. " * 50)
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "picture.mp4").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200))
    for name, said in (
        ("text.mp4", "not a clip"),
        ("empty.mp4", "is empty"),
        ("picture.mp4", "not a clip"),
        ("none.mp4", "no file"),
    ):
        with pytest.raises(ClipError, match=said):
            probe(tmp_path / name)
    with pytest.raises(ClipError, match="folder"):
        probe(tmp_path)


def test_a_truncated_clip_is_reported_and_its_good_part_can_be_read(tmp_path: Path) -> None:
    whole = Made(moving(100, 192, 256), time_base=Fraction(1, 1000)).write(tmp_path / "a.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    reader = ClipReader(probe(tmp_path / "cut.mkv"))
    with pytest.raises(ClipError, match="truncated"):
        list(reader.frames())
    assert len(list(reader.frames(None, 1000))) == 25
    mp4 = Made(moving(30)).write(tmp_path / "a.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(mp4[: len(mp4) // 2])
    with pytest.raises(ClipError, match="not a clip that can be read"):
        probe(tmp_path / "cut.mp4")


def test_a_container_that_cannot_hold_the_sound_is_refused(tmp_path: Path) -> None:
    import av

    with av.open(str(tmp_path / "a.mkv"), "w") as out:
        stream = out.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        subtitle = out.add_stream("ass")
        subtitle.codec_context.subtitle_header = b"[Script Info]\n"
        for image in moving(3, 64, 64):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        out.mux(stream.encode(None))
    info = probe(tmp_path / "a.mkv")
    check_streams(info, tmp_path / "b.mkv")
    with pytest.raises(ClipError, match="name the output"):
        check_streams(info, tmp_path / "b.mp4")


def test_subtitles_are_copied(tmp_path: Path) -> None:
    import av

    with av.open(str(tmp_path / "a.mkv"), "w") as out:
        stream = out.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        said = out.add_mux_stream("subrip", time_base=Fraction(1, 1000))
        said.metadata["language"] = "deu"
        for image in moving(30, 64, 64):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        out.mux(stream.encode(None))
        for begin, text in ((100, b"Guten Tag"), (700, b"Ende")):
            packet = av.Packet(text)
            packet.stream, packet.time_base, packet.duration = said, Fraction(1, 1000), 300
            packet.pts = packet.dts = begin
            out.mux(packet)
    rewritten(tmp_path / "a.mkv", tmp_path / "b.mkv")
    assert packets(tmp_path / "b.mkv", "subtitle") == packets(tmp_path / "a.mkv", "subtitle")
    assert [text for _, text in packets(tmp_path / "b.mkv", "subtitle")[0]] == [b"Guten Tag", b"Ende"]
    with av.open(str(tmp_path / "b.mkv")) as file:
        assert file.streams.subtitles[0].metadata["language"] == "deu"
