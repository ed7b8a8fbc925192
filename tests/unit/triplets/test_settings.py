"""Settings of a run, and the options of the command."""

from __future__ import annotations

import argparse

import numpy as np
import pytest

from reliableswap.cli import triplets as command
from reliableswap.data.splits import Split
from reliableswap.errors import ReliableSwapError
from reliableswap.triplets.settings import TripletSettings


def test_the_command_has_the_defaults_of_the_settings() -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    arguments = parser.parse_args(["photos", "-o", "out"])
    assert command.settings_of(arguments) == TripletSettings()
    arguments = parser.parse_args(
        ["photos", "-o", "out", "--size", "256", "--pairs", "7", "--split", "80/10/10", "--girth", "0.1",
         "--max-turn", "inf", "--min-to-source", "0.4", "--duplicate-bits", "3"]
    )  # fmt: skip
    found = command.settings_of(arguments)
    assert (found.size, found.pairs, found.split) == (256, 7, Split(80, 10, 10))
    assert found.variation.girth == (-0.1, 0.1)
    assert (found.pairing.max_turn, found.filter.min_to_source) == (np.inf, 0.4)
    assert found.quality.duplicate_bits == 3


def test_wrong_settings_are_refused_in_one_line() -> None:
    for wrong, message in (
        ({"size": 100}, "size is 100"),
        ({"pairs": 0}, "pairs is 0"),
        ({"format": "gif"}, "format is 'gif'"),
    ):
        with pytest.raises(ReliableSwapError, match=message):
            TripletSettings(**wrong)
