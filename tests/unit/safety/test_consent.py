"""The record of a consent statement."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from reliableswap.errors import ReliableSwapError
from reliableswap.safety.consent import MAX_LENGTH, Consent


def test_a_statement_is_recorded_with_the_time() -> None:
    record = Consent.of("Alice and Bob agreed.")
    assert record is not None
    assert record.statement == "Alice and Bob agreed."
    assert abs(datetime.now(UTC) - datetime.fromisoformat(record.time)) < timedelta(minutes=1)


def test_a_record_keeps_its_time_and_nothing_stays_nothing() -> None:
    record = Consent("agreed", "2026-11-26T10:00:00+00:00")
    assert Consent.of(record) is record
    assert Consent.of(None) is None


def test_a_statement_is_one_printable_line() -> None:
    record = Consent.of("  Alice\nagreed\x00 on\t1 May \u202eyes\ud800 ")
    assert record is not None
    assert record.statement == "Alice agreed on 1 May yes"


@pytest.mark.parametrize("given", ["", " \n ", "\u200b", "a" * (MAX_LENGTH + 1), True, 1, ["yes"]])
def test_what_states_nothing_is_an_error(given: object) -> None:
    with pytest.raises(ReliableSwapError, match="consent"):
        Consent.of(given)  # type: ignore[arg-type]
