"""Atomic file writes, and cached folder listings."""

from __future__ import annotations

from pathlib import Path

import pytest

from reliableswap.data.storage import FolderListing, write_atomic


def test_a_file_is_written_atomically(tmp_path: Path) -> None:
    def fails(draft: Path) -> None:
        draft.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomic(tmp_path / "a.txt", fails)
    assert list(tmp_path.iterdir()) == []
    write_atomic(tmp_path / "a.txt", lambda draft: draft.write_text("whole"))
    with pytest.raises(OSError, match="disk full"):
        write_atomic(tmp_path / "a.txt", fails)
    assert [p.read_text() for p in tmp_path.iterdir()] == ["whole"]


def test_names_are_listed_again_if_one_is_missing(tmp_path: Path) -> None:
    names, patient = FolderListing(tmp_path / "none", age=0), FolderListing(tmp_path, age=100)
    assert "a" not in names
    assert "a" not in patient
    (tmp_path / "none").mkdir()
    for folder in (tmp_path, tmp_path / "none"):
        (folder / "a").touch()
    assert "a" in names
    assert "a" not in patient  # its listing is still recent
