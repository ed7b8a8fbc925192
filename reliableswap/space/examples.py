"""Examples with people who do not exist, from the package `openpeople` (MIT); made small when first asked for."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
import threading
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

_SIDE = 1024  # of a photo; the originals have two thousand pixels and half a megabyte
_THUMBNAIL = 120


@dataclass(frozen=True)
class Example:
    """Portraits of `sources` go into a photo of `targets`; two targets stand side by side in one photo."""

    sources: tuple[int, ...]
    targets: tuple[int, ...]
    says: str


EXAMPLES = (
    Example((7,), (8,), "One face into a portrait"),
    Example((2,), (6,), "Another pair"),
    Example((5, 3), (7, 9), "Two faces, two sources"),
)


def available() -> bool:
    return find_spec("openpeople") is not None


_lock = threading.RLock()  # a cache alone lets two first visitors make everything twice, and keeps either


@functools.cache
def _folder() -> Path:
    """Apart from the clients' files, which are deleted after an hour; gone when the process ends."""
    made = tempfile.mkdtemp(prefix="reliableswap-examples-")
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return Path(made)


def _portrait(person: int, side: int) -> Image.Image:
    import openpeople

    people = Path(openpeople.__file__).parent / "data" / "curated"
    with Image.open(people / f"P{person:03d}" / "assets" / "studio_portrait.jpg") as image:
        image.draft("RGB", (side, side))  # the JPEG decoder shrinks as it reads
        return image.convert("RGB").resize((side, side), Image.Resampling.LANCZOS)


def _kept(name: str, image: Image.Image) -> str:
    path = _folder() / name
    image.save(path, quality=92)  # quality: for JPEG
    return str(path)


def _side_by_side(people: tuple[int, ...], side: int) -> Image.Image:
    photo = Image.new("RGB", (side * len(people), side))
    for place, person in enumerate(people):
        photo.paste(_portrait(person, side), (place * side, 0))
    return photo


def thumbnail(number: int) -> str:
    """The path of a small picture that shows the sources of an example beside its target."""
    with _lock:
        return _thumbnail(number)


def pictures(number: int) -> tuple[list[str], str]:
    """The paths of an example's sources and of its target."""
    with _lock:
        return _pictures(number)


@functools.cache
def _thumbnail(number: int) -> str:
    example = EXAMPLES[number]
    side, gap = _THUMBNAIL // len(example.sources), 6
    target = _side_by_side(example.targets, _THUMBNAIL)
    sheet = Image.new("RGBA", (side + gap + target.width, _THUMBNAIL))
    for place, person in enumerate(example.sources):
        sheet.paste(_portrait(person, side), (0, place * side))
    sheet.paste(target, (side + gap, 0))
    return _kept(f"thumbnail-{number}.png", sheet)


@functools.cache
def _pictures(number: int) -> tuple[list[str], str]:
    example = EXAMPLES[number]
    sources = [_kept(f"person-{person}.jpg", _portrait(person, _SIDE)) for person in example.sources]
    side = _SIDE // len(example.targets)
    name = "-".join(str(person) for person in example.targets)
    return sources, _kept(f"photo-{name}.jpg", _side_by_side(example.targets, side))
