"""What is sent to the nodes that make a clip's segments."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import pytest

from reliableswap.errors import ReliableSwapError
from reliableswap.pipelines.clip_nodes import sendable
from reliableswap.swap.person import Person


def test_photos_are_sent_by_place_or_content_and_trained_people_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    picture = np.zeros((8, 8, 3), np.uint8)
    sent = sendable(
        {0: "a.jpg", 1: ["a.jpg", Path("b.jpg")], 2: picture, 3: Person("alice", (), decoder="alice")}
    )
    assert sent[0] == tmp_path / "a.jpg"
    assert sent[1] == [tmp_path / "a.jpg", tmp_path / "b.jpg"]
    assert sent[2] is picture
    assert pickle.loads(pickle.dumps(sent[3])).name == "alice"


def test_sources_that_can_not_be_sent_are_reported() -> None:
    with pytest.raises(
        ReliableSwapError, match="bob is a prepared person, which can't be sent to nodes; give the photos"
    ):
        sendable({0: Person("bob", ())})
    with pytest.raises(ReliableSwapError, match="an open file can't be sent"):
        sendable({0: io.BytesIO(b"content")})
