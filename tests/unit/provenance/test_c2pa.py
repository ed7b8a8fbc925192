"""Signed manifests: every format; changes are detected, chains are kept, and no source is shown."""

from __future__ import annotations

import http.server
import io
import json
import threading
from pathlib import Path

import c2pa
import pytest
from support.picture_files import encoded, rgb
from support.provenance import anchor, clip, photo

from reliableswap.errors import PictureError
from reliableswap.media.picture import Picture
from reliableswap.media.read import read_picture
from reliableswap.media.write import encode_picture
from reliableswap.provenance.c2pa import Manifest, read_manifest, sign
from reliableswap.provenance.credentials import Credentials, credentials, parse_credentials
from reliableswap.provenance.metadata import GENERATED, SOURCE_TYPE, Mark
from reliableswap.provenance.origin import Origin, origin_of_file, origin_of_pixels
from reliableswap.provenance.record import Record

TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "webp": "image/webp",
    "tif": "image/tiff",
    "avif": "image/avif",
    "mp4": "video/mp4",
}


def content(extension: str) -> bytes:
    if extension == "mp4":
        return clip([photo()] * 3)
    return encode_picture(Picture(photo()), f"a.{extension}")


def read(data: bytes, anchors: str | None = None) -> Manifest:
    found = read_manifest(io.BytesIO(data), anchors=anchors)
    assert found is not None
    return found


def whole(data: bytes, media_type: str = "image/png") -> dict:
    """The manifests as another C2PA reader gives them."""
    with c2pa.Reader(media_type, io.BytesIO(data)) as reader:
        return dict(json.loads(reader.json()))


def signed(extension: str = "png", record: Record | None = None) -> bytes:
    return sign(content(extension), TYPES[extension], record or Record(), credentials())


def of_file(data: bytes, media_type: str = "image/png", mark: Mark | None = None) -> Origin:
    return origin_of_file(io.BytesIO(data), media_type, mark)


@pytest.mark.parametrize("extension", TYPES)
def test_every_format_is_signed_and_one_changed_byte_is_found(extension: str) -> None:
    plain = content(extension)
    record = Record(consent={"statement": "They agreed.", "time": "2026-12-02"}, settings={"likeness": 0.75})
    data = sign(plain, TYPES[extension], record, credentials())
    found = read(data)
    assert (found.state, found.faults) == ("valid", ())
    assert (found.ai_made, found.made_here) == (True, True)
    assert found.label == found.statement["id"] == record.id
    assert found.statement["consent"]["statement"] == "They agreed."
    assert found.statement["settings"] == {"likeness": 0.75}

    middle = data.index(plain[len(plain) // 2 : len(plain) // 2 + 24])  # in the pixels
    changed = bytearray(data)
    changed[middle] ^= 1
    found = read(bytes(changed))
    assert found.state == "invalid"
    assert found.content_changed


def test_a_changed_statement_is_found() -> None:
    data = signed(record=Record(consent={"statement": "nobody agreed"}))
    found = read(data.replace(b"nobody agreed", b"they  agreed!"))
    assert found.state == "invalid"
    assert not found.content_changed
    assert any("hashedURI" in fault for fault in found.faults)


def test_the_signer_is_trusted_only_by_an_anchor() -> None:
    data = signed()
    assert read(data, anchor(credentials()).decode()).state == "trusted"
    assert read(data).state == "valid"
    assert "local" in read(data).signer


def test_a_swap_of_a_swap_keeps_the_chain() -> None:
    first = signed("jpg")
    second = signed("png", Record(target=of_file(first, "image/jpeg")))
    third = signed("webp", Record(target=of_file(second)))
    labels = [read(data).label for data in (first, second, third)]
    assert read(third).parents == (labels[1], labels[0])
    assert read(third).state == "valid"
    (ingredient,) = whole(third, "image/webp")["manifests"][labels[2]]["ingredients"]
    assert ingredient["relationship"] == "parentOf"
    assert ingredient["active_manifest"] == labels[1]


def test_a_targets_failed_validation_is_recorded() -> None:
    first = bytearray(signed())
    first[-20] ^= 1
    found = whole(signed("png", Record(target=of_file(bytes(first)))))
    (ingredient,) = found["manifests"][found["active_manifest"]]["ingredients"]
    faults = ingredient["validation_results"]["activeManifest"]["failure"]
    assert "assertion.dataHash.mismatch" in [fault["code"] for fault in faults]


def test_a_targets_damaged_manifest_is_reported_and_not_carried_over() -> None:
    first = signed()
    place = first.index(b"c2cl")
    broken = first[:place] + bytes(40) + first[place + 40 :]
    assert read(broken).state == "unreadable"
    found = read(signed("png", Record(target=of_file(broken))))
    assert found.state == "valid"
    assert found.parents == ()
    assert found.statement["target"]["manifest"].startswith("unreadable: ")


def test_the_actions_say_what_was_done() -> None:
    target = origin_of_pixels(photo())
    for record, done in (
        (Record(target=target), ["c2pa.opened", "c2pa.edited"]),
        (Record(), ["c2pa.created"]),
        (Record(source_type=GENERATED), ["c2pa.created"]),
    ):
        found = whole(signed("png", record))
        assertions = found["manifests"][found["active_manifest"]]["assertions"]
        (actions,) = (one["data"]["actions"] for one in assertions if one["label"] == "c2pa.actions.v2")
        assert [action["action"] for action in actions] == done
        assert actions[-1]["digitalSourceType"] == record.source_type
        assert actions[-1]["when"] == record.time


def test_sources_are_recorded_by_checksum_without_their_pictures() -> None:
    mark = Mark(SOURCE_TYPE, "OtherSwapper 1")
    source = signed("jpg", Record(consent={"statement": "a word of the source"}))
    origin = of_file(source, "image/jpeg", mark)
    data = signed("png", Record(sources=[origin, origin_of_pixels(photo())]))
    first, second = read(data).statement["sources"]
    assert first["sha256"] == origin.sha256
    assert first["marked"]["software"] == "OtherSwapper 1"
    assert first["manifest"] == read(source).label
    assert second["of"] == "pixels"
    assert b"a word of the source" not in data
    found = whole(data)
    assert len(found["manifests"]) == 1
    assert "thumbnail" not in json.dumps(found)
    assert len(data) - len(content("png")) < 8000


def test_no_thumbnail_of_the_target_and_no_file_name() -> None:
    target = read_picture(content("jpg"))
    data = signed("png", Record(target=target.known_origin()))
    assert "thumbnail" not in json.dumps(whole(data))
    assert whole(data)["manifests"][read(data).label]["ingredients"][0]["title"] == "target"


def test_an_ai_picture_that_others_edited_is_still_ai_made() -> None:
    context = c2pa.Context.from_dict({}, signer=native_signer(credentials()))
    builder = c2pa.Builder({"assertions": [], "claim_generator_info": [{"name": "Cropper"}]}, context)
    builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
    builder.add_ingredient({"title": "a", "relationship": "parentOf"}, "image/png", io.BytesIO(signed()))
    out = io.BytesIO()
    builder.sign("image/png", io.BytesIO(content("png")), out)
    found = read(out.getvalue())
    assert (found.ai_made, found.made_here) == (True, False)


def native_signer(signer: Credentials) -> c2pa.Signer:
    return c2pa.Signer.from_info(c2pa.C2paSignerInfo(signer.algorithm, signer.certificates, signer.key, None))


def test_certificates_that_c2pa_refuses_are_one_line(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    from reliableswap.provenance.local_pair import certificate

    key = ec.generate_private_key(ec.SECP256R1())
    alone = certificate("root", key.public_key(), key, is_root=True).public_bytes(Encoding.PEM)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(PictureError, match=r"^me\.png can't be signed \(.*check the certificate") as caught:
        sign(content("png"), "image/png", Record(), parse_credentials(alone, secret, "a", "b"), "me.png")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("form", ["PNG", "GIF", "BMP"])
def test_files_without_a_manifest(form: str) -> None:
    assert read_manifest(io.BytesIO(encoded(rgb(), form))) is None


def test_manifests_are_not_fetched_from_the_network() -> None:
    """A file may contain a URL of its manifest."""
    asked = []

    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    context = c2pa.Context.from_dict({}, signer=native_signer(credentials()))
    builder = c2pa.Builder({"assertions": [], "claim_generator_info": [{"name": "Remote"}]}, context)
    builder.set_intent(c2pa.C2paBuilderIntent.CREATE, c2pa.C2paDigitalSourceType.DIGITAL_CAPTURE)
    builder.set_no_embed()
    builder.set_remote_url(f"http://127.0.0.1:{server.server_port}/manifest.c2pa")
    out = io.BytesIO()
    builder.sign("image/png", io.BytesIO(content("png")), out)
    assert str(server.server_port).encode() in out.getvalue()
    found = read_manifest(io.BytesIO(out.getvalue()))
    server.shutdown()
    server.server_close()
    assert asked == []
    assert found is None or found.state == "unreadable"
