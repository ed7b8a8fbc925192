"""Which frames of a clip are checked for a watermark, and how much of it is decoded for them."""

from __future__ import annotations

import io
from itertools import pairwise

import numpy as np
import pytest
from support.provenance import clip, photo

from reliableswap.errors import PictureError
from reliableswap.provenance import Record
from reliableswap.provenance.clip import MAX_FRAMES, frames
from reliableswap.provenance.seal import mark_pixels
from reliableswap.provenance.verify import verify

COUNT = 240


def numbered(keyframes: str) -> bytes:
    """A clip of COUNT frames whose grey level is their number; keyframes: the distance between keyframes."""
    levels = range(COUNT)
    return clip(
        [np.full((64, 64, 3), level, np.uint8) for level in levels], g=keyframes, sc_threshold="0", bf="0"
    )


def levels_of(content: bytes) -> list[float]:
    return [float(frame.mean()) for frame in frames(io.BytesIO(content), "clip")]


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limit decoding to 100 frames of 64x64 pixels."""
    monkeypatch.setattr("reliableswap.provenance.clip.MAX_DECODED", 100 * 64 * 64)


def test_the_frames_of_a_short_clip_are_evenly_spread() -> None:
    found = levels_of(numbered("50"))
    assert len(found) == MAX_FRAMES
    assert all(abs(after - before - 3) < 2 for before, after in pairwise(found))


@pytest.mark.usefixtures("little")
def test_a_long_clip_is_looked_at_by_its_keyframes() -> None:
    found = levels_of(numbered("10"))
    assert len(found) == COUNT // 10 * (MAX_FRAMES // (COUNT // 10))
    assert found[0] < 3
    assert found[-1] > COUNT - 14
    assert sorted(found) == found


@pytest.mark.usefixtures("little")
def test_a_long_clip_without_keyframes_is_not_decoded_to_its_end() -> None:
    found = levels_of(numbered("1000"))
    assert len(found) == MAX_FRAMES
    assert found[-1] < 100


def test_the_watermark_of_a_long_clip_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    record = Record()
    marked, _, _ = mark_pixels(photo(), record)
    monkeypatch.setattr("reliableswap.provenance.clip.MAX_DECODED", 1)
    content = clip([np.roll(marked, shift, axis=(0, 1)) for shift in (0, 64) for _ in range(30)], g="15")
    found = verify(content).watermark
    assert found is not None
    assert found.payload == record.payload


def test_a_clip_of_huge_frames_is_not_decoded() -> None:
    content = clip([photo()] * 2)
    with pytest.raises(
        PictureError, match=r"^the frames of mine have 256x256 pixels, and only .* 0\.05 megapixels"
    ):
        list(frames(io.BytesIO(content), "mine", max_pixels=50_000))
    assert len(list(frames(io.BytesIO(content), "mine", max_pixels=256 * 256))) == 2
    unread = verify(content, max_pixels=50_000).unread
    assert unread is not None
    assert "256x256" in unread
