"""Find the people of a clip before the swap, so that a user can choose who gets which source."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from reliableswap.faces.track import ClipFaces
from reliableswap.media.video.colour import check_depth
from reliableswap.media.video.info import probe
from reliableswap.media.video.outputs import check_clip_output
from reliableswap.media.video.reader import ClipReader

from .clip_folder import WorkFolder
from .clip_job import clip_origin, faces_job
from .clip_passes import find_people, first_pass
from .clip_progress import Clock, VideoProgress
from .overlap import Busy
from .video import VideoSettings

if TYPE_CHECKING:
    from .calls import SwapCalls


def people_of_clip(
    pipe: SwapCalls,
    clip: str | os.PathLike[str],
    *,
    video: VideoSettings | None = None,
    output: str | os.PathLike[str] | None = None,
) -> Iterator[VideoProgress | ClipFaces]:
    """Find the people of a clip; yield progress and, last, the faces.

    output: where the clip will be written. The faces found are kept beside it, and `pipe.video` with the same output,
    clip, start and end reuses them.
    """
    video = video or VideoSettings()
    info = probe(clip)
    info.check()
    check_depth(info)
    reader, clock, networks = ClipReader(info), Clock(Busy()), pipe.networks()
    if output is None:
        _, faces = yield from first_pass(reader, networks, video, clock)
    else:
        job = faces_job(pipe, clip_origin(info), video)
        with WorkFolder(Path(check_clip_output(output, overwrite=True))) as folder:
            _, faces = yield from find_people(folder, reader, networks, video, job, clock)
    yield faces


def carry_people(kept: str | os.PathLike[str], output: str | os.PathLike[str]) -> None:
    """Copy the faces kept beside one output to another output, if they are still there."""
    known, new = WorkFolder(Path(kept)), WorkFolder(Path(output))
    if known.faces.is_file() and known.times.is_file():
        new.path.mkdir(exist_ok=True)
        shutil.copyfile(known.times, new.times)
        shutil.copyfile(known.faces, new.faces)
