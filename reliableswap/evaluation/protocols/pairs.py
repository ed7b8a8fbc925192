"""The protocols: which faces go into which photos. Data is the caller's; each layout is checked.

pairs             a TSV file (or a folder with pairs.tsv) with the columns `source` and `target`, and if wanted
                  `name`, `source_person`, `target_person`, `reference`, `truth`; paths are relative to the file
identity-folders  FOLDER/PERSON/*.jpg: one sub-folder a person; sources are people with two photos or more, if
                  there are any, so that a photo the method never saw can say whom the result looks like
ffhq              FOLDER/**/*.png: every photo is another person
celebahq          the same; with CelebA's two text files beside the photos, photos of one person are never paired
ffpp              FaceForensics++ as its script downloads it (see ffpp.py)
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from reliableswap.data.photos import stands_last
from reliableswap.errors import ReliableSwapError

from .ffpp import ffpp
from .shots import Pair, Shot, find_pictures

PROTOCOLS = ("pairs", "identity-folders", "ffhq", "celebahq", "ffpp")
_PEOPLE = ("identity-folders", "ffhq", "celebahq")  # those that draw pairs from a folder of people's photos
_COLUMNS = {"name", "source", "target", "source_person", "target_person", "reference", "truth"}
# CelebA-HQ's own list of which CelebA photo each was made of, and CelebA's list of whom each photo shows.
_MAPPING, _IDENTITIES = "CelebA-HQ-to-CelebA-mapping.txt", "identity_CelebA.txt"


def make_pairs(
    protocol: str, faces: Path, count: int = 1000, seed: int = 0, held_out: int | None = None
) -> list[Pair]:
    """The protocol's pairs: the same for the same photos, count and seed.

    held_out: of identity folders, only the people that training keeps out at that percentage.
    """
    if count < 1:
        raise ReliableSwapError(f"--pairs {count} leaves nothing to measure; give at least 1")
    if held_out is not None and protocol != "identity-folders":
        raise ReliableSwapError("--held-out chooses among people's folders; use it with identity-folders")
    if protocol == "pairs":
        pairs = listed(faces)[:count]
    elif protocol in _PEOPLE:
        people = _people(protocol, faces, held_out)
        several = [name for name, photos in people.items() if len(photos) > 1]
        judged = protocol == "identity-folders" and len(several) > 1
        pairs = drawn(people, faces, count, seed, several if judged else ())
    elif protocol == "ffpp":
        pairs = ffpp(faces, count)
    else:
        raise ReliableSwapError(f"unknown protocol {protocol!r}; choose one of {', '.join(PROTOCOLS)}")
    names = [pair.name for pair in pairs]
    twice = (
        next((name for name in names if names.count(name) > 1), None)
        if len(set(names)) < len(names)
        else None
    )
    if twice is not None:
        raise ReliableSwapError(f"two pairs are called {twice}; give them names of their own (column name)")
    return pairs


def other_photos(
    protocol: str, faces: Path, pairs: Sequence[Pair], seed: int = 0, held_out: int | None = None
) -> list[Shot]:
    """Photos of the protocol's folder that no pair makes anything of, at most as many as there are pairs.

    People take turns, as they do in drawn pairs. A list of pairs names no other photos, and a video no photos.
    """
    if protocol not in _PEOPLE:
        return []
    taken = {shot.path for pair in pairs for shot in (pair.source, pair.target)}
    rng = np.random.default_rng(seed)
    left = {
        name: [photos[i] for i in rng.permutation(len(photos)) if photos[i] not in taken]
        for name, photos in sorted(_people(protocol, faces, held_out).items())
    }
    found: list[Shot] = []
    while left := {name: photos for name, photos in left.items() if photos}:
        names = list(left)
        found += [Shot(left[names[i]].pop(), names[i]) for i in rng.permutation(len(names))]
        if len(found) >= len(pairs):
            break
    return found[: len(pairs)]


def _people(protocol: str, faces: Path, held_out: int | None) -> dict[str, list[Path]]:
    """Person -> their photos, of a protocol that pairs people."""
    if protocol == "identity-folders":
        return by_folder(faces, held_out)
    if protocol == "celebahq":
        return celebahq_people(faces)
    return {str(path): [path] for path in find_pictures(faces)}


def listed(faces: Path) -> list[Pair]:
    """The pairs of a TSV file."""
    table = faces / "pairs.tsv" if faces.is_dir() else faces
    if not table.is_file():
        raise ReliableSwapError(
            f"there is no pair list {table}; give a TSV file with columns source and target"
        )
    with table.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream, delimiter="\t")
        columns = set(reader.fieldnames or ())
        if not {"source", "target"} <= columns or columns - _COLUMNS:
            raise ReliableSwapError(
                f"{table} begins with the columns {', '.join(map(str, reader.fieldnames or ['none']))}; its first "
                f"line must name source and target, and may name {', '.join(sorted(_COLUMNS - {'source', 'target'}))}"
            )
        pairs = [_listed(table, number, row) for number, row in enumerate(reader, 2)]
    if not pairs:
        raise ReliableSwapError(f"{table} lists no pairs; add lines below its first")
    return pairs


def _listed(table: Path, number: int, row: dict[str, str]) -> Pair:
    def file(column: str) -> Path | None:
        if not row.get(column):
            return None
        path = table.parent / row[column]
        if not path.is_file():
            raise ReliableSwapError(f"{table}, line {number}: there is no {column} {path}; correct the path")
        return path

    source, target = file("source"), file("target")
    if source is None or target is None:
        raise ReliableSwapError(f"{table}, line {number} has no source or no target; fill in both")
    reference = file("reference")
    person = row.get("source_person") or str(source)
    one = Shot(source, person)
    other = Shot(target, row.get("target_person") or str(target))
    name = row.get("name") or pair_name(one, other, table.parent)
    return Pair(name, one, other, Shot(reference, person) if reference else None, file("truth"))


def by_folder(faces: Path, held_out: int | None = None) -> dict[str, list[Path]]:
    """Person -> their photos, from one sub-folder a person."""
    people: dict[str, list[Path]] = {}
    for path in find_pictures(faces):
        if path.parent == faces:
            raise ReliableSwapError(
                f"{path} lies beside the people's folders; identity-folders takes {faces}/PERSON/PHOTO"
            )
        people.setdefault(path.relative_to(faces).parts[0], []).append(path)
    if held_out is not None:
        people = {name: photos for name, photos in people.items() if stands_last(name, held_out)}
    return people


def celebahq_people(faces: Path) -> dict[str, list[Path]]:
    """Person -> their photos, by CelebA's lists if they lie beside the photos; else each photo is a person."""
    photos = find_pictures(faces)
    mapping, identities = faces / _MAPPING, faces / _IDENTITIES
    if mapping.is_file() != identities.is_file():
        lost = identities if mapping.is_file() else mapping
        raise ReliableSwapError(f"{lost} is missing; put both CelebA lists beside the photos, or neither")
    if not mapping.is_file():
        return {str(path): [path] for path in photos}
    whose = dict(line.split()[:2] for line in identities.read_text().splitlines() if line.strip())
    rows = [line.split() for line in mapping.read_text().splitlines() if line.strip()]
    owner = {row[0]: whose.get(row[2], row[2]) for row in rows if row[0].isdigit() and len(row) >= 3}
    people: dict[str, list[Path]] = {}
    for path in photos:
        number = path.stem.lstrip("0") or "0"
        if number not in owner:
            raise ReliableSwapError(f"{path} is not in {_MAPPING}; CelebA-HQ's photos are named by number")
        people.setdefault(owner[number], []).append(path)
    return people


def drawn(
    people: dict[str, list[Path]], root: Path, count: int, seed: int, sources_from: Sequence[str] = ()
) -> list[Pair]:
    """Random pairs of different people; nobody comes again as target, or as source, before everyone has come.

    sources_from: the people to take sources from (those of whom there is another photo to judge by), if any.
    """
    names = sorted(people)
    if len(names) < 2:
        raise ReliableSwapError(f"{root} shows {len(names)} person; a swap needs at least two people")
    most = len(names) * (len(names) - 1)
    if count > most and all(len(photos) == 1 for photos in people.values()):
        raise ReliableSwapError(
            f"{count} pairs can't be drawn from {len(names)} photos; ask for at most {most}"
        )
    rng = np.random.default_rng(seed)
    sources, targets = _rounds(sorted(sources_from) or names, rng), _rounds(names, rng)
    pairs: dict[str, Pair] = {}
    waiting: list[str] = []  # sources whose turn met their own face
    tries = 0
    while len(pairs) < count:
        target = next(targets)
        fit = next((i for i, name in enumerate(waiting) if name != target), None)
        source = waiting.pop(fit) if fit is not None else next(sources)
        while source == target:
            waiting.append(source)
            source = next(sources)
        pair = _pair(people, source, target, root, rng)
        tries = tries + 1 if pair.name in pairs else 0
        if tries > 100 * len(names):
            raise ReliableSwapError(f"{count} different pairs can't be drawn from {root}; ask for fewer")
        pairs.setdefault(pair.name, pair)
    return list(pairs.values())


def _rounds(names: Sequence[str], rng: np.random.Generator) -> Iterator[str]:
    while True:
        for index in rng.permutation(len(names)):
            yield names[index]


def _pair(
    people: dict[str, list[Path]], source: str, target: str, root: Path, rng: np.random.Generator
) -> Pair:
    photos = [people[source][i] for i in rng.permutation(len(people[source]))]
    one = Shot(photos[0], source)
    other = Shot(people[target][rng.integers(len(people[target]))], target)
    reference = Shot(photos[1], source) if len(photos) > 1 else None
    return Pair(pair_name(one, other, root), one, other, reference)


def pair_name(source: Shot, target: Shot, root: Path) -> str:
    """TARGET__SOURCE, the order of FaceForensics++: its results are named by the video they changed first."""

    def plain(path: Path) -> str:
        inner = path.relative_to(root) if path.is_relative_to(root) else path
        return "-".join(part for part in inner.with_suffix("").parts if part not in ("/", ".."))

    return f"{plain(target.path)}__{plain(source.path)}"


def write_pairs(pairs: Sequence[Pair], path: Path) -> None:
    """The pairs as a TSV file, for other tools to make their results by; paths below it are relative to it."""
    if any(pair.clip for pair in pairs):
        raise ReliableSwapError(
            "frames of videos can't be listed as photos; results of ffpp are TARGET_SOURCE.mp4"
        )

    def shown(file: Path | None) -> str:
        if file is None:
            return ""
        whole, root = file.resolve(), path.parent.resolve()
        return str(whole.relative_to(root) if whole.is_relative_to(root) else whole)

    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
        writer.writerow(("name", "source", "target", "source_person", "target_person", "reference", "truth"))
        for pair in pairs:
            reference = pair.reference.path if pair.reference else None
            files = (pair.source.path, pair.target.path)
            # A person known by nothing but the photo is left to be known by it again.
            people = ("" if s.person == str(s.path) else s.person for s in (pair.source, pair.target))
            writer.writerow((pair.name, *map(shown, files), *people, shown(reference), shown(pair.truth)))
