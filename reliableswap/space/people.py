"""Trained people as sources, besides photos."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from reliableswap.errors import ReliableSwapError, WeightsError
from reliableswap.media import Picture
from reliableswap.models.comb_autoencoder import CombAutoencoder

from .files import File, read_upload

PEOPLE = "RELIABLESWAP_PEOPLE"  # folders or Hub ids of trainings, separated by commas


@dataclass(frozen=True)
class Trained:
    """A trained person as a source."""

    name: str


def trained_people() -> CombAutoencoder | None:
    """Load the people that $RELIABLESWAP_PEOPLE names, into one network; None if it names nothing.

    Several trainings must have the same encoder. A person that several of them hold is taken from the last one.
    """
    places = [place.strip() for place in os.environ.get(PEOPLE, "").split(",") if place.strip()]
    if not places:
        return None
    try:
        network, *others = (CombAutoencoder.from_pretrained(place) for place in places)
        for other in others:
            for name in other.trained:
                network.add_decoder(other.export_decoder(name))
    except ReliableSwapError as error:
        raise WeightsError(f"{PEOPLE}={os.environ[PEOPLE]}: {error}") from error
    if not network.trained:
        raise WeightsError(
            f"{PEOPLE}={os.environ[PEOPLE]}: it holds no trained people; name a folder that `reliableswap train "
            "person` wrote"
        )
    return network


def with_person(person: object, sources: Mapping[int, File]) -> dict[int, File | Trained]:
    """Return the sources, or the trained person in their place, as source 0; raise if a client gives both."""
    if person is None or person == "":
        return dict(sources)
    if not isinstance(person, str):
        raise ReliableSwapError(f"person is {person!r}; give a name")
    if sources:
        raise ReliableSwapError(f"a source and person={person!r} were both given; give one of them")
    return {0: Trained(person)}


def read_sources(sources: Mapping[int, File | Trained]) -> dict[int, Picture | Trained]:
    """Read the pictures among the sources."""
    return {
        number: given if isinstance(given, Trained) else read_upload(given, f"source {number}")
        for number, given in sources.items()
    }
