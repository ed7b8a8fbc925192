"""Sources: the faces of pictures, prepared to be put on others."""

from __future__ import annotations

from collections.abc import Sequence

from reliableswap.errors import NoFaceError
from reliableswap.faces.analysers.base import FaceAnalyser, largest_face
from reliableswap.faces.face import Face
from reliableswap.media import Picture
from reliableswap.swap.networks import Networks
from reliableswap.swap.person import Person
from reliableswap.swap.subject import Subject

from .inputs import PictureLike, Source, source_name, to_picture


def find_faces(picture: Picture, analyser: FaceAnalyser) -> list[Face]:
    """The faces of a picture, largest first; raise NoFaceError if there is none."""
    faces = analyser(picture.pixels)
    if not faces:
        raise _no_face(picture)
    return faces


def _no_face(picture: Picture) -> NoFaceError:
    return NoFaceError(
        f"no face found in {picture.name} ({picture.width}x{picture.height}, also turned by quarter "
        "turns); use a sharper or larger photo of the face, or crop closer"
    )


def prepared(photos: Sequence[PictureLike], networks: Networks, analyser: FaceAnalyser) -> Person:
    """The person whose face is the largest of every photo."""
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


def person_of(given: Source, networks: Networks, analyser: FaceAnalyser) -> Person:
    """The source as a person whose vectors these networks have made."""
    person = given.bound_to(networks) if isinstance(given, Person) else prepared([given], networks, analyser)
    if networks.identity is not None:
        _ = person.v_id, person.v_fix
    return person
