"""The page: the heading, the tabs, and the rules."""

from __future__ import annotations

import gradio as gr

from reliableswap.pipelines.image import ReliableSwapPipeline
from reliableswap.safety.gates import report_address
from reliableswap.space.api import add_endpoints
from reliableswap.space.consent import RULES
from reliableswap.space.device import lends_gpus
from reliableswap.space.environment import check_environment
from reliableswap.space.events import PAGE_ONLY
from reliableswap.space.limits import (
    KEEP_SECONDS,
    MAX_CLIP_MEGABYTES,
    MAX_CLIP_SECONDS,
    MAX_FACES,
    MAX_MEGABYTES,
    MAX_MEGAPIXELS,
    MAX_SOURCES,
    QUEUE_SIZE,
    SWEEP_SECONDS,
)
from reliableswap.space.unified import model_place
from reliableswap.space.work import Worker

from .describing import describing_tab
from .live import live_tab
from .making import making_tab
from .photo import example_thumbnails, photo_tab
from .verify import verify_tab
from .video import video_tab

_HEAD = f"""
# ReliableSwap
Put one person's face into another person's photo or clip; pose, expression, light and background stay.

<div class="rules">{RULES}</div>
"""

_KEPT_MINUTES = (KEEP_SECONDS + SWEEP_SECONDS) // 60
_SMALL_PRINT = f"""
**Allowed.** Faces of adults who agreed to this swap, and of people who do not exist.

**Not allowed.** Children's faces. Anything sexual. Making others believe that somebody did or said something they did
not. Impersonation, fraud, harassment. You are responsible for what you make.

**Refused.** Pictures and clips that seem to show nudity, and faces that may be those of people under 18. The checks
make mistakes now and then: if they refused you wrongly, please say so, without the picture ({report_address()}).

**Marks.** Every result carries a visible note in its corner and a watermark in its pixels, clips in every frame. Its
metadata carries the IPTC mark for media made with AI, a signature (C2PA), checksums of your pictures and the statement
you confirmed. Please leave them in place.

**Your files.** Uploads and results are deleted from this server after {_KEPT_MINUTES} minutes at most. Until then they
have addresses that nobody can guess. The webcam's frames are not stored. Nothing is kept in the browser, and the page
loads nothing from other servers.

**Limits.** Pictures up to {MAX_MEGABYTES} MB and {MAX_MEGAPIXELS} megapixels, {MAX_SOURCES} sources, {MAX_FACES} faces
on this page. Clips up to {MAX_CLIP_MEGABYTES} MB and {MAX_CLIP_SECONDS} seconds. One job runs at a time, and up to
{QUEUE_SIZE} may wait. Results are weaker when the two heads are turned very differently, or with rimless glasses, loose
hair over the face or strongly coloured light.
"""


def build(pipe: ReliableSwapPipeline | None = None) -> gr.Blocks:
    """Build the page around a pipeline, by default the bundled one; raise for a wrong environment."""
    check_environment()
    worker = Worker(pipe)
    # `storage.Storage` deletes old files; delete_cache makes Gradio forget their names.
    forget = (SWEEP_SECONDS, KEEP_SECONDS)
    with gr.Blocks(title="ReliableSwap", analytics_enabled=False, delete_cache=forget) as page:
        gr.Markdown(_HEAD, elem_classes="head")
        with gr.Tabs():
            with gr.Tab("Photo", id="photo"):
                gallery = photo_tab(worker)
            with gr.Tab("Video", id="video"):
                video_tab(worker)
            if not lends_gpus():
                with gr.Tab("Live", id="live"):
                    live_tab(worker)
            with gr.Tab("How it is made", id="making"):
                making_tab(worker)
            if model_place() is not None:
                with gr.Tab("Describe and draw", id="describing"):
                    describing_tab()
            with gr.Tab("Verify", id="verify"):
                verify_tab()
        with gr.Accordion("Rules, your files and limits", open=False):
            gr.Markdown(_SMALL_PRINT)
        add_endpoints(worker)
        if gallery is not None:
            page.load(example_thumbnails, None, gallery, **PAGE_ONLY)
    return page
