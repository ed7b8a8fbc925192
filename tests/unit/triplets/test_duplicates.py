"""Copies of a photo."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support.triplet_people import PICTURES, aligned

from reliableswap.triplets.duplicates import duplicates, perceptual_hash
from reliableswap.triplets.settings import QualitySettings

few = settings(max_examples=25, deadline=None, derandomize=True)


def test_copies_of_a_photo_are_found_and_other_people_are_not() -> None:
    crops = [aligned(n, p).crop for n, p in itertools.product((1, 2, 3, 4), PICTURES)]
    first = crops[0]
    again = cv2.imdecode(cv2.imencode(".jpg", first, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], cv2.IMREAD_COLOR)
    small = cv2.resize(cv2.resize(first, (90, 90), interpolation=cv2.INTER_AREA), (128, 128))
    brighter = np.clip(first * 1.05 + 3, 0, 255).astype(np.uint8)
    hashes = np.stack([perceptual_hash(c) for c in (*crops, again, small, brighter)])
    found = duplicates(hashes, np.linspace(1, 0.5, len(hashes)), QualitySettings().duplicate_bits)
    assert found.tolist() == [False] * len(crops) + [True] * 3


@few
@given(seed=st.integers(0, 10**6), bits=st.integers(0, 20))
def test_duplicates_are_those_of_a_plain_search(seed: int, bits: int) -> None:
    rng = np.random.default_rng(seed)
    flips = rng.random((40, 256)) < rng.choice([0.02, 0.04, 0.06], 40)[:, None]
    text = (rng.random((4, 256)) < 0.5)[rng.integers(0, 4, 40)] ^ flips
    score = rng.random(40).round(1)
    found = duplicates(np.packbits(text, axis=1).view(np.uint64), score, bits)
    kept: list[int] = []
    for i in sorted(range(40), key=lambda i: (-score[i], i)):
        near = any((text[i] != text[k]).sum() <= bits for k in kept)
        assert found[i] == near
        if not near:
            kept.append(i)
