"""Copies that AI did not change keep the marks of their picture."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from support.provenance import photo, picture

from reliableswap.errors import ReliableSwapError
from reliableswap.media import read_picture
from reliableswap.provenance import Record, mark_xmp
from reliableswap.provenance.copies import write_copy
from reliableswap.provenance.metadata import GENERATED, SOURCE_TYPE
from reliableswap.provenance.seal import seal
from reliableswap.provenance.verify import verify


def test_a_copy_of_a_result_still_says_that_it_is_one(tmp_path: Path) -> None:
    record = Record(consent={"statement": "They agreed.", "time": "2026-12-02T10:00:00+00:00"})
    result = read_picture(seal(picture(), tmp_path / "result.png", record))
    found = verify(write_copy(result, tmp_path / "copy.jpg", "faces outlined"))
    assert found.made_here
    assert found.agree
    assert found.mark is not None
    assert found.mark.details["consent"] == "They agreed."
    before, now = found.mark.history
    assert (before.instanceID, now.parameters) == (record.id, "faces outlined")


def test_an_unmarked_picture_stays_unmarked(tmp_path: Path) -> None:
    Image.fromarray(photo()).save(tmp_path / "plain.png")
    plain = read_picture(tmp_path / "plain.png")
    assert not verify(write_copy(plain, tmp_path / "copy.png", "faces outlined")).marked


@pytest.mark.parametrize(
    "kind", [SOURCE_TYPE, SOURCE_TYPE.replace("compositeWithTrainedAlgorithmicMedia", "a&b")]
)
def test_a_copy_does_not_claim_the_marks_of_other_software(kind: str, tmp_path: Path) -> None:
    theirs = io.BytesIO()
    Image.fromarray(photo()).save(theirs, "JPEG", xmp=mark_xmp(software="Other 3", source_type=kind))
    found = verify(write_copy(read_picture(theirs.getvalue()), tmp_path / "copy.png", "faces outlined"))
    assert found.mark is not None
    assert (found.mark.software, found.mark.source_type) == ("Other 3", kind)
    assert not found.made_here
    assert [event.softwareAgent.split()[0] for event in found.mark.history] == ["Other", "ReliableSwap"]


def test_facts_that_only_the_signature_holds_are_carried_over(tmp_path: Path) -> None:
    record = Record(source_type=GENERATED)
    signed = read_picture(seal(picture(), tmp_path / "signed.png", record, layers=("c2pa",)))
    found = verify(write_copy(signed, tmp_path / "copy.png", "faces outlined")).mark
    assert found is not None
    assert found.ai_made
    assert found.history[0].instanceID == record.id


def test_a_copy_replaces_a_file_only_if_asked(tmp_path: Path) -> None:
    path = write_copy(picture(), tmp_path / "copy.png", "copied")
    with pytest.raises(ReliableSwapError, match="exists already"):
        write_copy(picture(), path, "copied")
    write_copy(replace(picture(), name="other"), path, "copied", overwrite=True)
