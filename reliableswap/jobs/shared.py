"""Files that all machines of a cluster must see under the same names."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable
from pathlib import Path

from reliableswap.errors import ReliableSwapError

_POLL_SECONDS = 0.2  # seconds between checks


def existing(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Return the paths that exist here, without duplicates: a node can be required to see them."""
    return tuple(path for path in dict.fromkeys(paths) if path.exists())


def require_shared(paths: Iterable[Path]) -> None:
    """Raise if this node does not see one of the paths."""
    for path in paths:
        if not path.exists():
            raise ReliableSwapError(
                f"the node {socket.gethostname()} does not see {path} (its working folder is {Path.cwd()}); use a "
                "folder that every node of the cluster sees under the same path"
            )


def wait_for(path: Path, patience: float = 60.0) -> None:
    """Wait for a file that a node wrote, because file servers may show it late. Raise if it never appears here."""
    end = time.monotonic() + patience
    while not path.exists():
        if time.monotonic() > end:
            raise ReliableSwapError(
                f"a node wrote {path}, which {socket.gethostname()} does not see; use a folder that every node of the "
                "cluster sees under the same path"
            )
        time.sleep(_POLL_SECONDS)
