"""Who in a clip gets which source, and what the report says about each person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any, Literal

from reliableswap.errors import NoFaceError, RefusedError, ReliableSwapError
from reliableswap.faces.track import ClipFaces
from reliableswap.media.video.info import ClipInfo
from reliableswap.swap.person import Person

from .inputs import Photos

Chosen = Literal["first", "all"] | tuple[int, ...] | Mapping[int, Photos]
People = Chosen | int | Sequence[int]


def checked_people(people: People) -> Chosen:
    """Check the choice of people, as far as possible before the clip is read."""
    if isinstance(people, str):
        if people not in ("first", "all"):
            raise ReliableSwapError(
                f"people={people!r} is not valid; use 'first', 'all', numbers or a mapping"
            )
        return people
    numbers = (people,) if isinstance(people, int) else tuple(people)
    if not numbers:
        raise ReliableSwapError("no person was chosen; give at least one number")
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, Integral):
            raise ReliableSwapError(f"people contains {number!r}; give whole numbers, counted from 1")
    return people if isinstance(people, Mapping) else tuple(int(number) for number in numbers)


def sources_of(
    people: Chosen, prepared: Mapping[int, Person], faces: ClipFaces, info: ClipInfo
) -> dict[int, Person]:
    """Return the sources by the person's number in the clip."""
    known = [one.number for one in faces.people]
    if not known:
        raise NoFaceError(f"no face found in {info.name}; nothing was written")
    if isinstance(people, Mapping):
        wanted = dict(prepared)
    elif isinstance(people, str):
        wanted = dict.fromkeys(known if people == "all" else known[:1], prepared[0])
    else:
        wanted = dict.fromkeys(people, prepared[0])
    for number in wanted:
        if number not in known:
            listed = "only person 1" if len(known) == 1 else f"persons 1 to {len(known)}"
            raise NoFaceError(
                f"{info.name} has no person {number}; it shows {listed}, see `reliableswap faces {info.name}`"
            )
    return wanted


def count_refused_tracks(
    refused: Mapping[int, RefusedError], faces: ClipFaces, sources: Mapping[int, Person], explicit: bool
) -> dict[int, int]:
    """Return person -> number of refused tracks. Raise if all, or with `explicit` any, are refused throughout."""
    tracks: dict[int, set[int]] = {number: set() for number in sources}
    for frame in range(faces.frames):
        for one in faces.numbers(frame):
            if one.person in tracks:
                tracks[one.person].add(one.track)
    refused_tracks = {number: found & refused.keys() for number, found in tracks.items()}
    entirely = [number for number, found in tracks.items() if found and found == refused_tracks[number]]
    if entirely and (explicit or len(entirely) == len(tracks)):
        raise refused[min(refused_tracks[entirely[0]])]
    return {number: len(found) for number, found in refused_tracks.items() if found}


def people_report(
    faces: ClipFaces,
    sources: Mapping[int, Person],
    swapped: Counter[str],
    refused_tracks: Mapping[int, int],
) -> list[dict[str, Any]]:
    """Return what the report says about each person. swapped: frame counts by the person's number as text."""
    report = []
    for one in faces.people:
        entry: dict[str, Any] = {"person": one.number, "frames_seen": one.seen, "frames_swapped": 0}
        if one.number in sources:
            entry["source"] = sources[one.number].name
            entry["frames_swapped"] = swapped[str(one.number)]
            entry["tracks_refused"] = refused_tracks.get(one.number, 0)
        report.append(entry)
    return report
