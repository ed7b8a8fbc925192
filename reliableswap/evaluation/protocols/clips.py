"""Clips of your own, each with a photo of the person to put in.

    FACES                a TSV file as for `pairs` (or a folder with pairs.tsv) whose targets are clips
    OUTPUTS/NAME.mp4     results (or .mkv, .mov, .webm); NAME is the column `name`, or TARGET__SOURCE

A number of evenly spaced frames of each clip (--frames) is measured, each with its two neighbours (for flicker). The
largest face of a frame counts.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from reliableswap.errors import ReliableSwapError

from .pair_list import read_pairs
from .shots import Pair, Shot
from .video import frame_count

FRAMES = 60


def clips(faces: Path, count: int, frames: int = FRAMES) -> list[Pair]:
    """Return a pair for each chosen frame of at most `count` clips; 0 frames means all of each clip."""
    pairs = []
    for pair in read_pairs(faces)[:count]:
        if pair.truth is not None:
            raise ReliableSwapError(
                f"{faces} names a truth for {pair.name}; clips have none, so leave that column out"
            )
        path = pair.target.path
        for number in chosen_frames(frame_count(path), frames):
            target = Shot(path, pair.target.person, number)
            name = f"{pair.name}/{number:05d}"
            pairs.append(Pair(name, pair.source, target, pair.reference, clip=pair.name))
    return pairs


def chosen_frames(count: int, wanted: int) -> list[int]:
    """Return `wanted` evenly spaced frame numbers out of `count`; all of them for 0 or if there are no more."""
    if wanted < 0:
        raise ReliableSwapError(f"--frames {wanted} is negative; give 0 for all frames, or a number")
    if wanted == 0 or wanted >= count:
        return list(range(count))
    edge = 1 if count >= wanted + 2 else 0  # the first and the last frame have only one neighbour
    return sorted({round(x) for x in np.linspace(edge, count - 1 - edge, wanted)})
