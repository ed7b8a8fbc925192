"""Gather a folder of cut-outs for `train generator --occluders`: python -m tools.occluders DATA -o DIR

DATA holds `occluders`, pictures with alpha in the folders hands and masks, and `parsing`, photos with hair masks of the
same name. Hair is cut out of its photo, in a square around the masked head.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import cv2
import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with occluders/ and parsing/")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the cut-outs")
    parser.add_argument(
        "--hair", type=int, default=400, help="approximate number of hair cut-outs (default: 400)"
    )
    options = parser.parse_args()
    for kind in ("hands", "masks"):
        folder = options.output / kind
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted((options.data / "occluders" / kind).glob("*.webp")):
            shutil.copy(path, folder / path.name)
    masks = sorted((options.data / "parsing").glob("*_hair/*.png"))
    step = max(1, len(masks) // options.hair)
    folder = options.output / "hair"
    folder.mkdir(parents=True, exist_ok=True)
    for path in masks[::step]:
        cutout = hair(path)
        if cutout is not None:
            cv2.imwrite(str(folder / f"{path.stem}.webp"), cutout)


def hair(mask_path: Path) -> np.ndarray | None:
    """(256,256,4) BGRA the hair in a photo; None if there is little."""
    photo = cv2.imread(str(mask_path.with_suffix(".jpg")))
    mask = cv2.imread(str(mask_path), cv2.IMREAD_GRAYSCALE)
    if photo is None or mask is None or (mask > 127).mean() < 0.03:
        return None
    rows, columns = np.nonzero(mask > 127)
    low, high = np.array([columns.min(), rows.min()]), np.array([columns.max(), rows.max()])
    side = float(max(high[0] - low[0], 1.1 * (high[1] - low[1]))) * 1.05
    corner = (low[0] + high[0]) / 2 - side / 2, low[1] - 0.02 * side
    scale = 256 / side
    matrix = np.array([[scale, 0, -corner[0] * scale], [0, scale, -corner[1] * scale]])
    soft = cv2.GaussianBlur(cv2.erode(mask, np.ones((3, 3), np.uint8)), (0, 0), 1.0)
    return cv2.warpAffine(np.dstack([photo, soft]), matrix, (256, 256), flags=cv2.INTER_AREA)


if __name__ == "__main__":
    main()
