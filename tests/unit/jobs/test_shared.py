"""Files that every node needs to see."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from reliableswap.errors import ReliableSwapError
from reliableswap.jobs.shared import existing, require_shared, wait_for


def test_a_node_must_see_the_files_that_the_caller_sees(tmp_path: Path) -> None:
    photo, missing = tmp_path / "photo.jpg", tmp_path / "missing.jpg"
    photo.touch()
    assert existing([photo, missing, photo]) == (photo,)
    require_shared([photo])
    with pytest.raises(ReliableSwapError, match=r"does not see .*missing\.jpg .*every node"):
        require_shared([photo, missing])


def test_a_file_may_show_up_late_but_not_never(tmp_path: Path) -> None:
    late = tmp_path / "late.png"
    timer = threading.Timer(0.3, late.touch)
    timer.start()
    wait_for(late, patience=10)
    timer.join()
    with pytest.raises(ReliableSwapError, match=r"a node wrote .*never\.png.* does not see"):
        wait_for(tmp_path / "never.png", patience=0.0)
