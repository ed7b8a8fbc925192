"""Count faces found where there are none, and faces lost by looking twice.

    python benchmarks/false_faces.py [FOLDER ...] [--count 200] [--list]

Pictures of openpeople show one face each, its sheets of expressions sixteen, and insightface's group photo, where that
package is installed, six. Of each FOLDER of portraits, `--count` photos are searched, evenly spread. Every photo is
searched with and without the second look at doubtful detections (`SearchSettings.sure`); `--list` names the photos
whose largest face only the search without it finds.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from reliableswap.data.photos import PICTURES
from reliableswap.faces.analysers.bundled import BundledAnalyser
from reliableswap.faces.detect import SearchSettings, overlaps
from reliableswap.faces.face import Face
from reliableswap.media import read_picture

SAME_FACE = 0.4  # overlap above which two boxes are one face


@dataclass
class Counts:
    """What was found in the photos of one set; `lost`: photos whose largest face was left out by the second look."""

    photos: int = 0
    right: int = 0
    faces: int = 0
    none: int = 0
    lost: list[Path] = field(default_factory=list)

    def add(self, path: Path, faces: list[Face], largest: Face | None, expected: int) -> None:
        self.photos += 1
        self.right += len(faces) == expected
        self.faces += len(faces)
        self.none += not faces
        boxes = [face.box for face in faces]
        if largest is not None and not any(overlaps(largest.box, box[None])[0] > SAME_FACE for box in boxes):
            self.lost.append(path)


def sets(folders: Iterable[Path], count: int) -> Iterator[tuple[str, list[Path], int]]:
    """Yield name, photos, and the number of faces that each photo shows."""
    import openpeople

    people = sorted((Path(openpeople.__file__).parent / "data" / "curated").glob("*/assets/*.jpg"))
    yield "openpeople, one face", [path for path in people if "sheet" not in path.stem], 1
    yield "openpeople, 16 expressions", [path for path in people if path.stem == "emotions_sheet"], 16
    package = importlib.util.find_spec("insightface")
    if package is not None and package.origin is not None:
        yield "insightface's group", [Path(package.origin).parent / "data" / "images" / "t1.jpg"], 6
    for folder in folders:
        photos = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES)
        yield folder.name, photos[:: max(1, len(photos) // count)][:count], 1


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "folders", nargs="*", type=Path, metavar="FOLDER", help="folder of portraits of one person each"
    )
    parser.add_argument("--count", type=int, default=200, help="photos per folder (default: %(default)s)")
    parser.add_argument("--list", action="store_true", help="name the photos whose largest face is left out")
    arguments = parser.parse_args()
    once, twice = BundledAnalyser(settings=SearchSettings(sure=0.0)), BundledAnalyser()
    print("| photos | expected | once: right, faces, none | twice: right, faces, none | largest left out |")
    print("|---|---|---|---|---|")
    for name, photos, expected in sets(arguments.folders, arguments.count):
        before, after = Counts(), Counts()
        for path in photos:
            pixels = read_picture(path).pixels
            found = once(pixels)
            before.add(path, found, None, expected)
            after.add(path, twice(pixels), found[0] if found else None, expected)
        columns = [f"{one.right}, {one.faces}, {one.none}" for one in (before, after)]
        print(f"| {name} ({before.photos}) | {expected} each | {' | '.join(columns)} | {len(after.lost)} |")
        if arguments.list and after.lost:
            print(*after.lost, sep="\n")


if __name__ == "__main__":
    main()
