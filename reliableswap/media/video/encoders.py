"""Encoders of clips: which ones exist, and what "quality" means to each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reliableswap.errors import ClipError

from .colour import Colours
from .info import ClipInfo
from .library import pyav


@dataclass(frozen=True)
class Encoder:
    """One of FFmpeg's encoders.

    codec: what it writes. control: its option for constant quality. best, worst: that option's values at quality 100
    and 0. options: further options.
    """

    name: str
    codec: str
    control: str
    best: float
    worst: float
    options: Mapping[str, str]
    tag: str = ""  # the codec tag in MP4 that most players know
    only_420: bool = False
    depths: tuple[int, ...] = (8, 10)
    hardware: bool = False

    def control_value(self, quality: int) -> str:
        """The option's value for a quality of 1 to 100."""
        return f"{self.worst + (self.best - self.worst) * quality / 100:.4g}"


_X265 = {"x265-params": "log-level=error"}
# x264's mbtree gives different bytes from run to run on CPUs with AVX-512, but a resumed run must end the same.
# At quality 85, the default, software encoders are near crf 17 (H.264), which looks the same as the original.
ENCODERS = {
    "h264": Encoder("libx264", "h264", "crf", 11, 51, {"preset": "veryfast", "mbtree": "0"}, "avc1"),
    "h265": Encoder("libx265", "hevc", "crf", 13, 51, {"preset": "fast", **_X265}, "hvc1"),
    "av1": Encoder("libsvtav1", "av1", "crf", 16, 63, {"preset": "9"}, "av01", only_420=True),
}
for _codec, _key, _tag in (("h264", "h264", "avc1"), ("hevc", "h265", "hvc1"), ("av1", "av1", "av01")):
    _depths = (8,) if _codec == "h264" else (8, 10)
    for _maker, _control, _options in (
        ("nvenc", "cq", {"rc": "vbr", "preset": "p4"}),
        ("qsv", "global_quality", {"preset": "fast"}),
        ("amf", "qp_i", {"rc": "cqp"}),
        ("videotoolbox", "q", {}),
    ):
        ENCODERS[f"{_key}-{_maker}"] = Encoder(
            f"{_codec}_{_maker}", _codec, _control, 11, 51, _options, _tag, True, _depths, True
        )
_HARDWARE_FORMATS = {"yuv420p": "nv12", "yuv420p10le": "p010le"}
_BY_CODEC = {"h264": "h264", "hevc": "h265", "av1": "av1", "libdav1d": "av1"}


def available() -> list[str]:
    """Return the encoders of this PyAV. A hardware encoder may still lack its hardware."""
    return [name for name, one in ENCODERS.items() if _is_available(one)]


def _is_available(encoder: Encoder) -> bool:
    av = pyav()
    try:
        return bool(av.Codec(encoder.name, "w"))
    except (av.error.FFmpegError, ValueError):
        return False


@dataclass(frozen=True)
class Encoding:
    """How a clip is encoded. key: of ENCODERS. format: the frames' working format.

    threads: of the encoder, whose output depends on their number, so that cluster nodes use the caller's.
    """

    key: str
    quality: int
    format: str
    threads: int = field(default_factory=lambda: min(8, os.cpu_count() or 1))

    @classmethod
    def choose(cls, encoder: str, quality: int, info: ClipInfo, colours: Colours) -> Encoding:
        """Check a choice against a clip. "auto" is the clip's own codec if there is an encoder for it, else H.264."""
        if not 1 <= quality <= 100:
            raise ClipError(f"quality is {quality}; give 1 to 100")
        key = encoder
        if key == "auto":
            key = _BY_CODEC.get(info.codec, "h264")
            if ENCODERS[key].only_420 and not colours.format.startswith("yuv420"):
                key = "h264"
        if key not in ENCODERS:
            raise ClipError(f"unknown encoder {encoder!r}; choose auto or one of {', '.join(available())}")
        one = ENCODERS[key]
        if not _is_available(one):
            raise ClipError(f"this PyAV has no encoder {one.name}; choose one of {', '.join(available())}")
        if one.only_420 and not colours.format.startswith("yuv420"):
            odd = " because of its odd size" if info.width % 2 or info.height % 2 else ""
            raise ClipError(
                f"{info.name} is processed as {colours.format}{odd}, which {key} can't encode; choose h264 or h265"
            )
        if colours.depth not in one.depths:
            raise ClipError(
                f"{info.name} has 10-bit colours, which {key} can't encode; choose h265, av1 or h264"
            )
        return cls(key, quality, colours.format)

    @property
    def encoder(self) -> Encoder:
        return ENCODERS[self.key]

    def add_stream(self, container: Any, info: ClipInfo, colours: Colours, key_interval: int) -> Any:
        """Add the stream to a container being written. key_interval: the most frames from one key frame to the next."""
        one = self.encoder
        options = {**one.options, one.control: one.control_value(self.quality)}
        stream = container.add_stream(one.name, rate=info.rate, options=options)
        height, width = info.stored_size
        stream.width, stream.height = width, height
        stream.pix_fmt = _HARDWARE_FORMATS[self.format] if one.hardware else self.format
        context = stream.codec_context
        context.time_base = 1 / info.rate
        context.gop_size = key_interval
        if one.codec != "av1":
            context.max_b_frames = 0  # one packet per frame, in time order: timestamps are the clip's own
        context.sample_aspect_ratio = info.pixel_aspect
        context.color_range = 2 if colours.full else 1
        tags = info.colour
        context.color_primaries, context.color_trc = tags.primaries, tags.transfer
        context.colorspace = tags.matrix if tags.matrix not in (0, 3) else 2
        context.thread_count = self.threads
        context.thread_type = "FRAME"
        return stream
