"""The live path with the bundled networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.face_clips import Actor, background, scene, still, walking
from support.people import portrait

from reliableswap import ReliableSwapPipeline
from reliableswap.errors import NoFaceError, RefusedError
from reliableswap.pipelines.live import LiveSwap
from reliableswap.provenance.label import FrameLabel
from reliableswap.provenance.watermark import default_watermark
from reliableswap.safety.age import AgeEstimate, AgeNets
from reliableswap.safety.nudity import NudityNet

SAID = "These people do not exist."


def labelled(pixels: np.ndarray) -> np.ndarray:
    frame = pixels.copy()
    FrameLabel(*pixels.shape[:2]).draw(frame)
    return frame


def inside(pixels: np.ndarray) -> np.ndarray:
    """The pixels where the label is."""
    x0, y0, x1, y1 = FrameLabel(*pixels.shape[:2]).box
    return pixels[y0:y1, x0:x1].astype(int)


@pytest.mark.slow
def test_a_moving_face_is_swapped_and_every_frame_is_marked(pipe: ReliableSwapPipeline) -> None:
    live = LiveSwap(pipe, portrait(2), engine="blend", consent=SAID)
    frames = scene([Actor(1, walking(120, 180, 6))], 6)
    for number, frame in enumerate(frames):
        sent = frame.copy()
        made = live(sent, number / 12)
        assert np.array_equal(sent, frame), "the frame that was given stays as it is"
        assert made.swapped
        assert made.pixels is not None
        assert np.abs(inside(made.pixels) - inside(labelled(frame))).max() < 14
        middle = 120 + 60 * number / 5
        face = (slice(70, 110), slice(round(middle) - 15, round(middle) + 15))
        assert np.abs(made.pixels[face].astype(int) - frame[face]).mean() > 4
        corner = (slice(0, 40), slice(0, 60))
        assert np.abs(made.pixels[corner].astype(int) - frame[corner]).mean() < 2.5, "the watermark only"
    live.close()


def test_frames_without_a_face_are_marked_too(pipe: ReliableSwapPipeline) -> None:
    live = LiveSwap(pipe, portrait(2), engine="blend", consent=SAID)
    photo = np.tile(portrait(3, 400)[:60, :60], (7, 11, 1))[:400, :640]  # hair and wall
    made = [live(photo, step / 10) for step in range(8)]
    assert not any(one.face or one.swapped for one in made)
    shown = [one.pixels for one in made if one.pixels is not None]
    assert len(shown) == 8
    assert np.abs(inside(shown[-1]) - inside(labelled(photo))).max() < 14
    read = default_watermark().read_many(shown)
    assert read is not None
    assert read.payload == live.record.payload
    live.close()


def test_the_frame_size_may_change(pipe: ReliableSwapPipeline) -> None:
    live = LiveSwap(pipe, portrait(2), engine="blend", consent=SAID)
    (frame,) = scene([Actor(1, still(160))], 1)
    assert live(frame, 0.0).swapped
    larger = np.kron(frame, np.ones((2, 2, 1), np.uint8))
    made = live(larger, 0.1)
    assert made.swapped
    assert made.pixels is not None
    assert made.pixels.shape == larger.shape
    live.close()


def test_a_source_without_a_face_or_too_young_is_refused(
    pipe: ReliableSwapPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NoFaceError):
        LiveSwap(pipe, background(0), consent=SAID)
    monkeypatch.setattr(AgeNets, "estimate", lambda nets, seen: AgeEstimate(10.0))
    with pytest.raises(RefusedError, match="may be that of a person under 18"):
        LiveSwap(pipe, portrait(3), consent=SAID)


def test_a_young_face_before_the_webcam_is_never_shown(
    pipe: ReliableSwapPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = LiveSwap(pipe, portrait(2), engine="blend", consent=SAID)
    monkeypatch.setattr(AgeNets, "estimate", lambda nets, seen: AgeEstimate(10.0))
    (frame,) = scene([Actor(1, still(160))], 1)
    assert live(frame, 0.0).pixels is None
    assert live(frame, 0.1).pixels is None
    for step in range(3):
        with pytest.raises(
            RefusedError, match="the face in the live picture may be that of a person under 18"
        ):
            live(frame, 0.2 + step)
    live.close()


@pytest.mark.slow
def test_nudity_ends_the_stream(pipe: ReliableSwapPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    live = LiveSwap(pipe, portrait(2), engine="blend", consent=SAID)
    (frame,) = scene([Actor(1, still(160))], 1)
    assert live(frame, 0.0).pixels is not None
    monkeypatch.setattr(NudityNet, "score", lambda net, pixels: 0.99)

    def go_on() -> None:
        for step in range(1, 40):
            live(frame, step / 10)

    with pytest.raises(RefusedError, match="the live picture seems to show nudity"):
        go_on()
    monkeypatch.undo()
    with pytest.raises(RefusedError):
        live(frame, 5.0)
    live.close()
