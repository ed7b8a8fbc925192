"""What decides a clip's result: its sources, and everything else by which a run recognises its own work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from reliableswap import __version__
from reliableswap.media.video.encoders import Encoding
from reliableswap.media.video.info import ClipInfo
from reliableswap.provenance.clip import read_clip_mark
from reliableswap.provenance.origin import Origin, origin_of_file
from reliableswap.swap.networks import Networks
from reliableswap.swap.person import Person
from reliableswap.swap.settings import SwapSettings

from .clip_choice import Chosen
from .options import Engine
from .people import person_of
from .trained import for_engine

if TYPE_CHECKING:
    from .calls import SwapCalls
    from .video import VideoSettings


def prepare_sources(
    pipe: SwapCalls, given: Mapping[int, Any], engine: Engine, networks: Networks
) -> dict[int, Person]:
    """Prepare the sources by their numbers, as the requested engine takes them."""
    people = {number: person_of(one, networks, pipe.analyser) for number, one in given.items()}
    return {number: for_engine(one, engine) for number, one in people.items()}


def clip_origin(info: ClipInfo) -> Origin:
    """Return the clip's origin for the provenance record."""
    kinds = {"mov,mp4,m4a,3gp,3g2,mj2": "video/mp4", "matroska,webm": "video/x-matroska"}
    kind = "video/quicktime" if info.path.suffix.lower() == ".mov" else kinds.get(info.container, "")
    with info.path.open("rb") as stream:
        return origin_of_file(stream, kind, read_clip_mark(stream))


def clip_job(
    pipe: SwapCalls,
    info: ClipInfo,
    origin: Origin,
    engine: str,
    settings: SwapSettings,
    video: VideoSettings,
    encoding: Encoding,
    people: Chosen,
    prepared: Mapping[int, Person],
) -> dict[str, Any]:
    """Return everything that decides the result; a run resumes only if all of it is the same."""
    return {
        **faces_job(pipe, origin, video),
        "people": people if isinstance(people, str) else sorted(people),
        "sources": {
            str(number): [one.sha256 for one in person.origins] for number, person in prepared.items()
        },
        "engine": engine,
        "settings": asdict(settings),
        "encoder": encoding.key,
        "quality": encoding.quality,
        "segment": video.segment,
        "label": video.label,
    }


def faces_job(pipe: SwapCalls, origin: Origin, video: VideoSettings) -> dict[str, Any]:
    """Return everything that decides which faces are found."""
    return {
        "clip": origin.sha256,
        "start": video.start,
        "end": video.end,
        "networks": {name: list(known) for name, known in pipe.checksums().items()},
        "analyser": pipe.analyser.name,
        "device": pipe.place,
        "tracking": asdict(video.track),
        "steady": video.steady,
        "version": __version__,
    }
