"""The tab "Live": swap the face in front of the webcam, frame by frame."""

from __future__ import annotations

from typing import Any

import gradio as gr

from reliableswap.errors import RefusedError, ReliableSwapError
from reliableswap.pipelines.image import Engine
from reliableswap.space.consent import STATEMENT
from reliableswap.space.events import UNCHECKED, notify_refusal, one_line, show_errors
from reliableswap.space.files import File
from reliableswap.space.limits import MAX_LIVE_SECONDS
from reliableswap.space.live import LiveSession
from reliableswap.space.work import Worker

from .choosing import engine_choice

_EVERY = 0.05  # seconds between frames from the browser; the server takes the newest and drops the others
_CAMERA = {"video": {"width": {"ideal": 640}, "height": {"ideal": 480}}, "audio": False}
_BEGIN = "Add a source, confirm the statement, and start the webcam."


def live_tab(worker: Worker) -> None:
    """Build the tab inside the current page."""
    session = gr.State(None, delete_callback=_close)
    refusal = gr.State("")
    gr.Markdown(
        "See yourself with another face. Frames go to this server, are swapped and come back; none is stored. One "
        f"person at a time, for up to {MAX_LIVE_SECONDS // 60} minutes.",
        elem_classes="quiet",
    )
    with gr.Row(equal_height=False):
        with gr.Column(min_width=300):
            source = gr.Image(
                label="Source: the face to put in",
                type="filepath",
                image_mode=None,
                sources=["upload", "clipboard"],
                height=220,
                buttons=[],
                elem_id="live-source",
            )
            engine = engine_choice(worker, "live-engine")
            agreed = gr.Checkbox(label=STATEMENT, value=False, elem_classes="consent", elem_id="agreed-live")
        with gr.Column(min_width=300):
            webcam = gr.Image(
                label="Webcam",
                sources=["webcam"],
                streaming=True,
                height=360,
                buttons=[],
                webcam_options=gr.WebcamOptions(mirror=False, constraints=_CAMERA),
                elem_id="webcam",
            )
        with gr.Column(min_width=300):
            result = gr.Image(
                label="Live result, made by AI",
                interactive=False,
                height=360,
                buttons=[],
                alt_text="The webcam's picture with another face, made by AI",
                elem_id="live-result",
            )
            status = gr.Markdown(_BEGIN, elem_classes="quiet", elem_id="live-words")

    @show_errors
    def show_frame(
        frame: Any, source: File | None, engine: Engine, agreed: bool, session: LiveSession | None
    ) -> tuple[Any, str, LiveSession | None, Any]:
        try:
            if session is None or not session.serves(source, engine):
                _close(session)
                session = None
                session = LiveSession(worker, source, engine)
            shown = session((frame or {}).get("url"), agreed)
        except RefusedError as error:
            return None, one_line(error), session, str(error)
        except ReliableSwapError as error:
            return None, one_line(error), session, ""
        notice = gr.skip() if session.ended else ""
        return {"url": shown.picture} if shown.picture else None, shown.status, session, notice

    # A notice raised inside a stream does not reach the page.
    refusal.change(_notify, refusal, None, api_visibility="private", show_progress="hidden")
    webcam.stream(
        show_frame,
        [webcam, source, engine, agreed, session],
        [result, status, session, refusal],
        stream_every=_EVERY,
        time_limit=MAX_LIVE_SECONDS,
        concurrency_limit=1,
        concurrency_id="live",
        show_progress="hidden",
        api_visibility="private",
        postprocess=False,
        **UNCHECKED,
    )


def _notify(refusal: str) -> None:
    if refusal:
        notify_refusal(RefusedError(refusal))


def _close(session: LiveSession | None) -> None:
    if session is not None:
        session.close()
