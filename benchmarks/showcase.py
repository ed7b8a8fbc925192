"""Make the README's picture: each source's face on each target's photo, of people who do not exist.

    python benchmarks/showcase.py -o swaps.jpg

The top row shows the targets, the left column the sources, from the package openpeople (MIT). Make the picture again,
and look at it, after every change of the networks or the engines.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from people import around_face, photo_of

from reliableswap import ReliableSwapPipeline
from reliableswap.media import Picture, read_picture
from reliableswap.media.picture import from_array
from reliableswap.provenance import Record
from reliableswap.provenance.seal import seal

SOURCES = ("P003/studio_portrait", "P008/studio_portrait", "P005/studio_portrait")
TARGETS = ("P001/amateur_selfie", "P010/studio_portrait", "P006/amateur_selfie", "P007/studio_portrait")


def photo(name: str) -> Picture:
    """Read a photo that is named as PERSON/KIND."""
    return read_picture(photo_of(*name.split("/")))


def grid(pipe: ReliableSwapPipeline, side: int, gap: int) -> np.ndarray:
    """(H,W,3) uint8, the targets and below them one row per source."""
    sources, targets = ([photo(name) for name in names] for names in (SOURCES, TARGETS))
    boxes = {id(one): pipe.find(one)[0].box for one in (*sources, *targets)}

    def head(seen: Picture, of: Picture) -> np.ndarray:
        return around_face(seen.pixels, boxes[id(of)], side)

    blank = np.full((side, side, 3), 255, np.uint8)
    rows = [[blank, *(head(target, target) for target in targets)]]
    for source in sources:
        made = [head(pipe(source, target).pictures[0], target) for target in targets]
        rows.append([head(source, source), *made])
    # A gap separates the results from the photos that they were made from.
    across = np.full((side, gap, 3), 255, np.uint8)
    lines = [np.concatenate([row[0], across, *row[1:]], 1) for row in rows]
    down = np.full((gap, lines[0].shape[1], 3), 255, np.uint8)
    return np.concatenate([lines[0], down, *lines[1:]])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="picture file to write")
    parser.add_argument("--side", type=int, default=240, help="pixels per face (default: %(default)s)")
    arguments = parser.parse_args()
    pipe = ReliableSwapPipeline.bundled()
    pipe.set_progress_bar_config(disable=True)
    picture = from_array(grid(pipe, arguments.side, arguments.side // 12))
    seal(picture, arguments.output, Record(action="face swaps side by side"), quality=82, overwrite=True)
    print(f"wrote {arguments.output}")


if __name__ == "__main__":
    main()
