"""The examples."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from reliableswap.space.examples import EXAMPLES, ExampleFiles, load_portrait


def test_first_visitors_at_once_all_get_the_examples() -> None:
    made: list[str] = []

    def slow_portrait(person: int, side: int) -> Image.Image:
        time.sleep(0.02)
        made.append(f"{person} at {side}")
        return load_portrait(person, side)

    files = ExampleFiles(slow_portrait)
    with ThreadPoolExecutor(6) as pool:
        thumbnails = list(pool.map(lambda _: files.thumbnail(0), range(6)))
        pictures = list(pool.map(lambda _: files.pictures(0), range(6)))
    assert len(set(thumbnails)) == 1
    assert Path(thumbnails[0]).is_file()
    assert all(Path(path).is_file() for sources, target in pictures for path in (*sources, target))
    assert len(made) == len(set(made)), "something was made twice"


def test_every_example_has_a_source_for_each_face() -> None:
    for example in EXAMPLES:
        assert len(example.sources) == len(example.targets)
