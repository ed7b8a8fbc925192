"""The webcam's session: consent, a source prepared once, refusals, the rate, and frames as browsers send them."""

from __future__ import annotations

import base64
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from support.picture_files import bomb_png, encoded, rgb

from reliableswap.errors import NoFaceError, PictureError, RefusedError, ReliableSwapError
from reliableswap.media import Picture
from reliableswap.pipelines.live import LiveFrame
from reliableswap.space import files
from reliableswap.space.frames import decode_frame, encode_frame
from reliableswap.space.limits import MAX_LIVE_BYTES, MAX_LIVE_SIDE
from reliableswap.space.live import LiveSession

GREY = np.full((48, 64, 3), 90, np.uint8)


class Camera:
    """A worker whose swaps take a given time; `fails` is raised by the next one, `source_fails` by the source."""

    def __init__(self) -> None:
        self.now, self.takes, self.prepared, self.frames, self.closed = 100.0, 0.1, 0, 0, 0
        self.fails: Exception | None = None
        self.source_fails: Exception | None = None
        self.answer = LiveFrame(GREY, True, True)

    def clock(self) -> float:
        return self.now

    def live(self, picture: Picture, engine: str) -> Any:
        self.prepared += 1
        if self.source_fails:
            raise self.source_fails
        camera = self

        class Swap:
            def __call__(self, pixels: np.ndarray, time: float) -> LiveFrame:
                camera.frames += 1
                camera.now += camera.takes
                if camera.fails:
                    raise camera.fails
                return camera.answer

            def close(self) -> None:
                camera.closed += 1

        return Swap()


@pytest.fixture
def camera() -> Camera:
    return Camera()


@pytest.fixture(scope="module")
def source() -> dict[str, Any]:
    return {"path": files.publish(Picture(GREY, name="me"), "me.png", None), "orig_name": "me.png"}


def session(camera: Camera, source: Any) -> LiveSession:
    worker: Any = camera
    return LiveSession(worker, source, "auto", camera.clock)


FRAME = encode_frame(GREY)


def test_nothing_is_opened_or_shown_without_consent(camera: Camera, source: Any) -> None:
    stream = session(camera, source)
    for agreed in (False, None, "true", 1):
        with pytest.raises(ReliableSwapError, match="please confirm"):
            stream(FRAME, agreed)
    assert camera.prepared == camera.frames == 0
    assert stream(FRAME, True).picture is not None
    with pytest.raises(ReliableSwapError, match="please confirm"):
        stream(FRAME, False)  # it may be taken back at any time
    assert camera.frames == 1


def test_a_source_is_prepared_once(camera: Camera, source: Any) -> None:
    stream = session(camera, source)
    for _ in range(5):
        assert stream.serves(source, "auto")
        stream(FRAME, True)
    assert camera.prepared == 1
    assert not stream.serves(source, "blend")


def test_the_rate_is_shown(camera: Camera, source: Any) -> None:
    stream = session(camera, source)
    for _ in range(30):
        status = stream(FRAME, True).status
    assert status == "**Made by AI.** 10.0 frames a second, 100 ms each."
    camera.answer = LiveFrame(GREY, False, False)
    assert stream(FRAME, True).status.startswith("No face in sight.")


def test_a_frame_that_the_gates_hold_back_is_not_shown(camera: Camera, source: Any) -> None:
    camera.answer = LiveFrame(None, True, False)
    shown = session(camera, source)(FRAME, True)
    assert shown.picture is None
    assert shown.status == "Checking the picture before it is shown."


def test_a_refusal_is_shown_once_and_ends_the_stream_until_a_pause(camera: Camera, source: Any) -> None:
    stream = session(camera, source)
    stream(FRAME, True)
    camera.fails = RefusedError("the swap was refused: <b>")
    with pytest.raises(RefusedError):
        stream(FRAME, True)
    camera.fails = None
    for _ in range(3):
        shown = stream(FRAME, True)
        assert shown.picture is None
        assert shown.status == "the swap was refused: &lt;b&gt;"
    assert camera.frames == 2
    assert camera.closed == 1
    assert stream.serves(source, "auto")
    camera.now += 4
    assert not stream.serves(source, "auto"), "a new stream begins anew"


@pytest.mark.parametrize("kind", [RefusedError, NoFaceError])
def test_a_source_that_cannot_be_used_is_not_tried_again(
    camera: Camera, source: Any, kind: type[Exception]
) -> None:
    camera.source_fails = kind("no face found in me.png")
    stream = session(camera, source)
    with pytest.raises(kind):
        stream(FRAME, True)
    assert stream(FRAME, True).status == "no face found in me.png"
    assert camera.prepared == 1


def test_a_source_has_to_be_an_upload(camera: Camera) -> None:
    with pytest.raises(PictureError, match="there is no source photo"):
        session(camera, None)
    with pytest.raises(PictureError, match="no longer here"):
        session(camera, {"path": "/etc/passwd"})


def address(data: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(data).decode()


def jpeg(height: int, width: int) -> bytes:
    return bytes(cv2.imencode(".jpg", np.zeros((height, width, 3), np.uint8))[1])


def test_a_frame_keeps_its_colours() -> None:
    picture = np.zeros((32, 48, 3), np.uint8)
    picture[:] = (200, 60, 20)
    assert np.abs(decode_frame(encode_frame(picture)).astype(int) - picture).max() < 6


def test_a_large_frame_is_reduced() -> None:
    assert decode_frame(address(jpeg(1080, 1920))).shape == (360, MAX_LIVE_SIDE, 3)


@pytest.mark.parametrize(
    "sent",
    [
        None,
        {},
        "",
        "http://example.org/a.jpg",
        "/etc/passwd",
        "data:text/html;base64,AAAA",
        "data:image/jpeg;base64,",
        "data:image/jpeg;base64,%%%",
        address(b"no picture"),
        address(jpeg(64, 64)[:60]),
        address(encoded(rgb(), "GIF")),
        address(bytes(MAX_LIVE_BYTES + 1)),
    ],
)
def test_an_invalid_frame_is_refused(sent: Any) -> None:
    with pytest.raises(PictureError, match="the webcam"):
        decode_frame(sent)


def test_a_frame_that_declares_too_many_pixels_is_not_decoded() -> None:
    honest = encoded(Image.new("1", (2000, 1900)), "PNG")
    assert decode_frame(address(honest)).shape[1] == MAX_LIVE_SIDE
    for huge in (encoded(Image.new("1", (2000, 2100)), "PNG"), bomb_png()):
        with pytest.raises(PictureError, match="too large; choose a lower resolution"):
            decode_frame(address(huge))
