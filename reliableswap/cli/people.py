"""`reliableswap faces CLIP`: the people of a clip, as a table and as a contact sheet."""

from __future__ import annotations

import argparse
import json

from reliableswap.faces.draw import people_sheet
from reliableswap.media import Picture, check_output, write_picture

from .common import load_pipeline, say
from .video import ProgressLine


def run(arguments: argparse.Namespace) -> int:
    from reliableswap.media.video.info import probe
    from reliableswap.media.video.reader import ClipReader
    from reliableswap.pipelines.clip_passes import first_pass
    from reliableswap.pipelines.overlap import Busy
    from reliableswap.pipelines.video import Clock, VideoSettings

    output = None
    if arguments.output is not None:
        output = check_output(arguments.output, overwrite=arguments.overwrite)
    info = probe(arguments.photo)
    info.check()
    pipe = load_pipeline(arguments)
    video = VideoSettings(start=arguments.start, end=arguments.end)
    shown, steps = ProgressLine(), first_pass(ClipReader(info), pipe.networks(), video, Clock(Busy()))
    while True:
        try:
            shown(next(steps))
        except StopIteration as stop:
            times, faces = stop.value
            break
    shown.end()
    rows = [
        {
            "person": one.number,
            "frames_seen": one.seen,
            "share": round(one.seen / len(times), 4),
            "seen_best": round(times.seconds(one.best_frame), 3),
            "box": [round(float(v), 1) for v in one.box],
        }
        for one in faces.people
    ]
    if output is not None and rows:
        write_picture(
            Picture(people_sheet(faces.people), name="sheet"),
            output,
            overwrite=arguments.overwrite,
            ai_made=False,
        )
        say(f"wrote {output}")
    if arguments.json:
        print(json.dumps({"clip": info.name, "frames": len(times), "people": rows}, indent=1))
        return 0
    for one, row in zip(faces.people, rows, strict=True):
        x0, y0, x1, y1 = (round(float(v)) for v in one.box)
        print(
            f"person {one.number}: in {one.seen} of {len(times)} frames, best at {row['seen_best']:.2f} s "
            f"(box {x0},{y0} to {x1},{y1})"
        )
    if not rows:
        print(f"no face found in {info.name}")
    return 0
