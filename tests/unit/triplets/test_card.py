"""The dataset card."""

from __future__ import annotations

import json
from collections import Counter

from support.triplet_people import SETTINGS

from reliableswap.triplets.card import card_text


def test_the_card_counts_all_shards() -> None:
    settings_ = json.loads(SETTINGS.to_json())
    base = {"version": "1", "settings": settings_, "analyser": "x", "encoder": "e 1", "attempts": 9}
    about = [
        {**base, "split": "train", "kept": 5, "drops": {"like target": 3, "given up": 1}},
        {**base, "split": "train", "kept": 4, "drops": {"like target": 1}},
        {**base, "split": "test", "kept": 2, "drops": {}},
    ]
    similarity = {"ab_to_b": 0.6, "ba_to_a": 0.5, "ab_to_a": 0.2, "ba_to_b": 0.1}
    text = card_text(about, similarity, Counter({"no face": 2}), 30, "mit")
    assert "| train | 9 | 18 |" in text
    assert "| test | 2 | 4 |" in text
    assert "like target 4" in text
    assert "1 of the pairs" in text
    assert "0.550" in text
    assert "0.150" in text
    assert text.startswith("---\nlicense: mit\n")
    assert "Photos: 30, of which 28 were used. Dropped: no face 2." in text
