"""Sealing results: every layer of marks, the marks of inputs, whole files, and layers left out only by name."""

from __future__ import annotations

import io
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.picture_files import four, rgb_profile
from support.provenance import clip, photo, picture

from reliableswap.errors import PictureError
from reliableswap.media import Picture, read_picture
from reliableswap.provenance import Record, mark_xmp, read_mark
from reliableswap.provenance.metadata import SOURCE_TYPE
from reliableswap.provenance.record import payload_of
from reliableswap.provenance.seal import LAYERS, mark_pixels, seal, seal_clip
from reliableswap.provenance.verify import verify
from reliableswap.provenance.watermark import Reading

EXTENSIONS = ["png", "jpg", "jpeg", "webp", "tif", "tiff", "avif"]
FACE = (60, 40, 200, 220)


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_every_format_carries_every_layer(extension: str, tmp_path: Path) -> None:
    given = replace(picture(), icc=rgb_profile())
    record = Record(engine="blend", faces=[FACE], target=given.known_origin())
    path = seal(given, tmp_path / f"out.{extension}", record)
    found = verify(path)
    assert found.made_here
    assert found.manifest is not None
    assert found.manifest.state == "valid"
    assert found.mark is not None
    assert found.mark.details["record"] == record.id == found.manifest.label
    assert found.watermark is not None
    assert found.watermark.payload == payload_of(record.id)
    assert found.agree
    read = read_picture(path)
    assert read.icc == given.icc
    assert np.abs(read.pixels.astype(int) - photo()).mean() < 3


def test_transparency_survives(tmp_path: Path) -> None:
    alpha = np.tile(np.arange(256, dtype=np.uint8), (256, 1))
    path = seal(Picture(photo(), alpha), tmp_path / "out.png", Record())
    np.testing.assert_array_equal(read_picture(path).alpha, alpha)


def test_a_swap_of_a_swap_keeps_every_layer(tmp_path: Path) -> None:
    record = Record(target=picture().known_origin())
    first = read_picture(seal(picture(), tmp_path / "first.png", record))
    pixels = first.pixels.copy()
    pixels[60:200, 60:200] = photo()[50:190, 50:190]  # another face
    second = Record(target=first.known_origin(), faces=[(60, 60, 200, 200)])
    found = verify(seal(replace(first, pixels=pixels), tmp_path / "second.png", second))
    assert found.manifest is not None
    assert found.manifest.parents == (record.id,)
    assert found.mark is not None
    assert [event.instanceID for event in found.mark.history] == [record.id, second.id]
    assert found.watermark is not None
    assert found.watermark.payload == payload_of(second.id)
    assert found.agree


class Stubborn:
    """A watermark that a second one does not replace."""

    name = "stubborn"

    def embed(self, pixels: np.ndarray, payload: int, faces: object = ()) -> np.ndarray:
        return np.clip(pixels, 1, 255).astype(np.uint8)

    def read(self, pixels: np.ndarray) -> Reading | None:
        return Reading(7, 1.0)

    def read_many(self, frames: object) -> Reading | None:
        return Reading(7, 1.0)


def test_a_watermark_that_does_not_give_way_stays_and_is_named(tmp_path: Path) -> None:
    path = seal(picture(), tmp_path / "out.png", Record(), watermark=Stubborn())
    np.testing.assert_array_equal(read_picture(path).pixels, photo())
    found = verify(path, watermark=Stubborn())
    assert found.mark is not None
    assert found.mark.details["watermark"] == "00000007"
    assert found.agree


def test_a_mark_of_other_software_goes_into_the_history(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.jpg"
    Image.fromarray(photo()).save(theirs, xmp=mark_xmp(software="Camera 3"))
    for target in (read_picture(theirs), read_picture(Image.open(theirs))):
        path = seal(target, tmp_path / "out.png", Record(target=target.known_origin()), overwrite=True)
        mark = read_mark(path)
        assert mark is not None
        before, now = mark.history
        assert (before.action, before.softwareAgent, before.parameters) == (
            "produced",
            "Camera 3",
            SOURCE_TYPE,
        )
        assert now.action == "edited"


def test_a_watermark_whose_metadata_was_lost_is_remembered(tmp_path: Path) -> None:
    """A screenshot of a result: the pixels are all that is left."""
    seal(picture(), tmp_path / "first.png", record := Record())
    screenshot = read_picture(read_picture(tmp_path / "first.png").pixels)
    path = seal(screenshot, tmp_path / "second.png", Record(target=screenshot.known_origin()))
    mark = read_mark(path)
    assert mark is not None
    assert mark.history[0].parameters == f"watermark {record.payload:08x}"


def test_history_does_not_grow_without_end(tmp_path: Path) -> None:
    origin = None
    for _ in range(45):
        record = Record(target=origin)
        seal(Picture(four()), tmp_path / "out.jpg", record, overwrite=True, layers=("xmp",))
        origin = read_picture(tmp_path / "out.jpg").origin
    assert origin is not None
    assert origin.mark is not None
    assert len(origin.mark.history) == 40
    assert origin.mark.history[-1].instanceID == record.id


def test_a_picture_too_small_for_a_watermark_has_none(tmp_path: Path) -> None:
    found = verify(seal(Picture(four()), tmp_path / "out.png", Record()))
    assert found.watermark is None
    assert found.mark is not None
    assert "watermark" not in found.mark.details
    assert found.agree is None


@pytest.mark.parametrize("left_out", LAYERS)
def test_a_layer_is_left_out_only_by_name(
    left_out: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = [layer for layer in LAYERS if layer != left_out]
    with caplog.at_level(logging.WARNING):
        found = verify(seal(picture(), tmp_path / "out.png", Record(), layers=kept))
    present = {"watermark": found.watermark, "xmp": found.mark, "c2pa": found.manifest}
    assert [layer for layer in LAYERS if present[layer] is not None] == kept
    assert f"without {left_out}" in caplog.text


@pytest.mark.parametrize("layers", ["xmp", ["c2pa", "exif"]])
def test_unknown_layers_are_refused(layers: str | list[str], tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="choose from watermark, xmp, c2pa"):
        seal(picture(), tmp_path / "out.png", Record(), layers=layers)
    assert not list(tmp_path.iterdir())


def test_the_label_is_an_option(tmp_path: Path) -> None:
    record = Record()
    plain, labelled = (
        read_picture(seal(picture(), tmp_path / f"{label}.png", record, label=label)).pixels.astype(int)
        for label in (False, True)
    )
    changed = np.abs(plain - labelled).max(2) > 30
    assert changed[-20:, -60:].any()
    assert not changed[:200].any()


def test_a_result_that_can_not_be_signed_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RELIABLESWAP_CERT", str(tmp_path / "missing.pem"))
    monkeypatch.setenv("RELIABLESWAP_KEY", str(tmp_path / "missing.pem"))
    with pytest.raises(ValueError, match=r"missing\.pem can't be read"):
        seal(picture(), tmp_path / "out.png", Record())
    assert not list(tmp_path.iterdir())


class Loud:
    """Another watermark: the payload in the first pixels."""

    name = "loud"

    def embed(self, pixels: np.ndarray, payload: int, faces: object = ()) -> np.ndarray:
        marked = pixels.copy()
        marked[0, 0] = 255
        marked[0, 1, :3] = list(payload.to_bytes(4, "big"))[:3]
        return marked

    def read(self, pixels: np.ndarray) -> Reading | None:
        return Reading(7, 1.0) if (pixels[0, 0] == 255).all() else None

    def read_many(self, frames: object) -> Reading | None:
        return None


def test_another_watermark_takes_the_place_of_ours(tmp_path: Path) -> None:
    path = seal(picture(), tmp_path / "out.png", Record(), watermark=Loud())
    assert verify(path).watermark is None
    assert verify(path, watermark=Loud()).watermark == Reading(7, 1.0)


def test_a_clip_is_signed_with_the_watermark_of_its_frames(tmp_path: Path) -> None:
    record = Record(faces=[FACE])
    marked, carried, before = mark_pixels(photo(), record)
    assert (carried, before) == (record.payload, None)
    (tmp_path / "draft.mp4").write_bytes(clip([marked] * 6))
    record = replace(record, watermark=carried)
    found = verify(seal_clip(tmp_path / "draft.mp4", tmp_path / "out.mp4", record))
    assert found.manifest is not None
    assert found.manifest.state == "valid"
    assert found.watermark is not None
    assert found.agree
    with pytest.raises(PictureError, match="exists already"):
        seal_clip(tmp_path / "draft.mp4", tmp_path / "out.mp4", record)
    with pytest.raises(PictureError, match=r"end the name with \.mp4"):
        seal_clip(tmp_path / "draft.mp4", tmp_path / "out.png", record)


def test_the_origin_of_a_picture_is_its_file(tmp_path: Path) -> None:
    path = seal(picture(), tmp_path / "out.png", Record())
    content = path.read_bytes()
    origins = [read_picture(one).known_origin() for one in (path, content, io.BytesIO(content))]
    assert origins[0] == origins[1] == origins[2]
    assert origins[0].signed == content
    plain = read_picture(photo()).known_origin()
    assert (plain.of, plain.signed, plain.mark) == ("pixels", None, None)
