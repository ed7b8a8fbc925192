"""Make the picture of docs/person.md: swaps by a network trained on people of openpeople, who do not exist.

    python benchmarks/person_picture.py --photos people

writes the 16 expressions, the portrait and the selfie of each trained person as photos. After the training

    python benchmarks/person_picture.py --trained runs/drawn -o docs/person.jpg

draws three pairs in rows of sources, targets and results. The targets are not among the trained people.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from people import KINDS, around_face, photo_of

from reliableswap import ReliableSwapPipeline
from reliableswap.faces.face import Face
from reliableswap.media import read_picture
from reliableswap.media.picture import from_array
from reliableswap.models import CombAutoencoder
from reliableswap.provenance import Record
from reliableswap.provenance.seal import seal

TRAINED = {"ana": "P003", "ben": "P008", "zoe": "P001"}
PAIRS = (("ana", "P002", 1), ("ben", "P007", 4), ("zoe", "P010", 3))  # source, target, its expression
_CELL = 480  # px of a photo that is cut out of a sheet
_SIDE = 240  # px of the picture's faces


def expressions(pipe: ReliableSwapPipeline, person: str) -> list[np.ndarray]:
    """Each (480,480,3): the faces of a person's sheet, row by row."""
    sheet = read_picture(photo_of(person, "emotions_sheet")).pixels
    largest = sorted(pipe.find(sheet), key=lambda face: face.box[0] - face.box[2])[:16]
    down = sorted(largest, key=lambda face: face.box[1])
    rows = [sorted(down[at : at + 4], key=lambda face: face.box[0]) for at in range(0, 16, 4)]
    return [around_face(sheet, face.box, _CELL) for row in rows for face in row]


def write_photos(pipe: ReliableSwapPipeline, folder: Path) -> None:
    """Write a sub-folder of photos for each trained person."""
    for name, person in TRAINED.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        photos = [read_picture(photo_of(person, kind)).pixels for kind in KINDS]
        for number, pixels in enumerate((*photos, *expressions(pipe, person))):
            cv2.imwrite(str(folder / name / f"{number:02d}.png"), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))


def head(pixels: np.ndarray, face: Face) -> np.ndarray:
    """The square around a face, without the sheets' frames and words."""
    middle = np.tile((face.box[:2] + face.box[2:]) / 2, 2)
    return around_face(pixels, middle + 0.67 * (face.box - middle), _SIDE)


def draw(pipe: ReliableSwapPipeline) -> np.ndarray:
    """(720,720,3) uint8: sources above, targets below them, results at the bottom."""
    columns = []
    for name, person, number in PAIRS:
        source = read_picture(photo_of(TRAINED[name])).pixels
        target = expressions(pipe, person)[number]
        face = pipe.find(target)[0]
        result = pipe(None, target, person=name).pictures[0].pixels
        columns.append(
            np.concatenate(
                [head(source, pipe.find(source)[0]), *(head(one, face) for one in (target, result))]
            )
        )
    return np.concatenate(columns, 1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, help="folder to write the people's photos into")
    parser.add_argument("--trained", type=Path, help="output folder of a training of these people")
    parser.add_argument("-o", "--output", type=Path, help="picture file to write")
    arguments = parser.parse_args()
    pipe = ReliableSwapPipeline.bundled()
    pipe.set_progress_bar_config(disable=True)
    if arguments.photos:
        write_photos(pipe, arguments.photos)
    if arguments.trained and arguments.output:
        pipe.people = CombAutoencoder.from_pretrained(arguments.trained)
        record = Record(action="face swaps side by side")
        seal(from_array(draw(pipe)), arguments.output, record, quality=82, overwrite=True)


if __name__ == "__main__":
    main()
