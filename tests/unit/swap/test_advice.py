"""Advice on source photos."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from support.evaluation_people import turned
from support.people import portrait

from reliableswap import ReliableSwapPipeline
from reliableswap.pipelines.output import FaceReport
from reliableswap.swap.advice import advice
from reliableswap.swap.job import FaceJob
from reliableswap.swap.person import Person
from reliableswap.swap.settings import SwapSettings
from reliableswap.swap.subject import Subject


def advice_on(pipe: ReliableSwapPipeline, source: np.ndarray, engine: str = "blend") -> list[str]:
    face: FaceReport = pipe(source, portrait(2, 400), engine=engine).report.faces[0]  # type: ignore[arg-type]
    return face.advice


@pytest.mark.parametrize("engine", ["blend", "neural"])
def test_a_portrait_in_even_light_gets_none(pipe: ReliableSwapPipeline, engine: str) -> None:
    assert advice_on(pipe, portrait(1, 400), engine) == []


def half_dark(photo: np.ndarray) -> np.ndarray:
    light = 1 - 0.7 / (1 + np.exp(-0.6 * (np.arange(photo.shape[1]) - 0.55 * photo.shape[1])))
    return (photo * light[None, :, None]).astype(np.uint8)


def blurred(photo: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(photo, (0, 0), 4)


def shrunk(photo: np.ndarray) -> np.ndarray:
    return cv2.resize(photo, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA)


def half_hidden(photo: np.ndarray) -> np.ndarray:
    hidden = photo.copy()
    hidden[:, : photo.shape[1] // 2 - 10] = (40, 90, 60)
    return hidden


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (half_dark, "lit from one side with hard shadows"),
        (blurred, "photo is blurred"),
        (shrunk, "pixels wide and the target's"),
        (half_hidden, "of the source's face is hidden"),
    ],
)
def test_what_a_photo_lacks_is_named(
    pipe: ReliableSwapPipeline, change: Callable[[np.ndarray], np.ndarray], words: str
) -> None:
    found = advice_on(pipe, change(portrait(1, 400)))
    assert any(words in sentence for sentence in found), found


def test_a_small_sharp_photo_is_not_called_blurred(pipe: ReliableSwapPipeline) -> None:
    face = pipe(portrait(1, 130), portrait(2, 130), engine="blend").report.faces[0]
    assert not any("blurred" in sentence for sentence in face.advice)


def test_a_source_that_looks_aside_is_named_if_the_target_does_not(pipe: ReliableSwapPipeline) -> None:
    networks, target = pipe.networks(), portrait(2, 400)
    facing = Subject.around(target, pipe.find(target)[0], "target", networks)
    aside = Subject.of_crop(facing.pixels, turned(facing.mesh, 50, 1), networks)
    source = pipe.prepare(portrait(1, 400)).subjects[0]
    person = Person("aside", (Subject.of_crop(source.pixels, turned(source.mesh, 45, 1), networks),))
    for subject, named in ((facing, True), (aside, False)):
        job = FaceJob.start(subject, person, SwapSettings(), networks)
        assert any("turned 4" in sentence for sentence in advice(job)) == named
