"""Record what an output folder is made from, so that only the same run can resume in it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from reliableswap import __version__
from reliableswap.data.photo_list import PhotoList
from reliableswap.data.storage import write_text
from reliableswap.errors import ReliableSwapError

from .settings import TripletSettings

_NAME = "run.json"


def begin_run(
    output: Path, settings: TripletSettings, photos: PhotoList, made_with: Mapping[str, str | None]
) -> None:
    """Record what the folder is made from, or raise if it was begun with something else."""
    this = {
        "version": __version__,
        "settings": json.loads(settings.to_json()),
        "photos": {"count": len(photos), "sha256": photos.digest},
        **made_with,
    }
    path = output / _NAME
    if not path.is_file():
        write_text(path, json.dumps(this, indent=1, sort_keys=True) + "\n")
        return
    changed = ", ".join(sorted(_differences(json.loads(path.read_text()), this)))
    if changed:
        raise ReliableSwapError(
            f"{output} was started with different {changed}; give another output folder (--cache {output / 'cache'} "
            "reuses the analysed photos), or repeat the first run's settings and photos"
        )


def _differences(before: dict[str, Any], now: dict[str, Any]) -> Iterable[str]:
    for name in before.keys() | now.keys():
        a, b = before.get(name), now.get(name)
        if isinstance(a, dict) and isinstance(b, dict) and name != "photos":
            yield from _differences(a, b)
        elif a != b:
            yield name
