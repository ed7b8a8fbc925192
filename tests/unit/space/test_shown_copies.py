"""Pictures that the page only shows keep the marks of the upload that they were made from."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.provenance import picture

from reliableswap.media import read_picture
from reliableswap.provenance import Record, read_mark
from reliableswap.provenance.seal import seal
from reliableswap.space import files, handlers


@pytest.fixture
def upload() -> dict[str, Any]:
    """A result of ours, uploaded."""
    folder = files.shared_storage().folder / "marked"
    folder.mkdir(exist_ok=True)
    path = seal(picture(), folder / "result.png", Record(), overwrite=True)
    return {"path": str(path), "orig_name": "result.png"}


def test_the_photo_with_numbered_faces(upload: dict[str, Any]) -> None:
    worker: Any = SimpleNamespace(find=lambda photo: [])
    mark = read_mark(handlers.find_faces(worker, upload)[0])
    assert mark is not None
    assert mark.made_here
    assert mark.history[-1].parameters == "faces outlined"


def test_the_target_beside_the_result(upload: dict[str, Any]) -> None:
    swap: Any = SimpleNamespace(before=read_picture(Path(upload["path"])))
    mark = read_mark(handlers.publish_before(swap))
    assert mark is not None
    assert mark.made_here
