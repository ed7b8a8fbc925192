"""People with a decoder of their own, trained by `reliableswap train person` and held by a CombAutoencoder."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reliableswap.errors import ReliableSwapError, WeightsError
from reliableswap.provenance.origin import origin_of_pixels
from reliableswap.swap.engines import engine_of
from reliableswap.swap.networks import Networks
from reliableswap.swap.person import Person
from reliableswap.swap.subject import Subject

from .options import Engine

if TYPE_CHECKING:
    from reliableswap.models.comb_autoencoder import CombAutoencoder


def trained_person(network: CombAutoencoder | None, name: str, networks: Networks) -> Person:
    """Return the person of that name. The gates and the report look at the portrait in the weights."""
    if network is None:
        raise WeightsError(
            "this pipeline has no trained people; set pipe.people = CombAutoencoder.from_pretrained(folder), or give "
            "--trained FOLDER"
        )
    portrait = network.decoder(name).portrait
    if portrait.empty:
        raise WeightsError(f"the decoder of {name} has not been trained: it holds no portrait")
    picture = portrait.picture.cpu().numpy()
    subject = Subject.of_crop(picture, portrait.mesh.cpu().numpy(), networks)
    return Person(name, (subject,), (origin_of_pixels(picture),), decoder=name)


def one_source(source: Any, person: Person | None) -> Any:
    """Return the source, or the trained person in its place; raise if both are given."""
    if person is None:
        return source
    if source is not None:
        raise ReliableSwapError(f"a source and person={person.name!r} were both given; pass only one of them")
    return person


def for_engine(person: Person, engine: Engine) -> Person:
    """Return the person as the requested engine takes them: blend and neural use a trained person's portrait."""
    if engine == "person" and person.decoder is None:
        raise ReliableSwapError(
            f"engine='person' needs a trained person, but {person.name} is a photo; give person=NAME, or another engine"
        )
    return replace(person, decoder=None) if engine in ("blend", "neural") else person


def engines_of(people: list[Person], engine: str) -> str:
    """Return the name of the engine that swaps these people; if there are several, all names."""
    return ", ".join(sorted({engine_of(person, engine) for person in people})) or engine
