"""Trained people, with a decoder each: from clips to frames, a training, and swaps of photos and clips."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from support.clips import Made, pictures
from support.face_clips import Actor, scene, still, walking
from support.people import portrait
from support.person_runs import TINY, tiny_people

import reliableswap
from reliableswap import ReliableSwapPipeline
from reliableswap.cli.main import main
from reliableswap.errors import RefusedError, ReliableSwapError, WeightsError
from reliableswap.models import CombAutoencoder
from reliableswap.safety.age import AgeEstimate, AgeNets
from reliableswap.training.tasks.person.frames import Frames, frames_of
from reliableswap.training.tasks.person.settings import PersonSettings


@pytest.fixture(scope="module")
def trained(pipe: ReliableSwapPipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    tiny_people(pipe).save_pretrained(folder)
    return folder


@pytest.fixture
def ready(trained: Path) -> ReliableSwapPipeline:
    pipe = ReliableSwapPipeline.bundled()
    pipe.people = CombAutoencoder.from_pretrained(trained)
    return pipe


@pytest.mark.slow
def test_a_face_is_swapped_with_a_person_by_name(ready: ReliableSwapPipeline, tmp_path: Path) -> None:
    target = portrait(2)
    result = ready.swap(person="alice", target=target, consent="Nobody real.")
    report = result.report
    assert report.engine == report.faces[0].engine == "person"
    assert report.faces[0].source == "alice"
    assert report.faces[0].identity_before is not None
    assert report.consent is not None
    changed = (np.asarray(result.images[0]) != target).any(2)
    assert 0.02 < changed.mean() < 0.6
    other = ready(None, target, person="bob")
    assert not np.array_equal(np.asarray(other.images[0]), np.asarray(result.images[0]))
    mark = reliableswap.verify(result.save(tmp_path / "out.png"))
    assert mark.made_here
    record = result.records[0]
    assert record.engine == "person"
    assert record.networks["people"][0] == "CombAutoencoder"
    assert len(record.sources) == 1


@pytest.mark.slow
def test_a_trained_person_is_a_source_like_others(ready: ReliableSwapPipeline) -> None:
    target = portrait(2)
    by_name = ready(None, target, person="alice")
    mapped = ready(None, target, faces={0: ready.trained("alice")})
    assert np.array_equal(np.asarray(by_name.images[0]), np.asarray(mapped.images[0]))
    blended = ready(ready.trained("alice"), target, engine="blend")
    assert blended.report.engine == "blend"
    assert not np.array_equal(np.asarray(by_name.images[0]), np.asarray(blended.images[0]))
    photo = ready(portrait(1), target)
    assert photo.report.engine == "neural"


def test_likeness_zero_changes_nothing(ready: ReliableSwapPipeline) -> None:
    target = portrait(2)
    assert np.array_equal(np.asarray(ready(None, target, person="alice", likeness=0).images[0]), target)


def test_impossible_requests_are_refused(ready: ReliableSwapPipeline) -> None:
    target = portrait(2, 200)
    for source, options, said in (
        (None, {"person": "carol"}, "no decoder for 'carol'"),
        (portrait(1, 200), {"person": "alice"}, "both given"),
        (portrait(1, 200), {"engine": "person"}, "needs a trained person"),
    ):
        with pytest.raises(ReliableSwapError, match=said):
            ready(source, target, **options)
    bare = ReliableSwapPipeline.bundled()
    with pytest.raises(WeightsError, match="has no trained people"):
        bare(None, target, person="alice")
    with pytest.raises(WeightsError, match="this pipeline has none"):
        bare(portrait(1, 200), target, engine="person")
    bare.people = CombAutoencoder(("alice",), **TINY)
    with pytest.raises(WeightsError, match="no portrait"):
        bare.trained("alice")


def test_the_gates_look_at_the_portrait(ready: ReliableSwapPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    def estimate(nets: AgeNets, seen: Any) -> AgeEstimate:
        return AgeEstimate(8.0, 9.0) if seen.pixels.shape == (128, 128, 3) else AgeEstimate(30.0)

    monkeypatch.setattr(AgeNets, "estimate", estimate)
    with pytest.raises(RefusedError, match="the face in alice may be that of a person under 18"):
        ready(None, portrait(2), person="alice")


@pytest.mark.slow
def test_a_pipeline_keeps_its_people(ready: ReliableSwapPipeline, tmp_path: Path) -> None:
    ready.save_pretrained(tmp_path / "pipe")
    again = ReliableSwapPipeline.from_pretrained(tmp_path / "pipe")
    assert again.people.people == ["alice", "bob"]
    target = portrait(2, 200)
    one, other = (np.asarray(p(None, target, person="bob").images[0]) for p in (ready, again))
    assert np.array_equal(one, other)


@pytest.mark.slow
def test_the_command_takes_a_name(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target, output = str(tmp_path / "target.png"), tmp_path / "out.png"
    Image.fromarray(portrait(2, 200)).save(target)
    command = ["swap", target, "-o", str(output), "--person", "alice", "--trained", str(trained), "--json"]
    assert main(command) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["engine"] == "person"
    assert "engine person" in said.err
    assert main(["swap", target, target, "-o", str(output), "--person", "alice", "--overwrite"]) == 2
    assert "give only the TARGET" in capsys.readouterr().err
    assert main(["swap", target, "-o", str(output), "--person", "alice", "--overwrite"]) == 2
    assert "--trained FOLDER" in capsys.readouterr().err


@pytest.mark.slow
def test_a_clip_takes_a_name(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = Made(scene([Actor(2, walking(120, 140, 6))], 6)).write(tmp_path / "clip.mp4")
    output = tmp_path / "out.mp4"
    command = ["video", str(clip), "-o", str(output), "--person", "bob", "--trained", str(trained), "--json"]
    assert main(command) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["engine"] == "person"
    assert report["frames_swapped"] == 6
    assert report["people"][0]["source"] == "bob"
    assert reliableswap.verify(output).made_here
    apart = [np.abs(a.astype(int) - b).max() for a, b in zip(pictures(clip), pictures(output), strict=True)]
    assert min(apart) > 10


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[PersonSettings, list[Frames]]:
    """Frames of the second of two people in a clip, and of a folder that includes a stranger's photo."""
    folder = tmp_path_factory.mktemp("found")
    clip = Made(scene([Actor(2, walking(80, 110, 16)), Actor(5, still(230))], 16)).write(folder / "clip.mp4")
    photos = folder / "photos"
    photos.mkdir()
    for number, name in ((1, "studio_portrait"), (1, "amateur_selfie"), (4, "studio_portrait")):
        picture = portrait(number, 200, name)
        cv2.imwrite(str(photos / f"{number}_{name}.png"), picture[..., ::-1])
    (photos / "notes.txt").write_text("no picture")
    settings = PersonSettings(
        output_dir=folder / "run", people=f"alice={clip}#2,bob={photos}", size=32, frames=8, held_out=0.25
    )
    return settings, frames_of(settings)


@pytest.mark.slow
def test_frames_are_found_aligned_and_masked(found: tuple[PersonSettings, list[Frames]]) -> None:
    settings, (alice, bob) = found
    assert alice.person == "alice"
    assert (len(alice.rows), len(alice.held_out)) == (6, 2)
    assert alice.pictures[0].shape == (32, 32, 3)
    eyes = np.stack([alice.meshes[:, [33, 133], :2].mean(1), alice.meshes[:, [362, 263], :2].mean(1)], 1)
    assert np.abs(eyes - [[11.4, 12.8], [20.2, 12.8]]).max() < 2.5  # where arcface_128 has them at 32 px
    covered = alice.masks[0] / 255
    assert 0.2 < covered.mean() < 0.8
    assert covered[16, 16] == 1
    assert covered[0, 0] == 0
    assert alice.portrait.shape == (128, 128, 3)
    assert len(bob.rows) + len(bob.held_out) == 2  # without the stranger
    assert (settings.crops_folder / "alice" / "frames.png").is_file()
    assert -1 <= alice.colour.min() <= alice.colour.max() <= 1


@pytest.mark.slow
def test_frames_are_made_once(
    found: tuple[PersonSettings, list[Frames]], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, first = found
    monkeypatch.setattr("reliableswap.training.tasks.person.frames.make_frames", None)
    again = frames_of(settings)
    assert [one.key for one in again] == [one.key for one in first]
    assert np.array_equal(again[0].meshes, first[0].meshes)


@pytest.mark.slow
def test_a_person_who_may_be_a_minor_is_not_trained(
    found: tuple[PersonSettings, list[Frames]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AgeNets, "estimate", lambda nets, seen: AgeEstimate(8.0, 9.0))
    people = found[0].people.split(",")[1]
    with pytest.raises(RefusedError, match="the training was refused: the face in photos may be"):
        frames_of(PersonSettings(output_dir=tmp_path, people=people, size=32, frames=8))
    assert not list(tmp_path.rglob("*.npy"))


def test_unusable_clips_and_folders_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((90, 90, 3), 90, np.uint8))
    clip = Made([np.full((96, 128, 3), 90, np.uint8)] * 4).write(tmp_path / "wall.mp4")
    for source, said in (
        (tmp_path / "empty", "no pictures in"),
        (tmp_path / "wall.png", "no face found in wall.png"),
        (clip, "has no person 1; it shows no face"),
        (tmp_path / "missing.mp4", "missing.mp4"),
    ):
        command = ["train", "person", "--people", f"alice={source}", "--output_dir", str(tmp_path / "run")]
        assert main(command) == 2
        assert said in capsys.readouterr().err
