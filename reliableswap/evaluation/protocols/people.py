"""Group the photos of a folder by person, as the layout of a protocol defines."""

from __future__ import annotations

from pathlib import Path

from reliableswap.data.photos import Photo, list_photos
from reliableswap.data.splits import holds_out
from reliableswap.errors import ReliableSwapError

# CelebA-HQ's list of the CelebA photo behind each of its photos, and CelebA's list of the person in each photo.
_MAPPING, _IDENTITIES = "CelebA-HQ-to-CelebA-mapping.txt", "identity_CelebA.txt"


def find_photos(folder: Path) -> list[Photo]:
    """List the photos below a folder, sorted by name."""
    if not folder.is_dir():
        raise ReliableSwapError(
            f"there is no folder {folder}; give the folder that holds the protocol's photos"
        )
    return list_photos(folder)


def identity_folders(faces: Path, held_out: float | None = None) -> dict[str, list[Path]]:
    """Person -> photos, from one sub-folder per person; held_out: only the people that training leaves out."""
    people: dict[str, list[Path]] = {}
    for photo in find_photos(faces):
        if photo.path.parent == faces:
            raise ReliableSwapError(
                f"{photo.path} is not in a person's folder; identity-folders expects {faces}/PERSON/PHOTO"
            )
        people.setdefault(photo.identity, []).append(photo.path)
    if held_out is None:
        return people
    chosen = {name: photos for name, photos in people.items() if holds_out(name, held_out)}
    if len(chosen) < 2:
        raise ReliableSwapError(
            f"training left out {held_out:g} % of all people; only {len(chosen)} of the {len(people)} in {faces} are "
            "among them, too few for a pair; add people, or measure everybody with --held-out all, which favours a "
            "generator that was trained on them"
        )
    return chosen


def celebahq(faces: Path) -> dict[str, list[Path]]:
    """Person -> photos, by CelebA's lists if they lie beside the photos; else each photo shows a different person."""
    photos = [photo.path for photo in find_photos(faces)]
    mapping, identities = faces / _MAPPING, faces / _IDENTITIES
    if mapping.is_file() != identities.is_file():
        lost = identities if mapping.is_file() else mapping
        raise ReliableSwapError(f"{lost} is missing; put both CelebA lists beside the photos, or neither")
    if not mapping.is_file():
        return {str(path): [path] for path in photos}
    person_of = dict(line.split()[:2] for line in identities.read_text().splitlines() if line.strip())
    rows = [line.split() for line in mapping.read_text().splitlines() if line.strip()]
    owner = {row[0]: person_of.get(row[2], row[2]) for row in rows if row[0].isdigit() and len(row) >= 3}
    people: dict[str, list[Path]] = {}
    for path in photos:
        number = path.stem.lstrip("0") or "0"
        if number not in owner:
            raise ReliableSwapError(
                f"{path} is not in {_MAPPING}; name CelebA-HQ's photos by their number, as its authors do"
            )
        people.setdefault(owner[number], []).append(path)
    return people


def ffhq(faces: Path) -> dict[str, list[Path]]:
    """Photo -> itself: each photo shows a different person."""
    return {str(photo.path): [photo.path] for photo in find_photos(faces)}
