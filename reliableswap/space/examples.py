"""Examples with people who do not exist, from the package `openpeople` (MIT), scaled down on first use."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

_SIDE = 1024  # pixels of a photo; the originals have 2000 and take half a megabyte
_THUMBNAIL_SIDE = 120


@dataclass(frozen=True)
class Example:
    """Numbers of the people whose portraits are the sources, and of those side by side in the target photo."""

    sources: tuple[int, ...]
    targets: tuple[int, ...]
    caption: str


EXAMPLES = (
    Example((7,), (8,), "One face into a portrait"),
    Example((2,), (6,), "Another pair"),
    Example((5, 3), (7, 9), "Two faces, two sources"),
)


def available() -> bool:
    """Whether `openpeople` is installed."""
    return find_spec("openpeople") is not None


def load_portrait(person: int, side: int) -> Image.Image:
    """Load a person's portrait at side x side pixels."""
    import openpeople

    people = Path(openpeople.__file__).parent / "data" / "curated"
    with Image.open(people / f"P{person:03d}" / "assets" / "studio_portrait.jpg") as image:
        image.draft("RGB", (side, side))  # lets the JPEG decoder scale down as it reads
        return image.convert("RGB").resize((side, side), Image.Resampling.LANCZOS)


class ExampleFiles:
    """The examples' files. They are made on first use, each once, in a folder that is deleted at exit."""

    def __init__(self, portrait: Callable[[int, int], Image.Image] = load_portrait) -> None:
        self._portrait = portrait
        self._lock = threading.RLock()  # two first visitors may come at once

    @functools.cached_property
    def _folder(self) -> Path:
        """A folder of its own, because clients' files are deleted after an hour."""
        folder = tempfile.mkdtemp(prefix="reliableswap-examples-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return Path(folder)

    def thumbnail(self, number: int) -> str:
        """Return the path of a small picture that shows an example's sources beside its target."""
        return self._file(f"thumbnail-{number}.png", lambda: self._sheet(EXAMPLES[number]))

    def pictures(self, number: int) -> tuple[list[str], str]:
        """Return the paths of an example's sources, and of its target."""
        example = EXAMPLES[number]
        sources = [
            self._file(f"person-{person}.jpg", functools.partial(self._portrait, person, _SIDE))
            for person in example.sources
        ]
        name = "-".join(str(person) for person in example.targets)
        side = _SIDE // len(example.targets)
        return sources, self._file(f"photo-{name}.jpg", lambda: self._side_by_side(example.targets, side))

    def _file(self, name: str, make: Callable[[], Image.Image]) -> str:
        with self._lock:
            path = self._folder / name
            if not path.exists():
                make().save(path, quality=92)  # PNG ignores the quality
            return str(path)

    def _sheet(self, example: Example) -> Image.Image:
        side, gap = _THUMBNAIL_SIDE // len(example.sources), 6
        target = self._side_by_side(example.targets, _THUMBNAIL_SIDE)
        sheet = Image.new("RGBA", (side + gap + target.width, _THUMBNAIL_SIDE))
        for place, person in enumerate(example.sources):
            sheet.paste(self._portrait(person, side), (0, place * side))
        sheet.paste(target, (side + gap, 0))
        return sheet

    def _side_by_side(self, people: tuple[int, ...], side: int) -> Image.Image:
        photo = Image.new("RGB", (side * len(people), side))
        for place, person in enumerate(people):
            photo.paste(self._portrait(person, side), (place * side, 0))
        return photo


shared = ExampleFiles()  # by all visitors
