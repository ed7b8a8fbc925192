"""The protocols and the folder layouts that they expect. You provide the photos; each layout is checked.

pairs             a TSV file (or a folder with pairs.tsv) with the columns `source` and `target`, and optionally
                  `name`, `source_person`, `target_person`, `reference`, `truth`; paths are relative to the file
identity-folders  FOLDER/PERSON/*.jpg, one sub-folder per person. If at least two people have several photos, only
                  these are sources, so that a result can be compared with a photo that the method never saw
ffhq              FOLDER/**/*.png, each photo shows a different person
celebahq          as ffhq; with CelebA's two text files beside the photos, one person's photos are never paired
ffpp              FaceForensics++ as its script downloads it (below)
video             as pairs, but the targets are clips (below)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from reliableswap.errors import ReliableSwapError

from . import people
from .clips import FRAMES, clips
from .draw import draw_pairs, draw_unused
from .ffpp import ffpp
from .pair_list import read_pairs
from .shots import Pair, Shot

PROTOCOLS = ("pairs", "identity-folders", "ffhq", "celebahq", "ffpp", "video")


def make_pairs(
    protocol: str,
    faces: Path,
    count: int = 1000,
    seed: int = 0,
    held_out: float | None = None,
    frames: int = FRAMES,
) -> list[Pair]:
    """Return the protocol's pairs, at most `count`; the same photos, count and seed give the same pairs.

    held_out: for identity-folders, use only the people that training leaves out at this percentage.
    frames: for video, how many frames of each clip; 0 means all.
    """
    if count < 1:
        raise ReliableSwapError(f"--pairs {count} leaves nothing to measure; give at least 1")
    if protocol not in PROTOCOLS:
        raise ReliableSwapError(f"unknown protocol {protocol!r}; choose one of {', '.join(PROTOCOLS)}")
    photos = _people(protocol, faces, held_out)
    if photos is not None:
        several = [name for name, found in photos.items() if len(found) > 1]
        prefer = protocol == "identity-folders" and len(several) > 1
        pairs = draw_pairs(photos, faces, count, seed, several if prefer else ())
    else:
        pairs = _listed(protocol, faces, count, frames)
    name, times = Counter(pair.name for pair in pairs).most_common(1)[0]
    if times > 1:
        raise ReliableSwapError(f"two pairs are called {name}; give them different names (column name)")
    return pairs


def _listed(protocol: str, faces: Path, count: int, frames: int) -> list[Pair]:
    if protocol == "ffpp":
        return ffpp(faces, count)
    return clips(faces, count, frames) if protocol == "video" else read_pairs(faces)[:count]


def unused_photos(
    protocol: str, faces: Path, pairs: Sequence[Pair], seed: int = 0, held_out: float | None = None
) -> list[Shot]:
    """Return photos of the protocol's folder that no pair uses, at most as many as there are pairs.

    Lists of pairs and videos have none.
    """
    photos = _people(protocol, faces, held_out)
    return [] if photos is None else draw_unused(photos, pairs, seed)


def photos_of_others(
    protocol: str, faces: Path, pairs: Sequence[Pair], seed: int = 0, held_out: float | None = None
) -> list[Shot]:
    """Return photos of people whom no pair shows, at most as many as there are pairs; lists and videos have none."""
    photos = _people(protocol, faces, held_out)
    if photos is None:
        return []
    shown = {shot.person for pair in pairs for shot in (pair.source, pair.target)}
    return draw_unused({name: found for name, found in photos.items() if name not in shown}, pairs, seed)


def _people(protocol: str, faces: Path, held_out: float | None) -> dict[str, list[Path]] | None:
    """Person -> photos, for the protocols that draw pairs from a folder of photos."""
    if held_out is not None and protocol != "identity-folders":
        raise ReliableSwapError(
            "--held-out selects people by their folder's name; use it with identity-folders"
        )
    if protocol == "identity-folders":
        return people.identity_folders(faces, held_out)
    if protocol == "celebahq":
        return people.celebahq(faces)
    return people.ffhq(faces) if protocol == "ffhq" else None
