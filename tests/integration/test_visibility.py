"""The VisibilityNet as a component: what it says covers a face is kept, and it is moved, saved and replaced."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from support.people import portrait

from reliableswap import ReliableSwapPipeline
from reliableswap.errors import NoFaceError
from reliableswap.faces.analysers.base import FaceAnalyser
from reliableswap.faces.face import Face
from reliableswap.models.face_classes import CLASSES
from reliableswap.models.visibility import VisibilityNet


@pytest.fixture
def pipe() -> ReliableSwapPipeline:
    return ReliableSwapPipeline.bundled()


@pytest.fixture
def accept_every_face(monkeypatch: pytest.MonkeyPatch) -> None:
    """Accept every face: networks that give all pixels the same class see no eyes."""
    monkeypatch.setattr("reliableswap.swap.subject.MIN_FEATURES", 0.0)


def sees_only(name: str) -> VisibilityNet:
    """A network that gives every pixel the class `name`."""
    network = VisibilityNet(widths=(4, 4, 8, 8), deep=8).eval()
    torch.nn.init.zeros_(network.last.weight)
    with torch.no_grad():
        network.last.bias.copy_(20.0 * (torch.arange(len(CLASSES)) == CLASSES.index(name)))
    return network


def change(pipe: ReliableSwapPipeline, engine: str) -> np.ndarray:
    """(H,W) how much a swap changes the target; its shape and expression are left alone."""
    target = portrait(2, 260)
    result = pipe(portrait(1, 260), target, engine=engine, shape=0.0, expression=0.0)  # type: ignore[call-overload]
    return np.asarray(np.abs(result.pictures[0].pixels.astype(float) - target).mean(2))


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["blend", "neural"])
def test_what_hides_the_target_stays_in_front_of_the_new_face(
    pipe: ReliableSwapPipeline, accept_every_face: None, engine: str
) -> None:
    face = pipe.find(portrait(2, 260))[0]
    x0, y0, x1, y1 = face.box.astype(int)
    cheeks = slice((y0 + y1) // 2, (y0 + 2 * y1) // 3), slice((3 * x0 + x1) // 4, (x0 + 3 * x1) // 4)
    pipe.visibility = sees_only("skin")
    bare = change(pipe, engine)[cheeks].mean()
    pipe.visibility = sees_only("front")
    hidden = change(pipe, engine)[cheeks].mean()
    assert bare > 4
    assert hidden < 0.3 * bare


def test_what_hides_the_source_is_not_used_as_texture(
    pipe: ReliableSwapPipeline, accept_every_face: None
) -> None:
    networks = {}
    for name in ("skin", "front"):
        pipe.visibility = sees_only(name)
        networks[name] = pipe.prepare(portrait(1, 260)).subjects[0]
    inside = networks["skin"].strict_covers.on(networks["skin"].shape)[1] > 0.95
    assert inside.mean() > 0.05
    assert networks["skin"].strict_covers.on(networks["skin"].shape)[0][inside].max() < 0.05
    # Not quite all: dark parts of the lower face may be a beard.
    assert (networks["front"].strict_covers.on(networks["front"].shape)[0][inside] > 0.9).mean() > 0.9
    crop = networks["front"].covers_in_crop(128, "arcface_128").on((128, 128))[0]
    assert crop[50:70, 50:78].min() > 0.95


@pytest.mark.slow
def test_it_is_moved_saved_and_counted_with_the_others(pipe: ReliableSwapPipeline, tmp_path: Path) -> None:
    pipe.visibility = VisibilityNet(widths=(4, 4, 8, 8), deep=8)
    assert pipe.checksums()["visibility"][0] == "VisibilityNet"
    pipe.to(torch.float16)
    assert next(pipe.visibility.parameters()).dtype == torch.float16
    pipe.save_pretrained(tmp_path)
    assert "visibility" in json.loads((tmp_path / "model_index.json").read_text())
    assert isinstance(ReliableSwapPipeline.from_pretrained(tmp_path).visibility, VisibilityNet)


def test_without_one_covers_are_judged_by_colour(pipe: ReliableSwapPipeline, accept_every_face: None) -> None:
    pipe.visibility = None
    assert not pipe.prepare(portrait(1, 260)).subjects[0].covers.by_network
    pipe.visibility = sees_only("skin")
    assert pipe.prepare(portrait(1, 260)).subjects[0].covers.by_network


class MisplacedMeshes:
    """An analyser that finds the real faces, but puts the meshes of those with the given numbers on the background."""

    name = "misled"

    def __init__(self, analyser: FaceAnalyser, *numbers: int) -> None:
        self.analyser, self.numbers = analyser, numbers

    def __call__(self, image: np.ndarray) -> list[Face]:
        faces = self.analyser(image)
        return [
            face.shifted(0, -0.7 * face.size) if n in self.numbers else face for n, face in enumerate(faces)
        ]


def test_a_mesh_that_lies_on_something_else_than_a_face_is_refused(pipe: ReliableSwapPipeline) -> None:
    source, target = portrait(1, 300), np.concatenate([portrait(2, 300), portrait(3, 300)], 1)
    analyser = pipe.analyser
    assert pipe(source, target).report.swapped == [0]
    person = pipe.prepare(source)
    pipe.analyser = MisplacedMeshes(analyser, 0)
    refused = "the face in array cannot be analysed: eyes and mouth are not where expected"
    with pytest.raises(NoFaceError, match=refused):
        pipe.prepare(source)
    with pytest.raises(NoFaceError, match=refused):
        pipe(person, target)
    report = pipe(person, target, faces="all").report
    assert report.swapped == [1]
    assert refused in report.faces[0].error
