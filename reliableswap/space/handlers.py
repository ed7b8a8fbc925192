"""What the server does for the page, the API and MCP: check the inputs, do the job, publish files and facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from reliableswap.errors import ReliableSwapError
from reliableswap.faces.draw import annotate
from reliableswap.media import Picture
from reliableswap.pipelines.image import Engine
from reliableswap.provenance.record import TRIPLET_SWAP, Record, now
from reliableswap.provenance.verify import verify as verification

from .consent import NOTE, STATEMENT, require_consent
from .files import File, publish, read_upload, upload_name, uploaded_path
from .inputs import check_engine, parse_faces, swap_options
from .limits import MAX_PIXELS, MAX_RESULT_BYTES, MAX_RESULT_MEGABYTES
from .people import Trained, read_sources
from .views import opaque
from .work import Swap, Worker

_PHOTOS = ("a", "b")  # the pictures of a triplet that are real


def swap_faces(
    worker: Worker,
    sources: Mapping[int, File | Trained],
    target: File | None,
    agreed: object,
    faces: object,
    engine: Engine,
    *strengths: object,
    attributes: object = None,
    age: object = 0,
) -> tuple[str, Swap]:
    """Swap, and return the path of the marked result and what was done; no file is opened without consent.

    faces: see `inputs.parse_faces`; strengths: in the order of `inputs.STRENGTHS`; attributes: see
    `inputs.parse_attributes`; age: years older, or younger if negative.
    """
    require_consent(agreed)
    options, mapping = swap_options(strengths, attributes, age), parse_faces(faces)
    check_engine(engine)
    photo = read_upload(target, "target photo")
    swap = worker.swap(read_sources(sources), photo, mapping, engine, options)
    return publish(replace(swap.after, name=photo.name), "swapped.png", swap.record), swap


def publish_before(swap: Swap) -> str:
    """Publish the target for the before-and-after slider: upright, opaque, in a format that every browser shows."""
    return publish(opaque(swap.before), "before.jpg", None)


def swap_facts(swap: Swap) -> dict[str, Any]:
    """Return the report for the API."""
    return {**swap.report.to_dict(), "note": f"{NOTE}: this picture does not show what happened."}


def find_faces(worker: Worker, target: File | None) -> tuple[str, list[dict[str, Any]]]:
    """Return the path of the photo with its faces numbered, and each face's number, box and score."""
    photo = read_upload(target, "photo")
    faces = worker.find(photo)
    outlined = Picture(annotate(photo.pixels, faces), name=photo.name, origin=photo.origin)
    drawn = publish(outlined, "numbered.jpg", None, "faces outlined")
    facts = [
        {"index": index, "box": [round(float(v), 1) for v in face.box], "score": round(face.score, 4)}
        for index, face in enumerate(faces)
    ]
    return drawn, facts


def make_triplet(worker: Worker, a: File | None, b: File | None, agreed: object) -> dict[str, str]:
    """Return the paths of the figure's pictures by name; all but the crops of the two photos are marked."""
    require_consent(agreed)
    photos = [read_upload(a, "first photo"), read_upload(b, "second photo")]
    triplet = worker.triplet(*photos)
    origins = {name: photo.origin for name, photo in zip(_PHOTOS, photos, strict=True)}
    return {
        name: _publish_panel(Picture(pixels, name=name, origin=origins.get(name)))
        for name, pixels in vars(triplet).items()
        if pixels is not None
    }


def _publish_panel(picture: Picture) -> str:
    file = f"{picture.name}.png"
    if picture.name in _PHOTOS:
        return publish(picture, file, None, "face cropped")
    consent = {"statement": STATEMENT, "time": now()}
    return publish(picture, file, Record(action=TRIPLET_SWAP, consent=consent))


def verify(file: File | None) -> dict[str, Any]:
    """Return what a file says about how it was made; it is read as it was uploaded, byte for byte."""
    path = uploaded_path(file, "file")
    name = upload_name(file, path)
    if path.stat().st_size > MAX_RESULT_BYTES:
        raise ReliableSwapError(
            f"{name} is larger than {MAX_RESULT_MEGABYTES} MB, which no result of this page exceeds"
        )
    return {"file": name, **verification(path, name=name, max_pixels=MAX_PIXELS).to_dict()}
