"""Cache converted networks on disk: converting one takes seconds, reading it a fraction of a second.

They are in the Hugging Face assets cache (HF_ASSETS_CACHE). An entry's name is a digest of everything that it depends
on: weights, config, the code of the networks and of the conversion, input shapes and versions. So an entry is never
stale, only unused.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import cached_assets_path

from reliableswap import models
from reliableswap.models.base import Network

logger = logging.getLogger(__name__)

_MAX_ENTRIES = 40  # the least recently used are deleted first
_DRAFT = ".draft-"


@contextmanager
def cached_conversion(
    runtime: str, version: str, network: Network, request: Sequence[Any], convert: Callable[[Path], None]
) -> Iterator[Path]:
    """Yield a folder with a network converted for a runtime: from the cache, or filled by `convert`.

    request: which part of the network, and for which shapes of its inputs.

    If the cache cannot be written, it is a temporary folder.
    """
    key = conversion_key(version, network, request)
    try:
        entry = cached_assets_path("reliableswap", runtime) / key
        draft = None if entry.is_dir() else Path(tempfile.mkdtemp(prefix=_DRAFT, dir=entry.parent))
    except (OSError, ValueError) as error:
        logger.warning("cannot cache converted networks: %s", error)
        with tempfile.TemporaryDirectory() as folder:
            convert(Path(folder))
            yield Path(folder)
        return
    if draft is None:
        with suppress(OSError):  # another user's, or read-only
            entry.touch()
        yield entry
        return
    try:
        convert(draft)
        yield _store(draft, entry)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _store(draft: Path, entry: Path) -> Path:
    """Rename the draft to the entry, or leave it if that fails; return where it is. Delete the least recently used."""
    try:
        for file in draft.iterdir():
            with file.open("rb+") as stream:  # an entry is complete or absent, even after a power cut
                os.fsync(stream.fileno())
        draft.rename(entry)
    except OSError as error:  # most likely another process was faster
        logger.debug("%s was not added to the cache: %s", draft, error)
        return draft
    with suppress(OSError):
        entries = [one for one in entry.parent.iterdir() if not one.name.startswith(_DRAFT)]
        for old in sorted(entries, key=lambda one: one.stat().st_mtime)[:-_MAX_ENTRIES]:
            shutil.rmtree(old, ignore_errors=True)
    return entry


def conversion_key(version: str, network: Network, request: Sequence[Any]) -> str:
    """Return a digest of the network, the requested part and shapes, and the code and versions that convert it."""
    digest = hashlib.sha256()
    config = {name: value for name, value in network.config.items() if not name.startswith("_")}
    about = [type(network).__name__, config, list(request)]
    digest.update(
        json.dumps([version, torch.__version__, _code(), about], sort_keys=True, default=str).encode()
    )
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().contiguous().view(-1).numpy().tobytes())
    return digest.hexdigest()[:40]


@lru_cache(maxsize=1)
def _code() -> str:
    """Return a digest of the source code of the networks and of this package, which converts them."""
    folders = Path(next(iter(models.__path__))), Path(__file__).parent
    files = [path for folder in folders for path in sorted(folder.glob("*.py"))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
