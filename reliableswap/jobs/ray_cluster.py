"""Make units on a Ray cluster. If a node dies, other nodes make its unfinished units again."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import socket
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import torch

from reliableswap.errors import ReliableSwapError

from .units import Made, Maker

logger = logging.getLogger(__name__)

_UNITS_PER_CPU = 2  # submitted units per processor, so that none is idle
_RETRIES = 10  # of a unit whose node or process died
_STOP_SECONDS = 30.0  # seconds that units may take to stop
_makers: dict[str, Maker[Any]] = {}  # of this worker process


@dataclass(frozen=True)
class RayCluster:
    """The executor of a Ray cluster: each processor makes one unit at a time.

    address: host:port of a running cluster; "auto" finds the one that `ray start` started on this machine.
    All nodes need this package, and must see inputs and outputs under the same paths or URLs. Relative paths start at
    this process's working folder, on nodes that have it. A maker stays loaded for the next call with the same one.
    """

    address: str = "auto"
    _tokens: dict[int, tuple[str, Maker[Any]]] = field(default_factory=dict, compare=False, repr=False)

    def __call__(self, maker: Maker[Made], units: Sequence[Any]) -> Generator[Made, None, None]:
        if not units:
            return
        ray = connect(self.address)
        make = ray.remote(num_cpus=1, max_retries=_RETRIES)(_make_unit)
        token, _ = self._tokens.setdefault(id(maker), (secrets.token_hex(8), maker))
        # In a list: Ray would resolve a bare reference for every unit.
        kept = [ray.put((maker, Path.cwd()))]
        left = iter(units)
        running: set[Any] = set()
        limit = _UNITS_PER_CPU * max(1, int(ray.cluster_resources().get("CPU", 1)))
        try:
            while True:
                while len(running) < limit and (unit := next(left, None)) is not None:
                    running.add(make.remote(token, kept, unit))
                if not running:
                    return
                (done, *_), _ = ray.wait(list(running), num_returns=1)
                running.discard(done)
                yield _result_of(ray, done)
        finally:
            _stop(ray, running)


def connect(address: str) -> Any:
    """Connect to the cluster, and return the module `ray`."""
    try:
        import ray
    except ImportError as error:
        raise ReliableSwapError(
            "the executor ray needs the extra `ray`; run: pip install -e '.[ray]' in the repository"
        ) from error
    if not ray.is_initialized():
        try:
            _require_listener(address)  # Ray itself would try for minutes
            ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING)
        except (OSError, ValueError, RuntimeError) as error:
            raise ReliableSwapError(
                f"no Ray cluster at {address}: {' '.join(str(error).split())[:200]}; start one with "
                "`ray start --head`, or give its host:port with --address"
            ) from error
        processors = int(ray.cluster_resources().get("CPU", 0))
        logger.info("%d nodes with %d processors", len(ray.nodes()), processors)
    return ray


def _require_listener(address: str) -> None:
    """Raise OSError unless something listens at host:port; leave other forms of address to Ray."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()


def _stop(ray: Any, running: set[Any]) -> None:
    """Cancel units, and wait until they write nothing any more."""
    end = time.monotonic() + _STOP_SECONDS
    while running and time.monotonic() < end:
        for one in running:  # repeatedly: cancelling misses a unit on its way to a node
            ray.cancel(one, force=True)
        running = set(ray.wait(list(running), num_returns=len(running), timeout=0.5)[1])


def _result_of(ray: Any, reference: Any) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:  # wraps the maker's own error
        raise error.cause from error
    except ray.exceptions.RayError as error:
        raise ReliableSwapError(
            f"a unit of work was lost {_RETRIES} times: {' '.join(str(error).split())[:200]}; look at the cluster's "
            "nodes and start again: finished units are kept"
        ) from error


def _make_unit(token: str, kept: Sequence[Any], unit: Any) -> Any:
    """Make a unit in a worker process, which loads the maker's networks once."""
    import ray

    if token not in _makers:
        cv2.setNumThreads(1)
        torch.set_num_threads(1)
        _makers.clear()
        _makers[token], folder = ray.get(kept[0])
        with contextlib.suppress(OSError):  # only relative paths need it
            os.chdir(folder)
    return _makers[token](unit)
