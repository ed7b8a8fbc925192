"""A set of swaps whose correct result is known.

A scene holds what a swap must keep: pose, expression, gaze, light, camera, background, hair, clothes and overall skin
tone, because a swapped face has to match the target's neck. A person holds what a swap must transfer: the shape of the
face, brows, lips, irises, beard, spots. Each pair shows people a and b in random scenes s, t and u:

    target = a in s      source = b in t      truth = b in s      reference = b in u
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from reliableswap.errors import ReliableSwapError
from reliableswap.evaluation.protocols.pair_list import write_pairs
from reliableswap.evaluation.protocols.shots import Pair, Shot
from reliableswap.media import Picture, write_picture

from .model import HeadModel
from .render import SIZE, render
from .scene import Person, Scene

_LOG_EVERY = 10  # pairs

logger = logging.getLogger(__name__)


def make_set(
    model: HeadModel, folder: Path, pairs: int = 100, people: int = 40, seed: int = 0, size: int = SIZE
) -> Path:
    """Render a set and return its pair list, for the protocol `pairs`; equal seeds give equal pictures."""
    if people < 2:
        raise ReliableSwapError(f"a set of {people} people has no pairs; make at least 2")
    if folder.exists() and any(folder.iterdir()):
        raise ReliableSwapError(f"{folder} is not empty; give a new folder")
    everybody = [Person.random(np.random.default_rng([seed, 0, i])) for i in range(people)]
    made = []
    for number in range(pairs):
        made.append(_make_pair(model, folder, everybody, seed, number, size))
        if (number + 1) % _LOG_EVERY == 0 or number + 1 == pairs:
            logger.info("rendered %d of %d pairs", number + 1, pairs)
    table = folder / "pairs.tsv"
    write_pairs(made, table)
    return table


def _make_pair(
    model: HeadModel, folder: Path, people: list[Person], seed: int, number: int, size: int
) -> Pair:
    rng = np.random.default_rng([seed, 1, number])
    a, b = rng.choice(len(people), 2, replace=False)
    s, t, u = (Scene.random(rng) for _ in range(3))
    paths = {}
    for kind, (person, scene) in {
        "target": (a, s),
        "source": (b, t),
        "truth": (b, s),
        "reference": (b, u),
    }.items():
        paths[kind] = folder / kind / f"{number:05d}.png"
        paths[kind].parent.mkdir(parents=True, exist_ok=True)
        picture = Picture(render(model, people[person], scene, size))
        write_picture(picture, paths[kind], ai_made=False)
    return Pair(
        f"{number:05d}",
        Shot(paths["source"], f"head {b}"),
        Shot(paths["target"], f"head {a}"),
        Shot(paths["reference"], f"head {b}"),
        paths["truth"],
    )
