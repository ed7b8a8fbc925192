"""The watermark's message and its error correction."""

from __future__ import annotations

import numpy as np
import pytest

from reliableswap.provenance.watermark.codec import SYMBOLS, decode, encode


@pytest.mark.parametrize("payload", [0, 1, 0xDEADBEEF, 0xFFFFFFFF])
def test_undisturbed_signs_give_the_payload_with_full_confidence(payload: int) -> None:
    assert decode(encode(payload)) == (payload, pytest.approx(1.0))


def test_the_code_is_the_documented_one() -> None:
    signs = encode(0xDEADBEEF)
    assert "".join("01"[int(sign < 0)] for sign in signs[:24]) == "111101010010110101101001"


def test_a_tenth_of_wrong_signs_is_corrected() -> None:
    rng = np.random.default_rng(0)
    noisy = [encode(0xC0FFEE) + rng.normal(0, 0.8, SYMBOLS) for _ in range(20)]
    assert np.mean([np.sign(values) != encode(0xC0FFEE) for values in noisy]) > 0.1
    found = [decode(values) for values in noisy]
    assert [message and message[0] for message in found] == [0xC0FFEE] * len(noisy)


def test_noise_alone_is_no_message() -> None:
    rng = np.random.default_rng(1)
    assert all(decode(rng.normal(size=SYMBOLS)) is None for _ in range(50))


def test_zero_signs_are_no_message() -> None:
    assert decode(np.zeros(SYMBOLS)) is None


def test_a_payload_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bits"):
        encode(1 << 32)
