"""Sources: the faces of pictures, prepared to be put on others."""

from __future__ import annotations

from collections.abc import Sequence

from reliableswap.errors import NoFaceError, ReliableSwapError
from reliableswap.faces.analysers.base import FaceAnalyser, largest_face
from reliableswap.faces.face import Face
from reliableswap.media import Picture
from reliableswap.swap.networks import Networks
from reliableswap.swap.person import Person
from reliableswap.swap.subject import Subject

from .inputs import Photos, PictureLike, as_list, source_name, to_picture


def find_faces(picture: Picture, analyser: FaceAnalyser) -> list[Face]:
    """Find the faces of a picture, largest first; raise NoFaceError if there is none."""
    faces = analyser(picture.pixels)
    if not faces:
        raise _no_face(picture)
    return faces


def _no_face(picture: Picture) -> NoFaceError:
    return NoFaceError(
        f"no face found in {picture.name} ({picture.width}x{picture.height}), upright or rotated by 90, 180 or 270 "
        "degrees; use a sharper or larger photo of the face, or crop closer"
    )


def prepare_person(photos: Sequence[PictureLike], networks: Networks, analyser: FaceAnalyser) -> Person:
    """Prepare the person whose face is the largest in every photo."""
    subjects, origins = [], []
    for photo in photos:
        picture = to_picture(photo)
        face = largest_face(analyser, picture.pixels)
        if face is None:
            raise _no_face(picture)
        subjects.append(Subject.around(picture.pixels, face, picture.name, networks))
        subjects[-1].check_features(picture.name)
        origins.append(picture.known_origin())
    return Person(source_name(photos[0]), tuple(subjects), tuple(origins))


def person_of(given: Photos, networks: Networks, analyser: FaceAnalyser) -> Person:
    """Return the source as a Person with these networks' vectors; a list of photos is one person."""
    if isinstance(given, Person):
        person = given.bound_to(networks)
    else:
        photos = as_list(given)
        if not photos:
            raise ReliableSwapError("no photo was given; pass at least one photo of the person")
        person = prepare_person(photos, networks, analyser)
    if networks.identity is not None:
        _ = person.v_id, person.v_fix
    return person
