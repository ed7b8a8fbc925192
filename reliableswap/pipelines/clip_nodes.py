"""Make a clip's segments on cluster nodes. Each segment is the same as in a run resumed at its beginning."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reliableswap.errors import ClipError, ReliableSwapError
from reliableswap.faces.track import ClipFaces
from reliableswap.jobs.shared import require_shared
from reliableswap.media.video.encoders import Encoding
from reliableswap.media.video.info import probe
from reliableswap.media.video.reader import ClipReader
from reliableswap.media.video.times import FrameTimes
from reliableswap.provenance.record import Record
from reliableswap.safety.clip import ClipGates
from reliableswap.swap.networks import Networks
from reliableswap.swap.person import Person
from reliableswap.swap.settings import SwapSettings

from .clip_choice import Chosen, sources_of
from .clip_folder import WorkFolder
from .clip_job import faces_job, prepare_sources
from .clip_passes import Checked
from .clip_progress import Clock
from .clip_segments import SecondPassInputs, Segments
from .clip_steady import ClipSteady
from .clip_swap import FrameSwapper
from .options import Engine
from .overlap import Busy

if TYPE_CHECKING:
    from reliableswap.jobs.units import Executor

    from .calls import SwapCalls
    from .video import VideoSettings


@dataclass(frozen=True)
class Nodes:
    """The nodes that make a clip's segments. All of them must see the clip and the output's folder.

    executor: makes the segments as units of work. load: opens the caller's pipeline on a node; it is sent there.
    """

    executor: Executor
    load: Callable[[], SwapCalls]


@dataclass(frozen=True)
class _TrainedName:
    """The name of a trained person, whom a node's pipeline knows too."""

    name: str


def sendable(given: Mapping[int, Any]) -> dict[int, Any]:
    """Return the sources in a form that can be sent to nodes: photos, or names of trained people."""
    return {
        number: [_sendable_source(photo) for photo in one]
        if isinstance(one, (list, tuple))
        else _sendable_source(one)
        for number, one in given.items()
    }


def _sendable_source(one: Any) -> Any:
    if isinstance(one, Person):
        if one.decoder is None:
            raise ReliableSwapError(
                f"{one.name} is a prepared person, which can't be sent to nodes; give the photos instead"
            )
        return _TrainedName(one.decoder)
    if hasattr(one, "read"):
        raise ReliableSwapError(
            "an open file can't be sent to nodes as a source; give its path or its content"
        )
    return Path(one).absolute() if isinstance(one, (str, os.PathLike)) else one


@dataclass(frozen=True, eq=False)
class SegmentOrder:
    """What a node needs to make segments, besides the pipeline. given: the sources, as `sendable` returns them.

    output: the caller's; `job` was begun in its work folder. target_scores: the gates' scores of the clip's frames.
    """

    clip: Path
    output: Path
    job: Mapping[str, Any]
    given: Mapping[int, Any]
    people: Chosen
    engine: Engine
    settings: SwapSettings
    video: VideoSettings
    times: FrameTimes
    faces: ClipFaces
    refused: frozenset[int]
    checked: Checked
    target_scores: Mapping[int, float]
    encoding: Encoding
    record: Record


@dataclass(frozen=True, eq=False)
class _Opened:
    """What a node keeps from one segment to the next."""

    pipe: SwapCalls
    networks: Networks
    reader: ClipReader
    sources: Mapping[int, Person]


@dataclass(eq=False)
class SegmentMaker:
    """Makes segments by their number in the caller's work folder, and returns how long each stage was busy."""

    load: Callable[[], SwapCalls]
    order: SegmentOrder
    _opened: _Opened | None = field(default=None, init=False, repr=False)

    def __call__(self, number: int) -> tuple[int, dict[str, float]]:
        order, folder = self.order, WorkFolder(self.order.output)
        require_shared((order.clip, folder.path))
        if not folder.is_for(order.job):
            raise ClipError(
                f"the node {socket.gethostname()} does not see the caller's {folder.path}; give an output in a "
                "folder that every node of the cluster sees under the same path"
            )
        if self._opened is None:
            self._opened = self._open()
        opened, busy = self._opened, Busy()
        # Nothing is carried over from another segment: units come in any order.
        swapper = FrameSwapper(
            opened.reader.info.name,
            opened.sources,
            opened.pipe.choose_engine(order.engine),
            order.settings,
            opened.networks,
            ClipSteady() if order.video.steady else None,
            order.refused,
            order.checked.vectors,
        )
        inputs = SecondPassInputs(
            folder,
            opened.reader,
            order.times,
            order.faces,
            swapper,
            ClipGates(opened.pipe.safety, opened.reader.info.name, order.target_scores),
            order.encoding,
            order.record,
            order.checked.earlier_mark,
            order.video,
            order.output,
            None,
            busy,
        )
        Segments(inputs, Clock(busy), overwrite=False).make(number)
        return number, dict(busy.seconds)

    def _open(self) -> _Opened:
        order, pipe = self.order, self.load()
        assert order.record.target is not None
        here = faces_job(pipe, order.record.target, order.video)
        differing = sorted(name for name, value in here.items() if order.job[name] != value)
        if differing:
            raise ClipError(
                f"the node {socket.gethostname()} would give a different result ({', '.join(differing)}); install "
                "the same version and the same networks on every node"
            )
        networks, info = pipe.networks(), probe(order.clip)
        photos = [
            one for given in order.given.values() for one in (given if isinstance(given, list) else [given])
        ]
        require_shared(one for one in photos if isinstance(one, Path))
        given = {
            number: pipe.trained(one.name) if isinstance(one, _TrainedName) else one
            for number, one in order.given.items()
        }
        prepared = prepare_sources(pipe, given, order.engine, networks)
        return _Opened(
            pipe, networks, ClipReader(info), sources_of(order.people, prepared, order.faces, info)
        )
