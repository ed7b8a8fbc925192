"""Error messages about loading."""

from __future__ import annotations

import pytest

from reliableswap.models.messages import one_line


@pytest.mark.parametrize("length", [250, 296, 301, 400])
def test_a_long_message_is_cut_between_words_and_says_so(length: int) -> None:
    words = [f"word{i}" for i in range(length)]
    text = one_line(OSError("\n".join(words)))
    assert len(text) <= 300
    assert text.endswith(" …")
    assert set(text.rsplit(" ", 1)[0].split()) <= set(words)


def test_a_short_message_stays_whole() -> None:
    assert one_line(OSError("not here,\n or there.")) == "not here, or there"
