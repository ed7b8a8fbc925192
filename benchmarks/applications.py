"""Make the README's small picture of a swap's options: attributes, age, drawings. The people do not exist.

    python benchmarks/applications.py -o applications.jpg

From the left: the source; a plain swap, then the source's beard and the target's brows; a plain swap, then the age
dial; two rendered targets. Targets are above their results. Make the picture again, and look at it, after every change
of the networks or the engines.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from people import around_face, photo_of
from styles import STYLES

from reliableswap import ReliableSwapPipeline
from reliableswap.media import read_picture
from reliableswap.media.picture import from_array
from reliableswap.provenance import Record
from reliableswap.provenance.seal import seal

SOURCE = "P003/studio_portrait"
# A target, the swap's options, and the style in which the target is rendered.
COLUMNS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("P005/studio_portrait", {}, ""),
    ("P005/studio_portrait", {"attributes": {"beard": "source"}}, ""),
    ("P005/studio_portrait", {"attributes": {"brows": "target"}}, ""),
    ("P007/studio_portrait", {}, ""),
    ("P007/studio_portrait", {"age": 15}, ""),
    ("P010/studio_portrait", {}, "oil"),
    ("P006/amateur_selfie", {}, "pencil"),
)
_WORK = 720  # pixels of a photo's longer side


def photo(name: str) -> np.ndarray:
    """(H,W,3) a photo that is named as PERSON/KIND."""
    pixels = read_picture(photo_of(*name.split("/"))).pixels
    scale = _WORK / max(pixels.shape)
    return np.asarray(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))


def strip(pipe: ReliableSwapPipeline, side: int) -> np.ndarray:
    """(2*side,W,3) uint8: the source, then each target above its result."""
    source = photo(SOURCE)
    head = around_face(source, pipe.find(source)[0].box, side)
    blank = np.full((side // 2, side, 3), 255, np.uint8)
    columns = [np.concatenate([blank, head, blank])]
    for name, asked, style in COLUMNS:
        plain = photo(name)
        box = pipe.find(plain)[0].box  # a rendered face may be found less exactly
        target = STYLES[style](plain) if style else plain
        made = pipe(source, target, **asked).pictures[0].pixels
        columns.append(np.concatenate([around_face(one, box, side) for one in (target, made)]))
    return np.concatenate(columns, 1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="picture file to write")
    parser.add_argument("--side", type=int, default=140, help="pixels per face (default: %(default)s)")
    arguments = parser.parse_args()
    pipe = ReliableSwapPipeline.bundled()
    pipe.set_progress_bar_config(disable=True)
    picture = from_array(strip(pipe, arguments.side))
    seal(picture, arguments.output, Record(action="swaps with other settings"), quality=85, overwrite=True)
    print(f"wrote {arguments.output}")


if __name__ == "__main__":
    main()
