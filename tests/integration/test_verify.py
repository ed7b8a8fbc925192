"""Verify: what Python and the command line report about files, also after a chain of edits."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.people import portrait
from support.provenance import anchor, clip, photo, picture

import reliableswap
from reliableswap.bundled import WEIGHTS
from reliableswap.cli.main import main
from reliableswap.errors import PictureError
from reliableswap.provenance import Record
from reliableswap.provenance.checksums import check_folder, write_checksums
from reliableswap.provenance.credentials import credentials
from reliableswap.provenance.local_pair import make_pair
from reliableswap.provenance.seal import seal


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    consent = {"statement": "They agreed.", "time": "2026-12-02T10:00:00+00:00"}
    return seal(picture(), tmp_path / "sealed.jpg", Record(consent=consent))


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "plain.png"
    Image.fromarray(photo()).save(path)
    return path


def told(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    status = main(["verify", *map(str, arguments)])
    return status, capsys.readouterr().out


@pytest.mark.slow
def test_a_swap_states_what_went_in(pipe: reliableswap.ReliableSwapPipeline, tmp_path: Path) -> None:
    Image.fromarray(portrait(1, 256)).save(tmp_path / "alice.png")
    Image.fromarray(portrait(2, 320)).save(tmp_path / "bob.png")
    result = pipe(tmp_path / "alice.png", tmp_path / "bob.png", likeness=0.8, consent="Alice and Bob agreed.")
    files = [result.save(tmp_path / name) for name in ("one.png", "two.png")]
    found = [reliableswap.verify(file) for file in files]
    statement = found[0].manifest.statement
    assert statement["settings"]["likeness"] == 0.8
    assert statement["consent"]["statement"] == "Alice and Bob agreed."
    assert {one["name"]: one["class"] for one in statement["networks"]}["generator"] == "LightGenerator"
    assert all(len(one["checksum"]) == 32 for one in statement["networks"])
    assert len(statement["faces"]) == 1
    assert statement["target"]["of"] == statement["sources"][0]["of"] == "file"
    assert "alice" not in json.dumps(statement["sources"])
    assert found[0].manifest.label != found[1].manifest.label, "each file has a record of its own"
    assert all(one.agree for one in found)

    again = pipe(tmp_path / "alice.png", files[0]).save(tmp_path / "again.png")
    chain = reliableswap.verify(again)
    assert chain.manifest.parents == (found[0].manifest.label,)
    assert chain.agree


def test_the_text_and_the_exit_status(
    sealed: Path, plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, text = told(capsys, sealed)
    assert status == 0
    assert "Made by AI, with ReliableSwap." in text
    assert "signed by an unknown signer; nothing was changed since." in text
    assert 'Consent was stated: "They agreed."' in text
    assert "It is the one that the metadata names." in text
    status, text = told(capsys, plain)
    assert status == 1
    assert "No mark was found." in text
    assert "proves nothing" in text
    (tmp_path / "text.png").write_text("hello")
    assert main(["verify", str(tmp_path / "text.png")]) == 2
    assert "not a picture" in capsys.readouterr().err
    assert main(["verify", str(tmp_path / "missing.png")]) == 2


def test_several_files_as_json(
    sealed: Path, plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.png").write_text("hello")
    status, text = told(capsys, sealed, plain, "--json")
    assert status == 1
    assert [one["ai_made"] for one in json.loads(text)] == [True, False]
    status, text = told(capsys, sealed, tmp_path / "text.png", "--json")
    assert status == 2
    assert "error" in json.loads(text)[1]


def test_a_trusted_signer(
    sealed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = tmp_path / "anchor.pem"
    pem.write_bytes(anchor(credentials()))
    assert "signed by a trusted signer" in told(capsys, sealed, "--trust", pem)[1]
    monkeypatch.setenv("RELIABLESWAP_TRUST", str(pem))
    assert reliableswap.verify(sealed).manifest.state == "trusted"
    with pytest.raises(PictureError, match="trusted certificates"):
        reliableswap.verify(sealed, anchors=tmp_path / "missing.pem")


def test_a_changed_picture_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = bytearray(seal(picture(), tmp_path / "a.tif", Record()).read_bytes())
    content[2000] ^= 1
    (tmp_path / "a.tif").write_bytes(content)
    found = reliableswap.verify(tmp_path / "a.tif")
    assert found.manifest.state == "invalid"
    assert "is NOT valid. The picture was changed after it was signed." in " ".join(found.sentences())


def test_a_screenshot_is_recognised_by_its_pixels(sealed: Path, tmp_path: Path) -> None:
    with Image.open(sealed) as image:
        image.convert("RGB").crop((20, 11, 240, 250)).save(tmp_path / "screenshot.jpg", quality=80)
    found = reliableswap.verify(tmp_path / "screenshot.jpg")
    assert (found.mark, found.manifest) == (None, None)
    assert found.made_here


def test_a_watermark_of_another_record_is_reported(sealed: Path, tmp_path: Path) -> None:
    """The metadata was copied to another marked picture."""
    with Image.open(seal(picture(), tmp_path / "other.png", Record())) as other:
        other.save(tmp_path / "moved.jpg", xmp=Image.open(sealed).info["xmp"], quality=95)
    found = reliableswap.verify(tmp_path / "moved.jpg")
    assert found.agree is False
    assert "The metadata names another" in " ".join(found.sentences())


def test_a_clip_without_marks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "clip.mp4").write_bytes(clip([photo()] * 2))
    status, text = told(capsys, tmp_path / "clip.mp4")
    assert status == 1
    assert "No mark was found." in text


def test_a_truncated_picture_is_verified_as_far_as_possible(sealed: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.jpg").write_bytes(sealed.read_bytes()[:-2000])
    found = reliableswap.verify(tmp_path / "cut.jpg")
    assert found.mark is not None
    assert found.manifest.state in ("invalid", "unreadable")
    assert "could not be read" in " ".join(found.sentences())


def test_importing_the_package_stays_light() -> None:
    code = "import sys, reliableswap; assert not {'c2pa', 'torch', 'cryptography'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_checksums_of_networks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "generator").mkdir()
    (tmp_path / "generator" / "config.json").write_text("{}")
    (tmp_path / "generator" / "weights.safetensors").write_bytes(b"numbers")
    with pytest.raises(ValueError, match="has no CHECKSUMS"):
        check_folder(tmp_path)
    write_checksums(tmp_path)
    assert check_folder(tmp_path).holds
    status, text = told(capsys, tmp_path)
    assert status == 0
    assert "signed by an unknown signer" in text
    (tmp_path / "anchor.pem").write_bytes(anchor(credentials()))
    assert check_folder(tmp_path, tmp_path / "anchor.pem").state == "trusted"
    (tmp_path / "anchor.pem").write_bytes(make_pair())
    assert check_folder(tmp_path, tmp_path / "anchor.pem").state == "valid"

    (tmp_path / "generator" / "weights.safetensors").write_bytes(b"other numbers")
    (tmp_path / "generator" / "config.json").unlink()
    (tmp_path / "more.safetensors").write_bytes(b"")
    found = check_folder(tmp_path)
    assert (found.changed, found.missing, found.added) == (
        ("generator/weights.safetensors",),
        ("generator/config.json",),
        ("more.safetensors",),
    )
    assert told(capsys, tmp_path)[0] == 1
    listed = json.loads((tmp_path / "CHECKSUMS.json").read_text())
    listed["files"]["generator/weights.safetensors"] = "0" * 64
    (tmp_path / "CHECKSUMS.json").write_text(json.dumps(listed))
    assert check_folder(tmp_path).state == "invalid"


def test_the_bundled_networks_are_those_that_were_signed() -> None:
    found = check_folder(WEIGHTS)
    assert found.holds, f"{found}: run `reliableswap release` after changing networks"


def test_arrays_in_and_files_out(pipe: reliableswap.ReliableSwapPipeline, tmp_path: Path) -> None:
    """A target that is not a file is identified by the checksum of its pixels."""
    target = portrait(2, 256)
    found = reliableswap.verify(pipe(portrait(1, 256), target).save(tmp_path / "out.png"))
    assert found.manifest.statement["target"]["of"] == "pixels"
    assert np.array_equal(target, portrait(2, 256))
