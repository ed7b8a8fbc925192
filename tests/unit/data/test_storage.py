"""Files that are whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from reliableswap.data.storage import write_whole


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    def fails(draft: Path) -> None:
        draft.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_whole(tmp_path / "a.txt", fails)
    assert list(tmp_path.iterdir()) == []
    write_whole(tmp_path / "a.txt", lambda draft: draft.write_text("whole"))
    with pytest.raises(OSError, match="disk full"):
        write_whole(tmp_path / "a.txt", fails)
    assert [p.read_text() for p in tmp_path.iterdir()] == ["whole"]
