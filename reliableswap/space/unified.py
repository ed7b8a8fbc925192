"""The unified face model behind the page: it describes faces, answers questions, and draws."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from reliableswap.bundled import WEIGHTS
from reliableswap.errors import ReliableSwapError
from reliableswap.media import Picture
from reliableswap.pipelines.unified import DrawnFaces, UnifiedFacePipeline

from .device import on_gpu
from .files import File, publish, read_upload

MODEL = "RELIABLESWAP_UNIFIED"  # a folder or Hub id; without it the bundled model
MAX_CHARACTERS = 200  # of a question or a description
STEPS = 16


def model_place() -> str | None:
    """Where the model is; None if this page has none."""
    given = os.environ.get(MODEL)
    if given:
        return given
    own = WEIGHTS / "unified"
    return str(own) if (own / "model_index.json").is_file() else None


@lru_cache(maxsize=1)
def _pipe(place: str) -> UnifiedFacePipeline:
    return UnifiedFacePipeline.from_pretrained(Path(place) if Path(place).is_dir() else place)


def pipe() -> UnifiedFacePipeline:
    """The pipeline, loaded when it is first needed."""
    place = model_place()
    if place is None:
        raise ReliableSwapError(
            f"this page has no model that describes faces; set {MODEL} to the folder of one"
        )
    return _pipe(place)


@on_gpu
def _answer(photo: Picture, question: str) -> str:
    return pipe().ask(photo, question) if question else pipe().describe(photo)


@on_gpu
def _draw(description: str, seed: int) -> DrawnFaces:
    return pipe().draw(description, seed=seed, steps=STEPS)


def describe(file: File | None, question: object) -> str:
    """Answer a question about the largest face of an upload; without one, describe it."""
    photo = read_upload(file, "photo")
    return _answer(photo, _checked(question, "question"))


def draw(description: object, seed: object) -> str:
    """Draw the face of a person who does not exist; return the path of the marked picture."""
    text = _checked(description, "description")
    if isinstance(seed, bool) or not isinstance(seed, (int, float)) or not 0 <= seed < 2**31:
        raise ReliableSwapError(f"seed is {seed!r}; give a whole number from 0 to {2**31 - 1}")
    drawn = _draw(text, int(seed))
    return publish(drawn.pictures[0], "drawn.png", drawn.records[0])


def _checked(text: object, what: str) -> str:
    if text is None:
        return ""
    if not isinstance(text, str) or len(text) > MAX_CHARACTERS:
        raise ReliableSwapError(f"the {what} must be a text of at most {MAX_CHARACTERS} characters")
    return text.strip()
