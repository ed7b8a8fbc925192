"""`python -m tools.blend_data` on drawn faces, for which the results are known."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support.face_labels import store_labels
from support.tool_faces import MEAN, MIRROR, in_a_mirror, opened, rotation

import reliableswap
from reliableswap.data.photos import list_photos
from reliableswap.data.splits import holds_out
from reliableswap.geometry.topology import topology
from tools.blend_data import main
from tools.mean_face import aligned
from tools.triangulate import RINGS

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
FILES = ("geometry/topology.json", "geometry/shape.json", "faces/looks.json")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn photos of 24 people with two photos and 40 with one, and a perfect teacher's answers for them."""
    folder, rng = tmp_path_factory.mktemp("people"), np.random.default_rng(7)
    smile = np.zeros((468, 3))
    smile[[61, 291], 0] = (-0.1, 0.1)
    forms: dict[str, np.ndarray] = {}
    attributes = {}
    for number in range(24):
        person = MEAN * (1 + rng.normal(0, 0.05, 3))
        for photo in "ab":
            face = person + smile * rng.normal(0, 1)
            forms[f"person{number}/{photo}.png"] = opened(face, 0.25 if number % 8 == 0 else 0.0)
    for number in range(40):
        forms[f"flat/{number:03d}.png"] = MEAN + rng.normal(0, 0.01, (468, 3))
        attributes[f"{number:03d}"] = {
            "glasses": "ReadingGlasses" if number % 2 else "NoGlasses",
            "occlusion": {"mouthOccluded": number == 0},
        }
    names = sorted(forms)
    assert any(holds_out(Path(n).parent.name) for n in names if "person" in n)
    assert any(holds_out(Path(n).stem) for n in names if "flat" in n)
    meshes = np.stack([forms[n] @ rotation(rng, 10) * 34 + (64, 55, 0) for n in names]).astype(np.float32)
    for name, mesh in zip(names, meshes, strict=True):
        picture = np.full((128, 128, 3), 150, np.uint8)
        for ring in ("lips", "right_eye", "left_eye"):
            cv2.fillPoly(picture, [mesh[RINGS[ring], :2].astype(np.int32)], (70, 60, 140))
        if "flat" in name and attributes[Path(name).stem]["glasses"] != "NoGlasses":
            for eye in ("right_eye", "left_eye"):
                x, y = mesh[RINGS[eye], :2].mean(0).astype(int).tolist()
                cv2.circle(picture, (x, y), 12, (20, 20, 20), 2)
        noisy = np.clip(picture + rng.normal(0, 6, picture.shape), 0, 255)
        (folder / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(folder / name), noisy.astype(np.uint8))
    found = list_photos(folder)
    assert [photo.name for photo in found] == names
    rows = np.concatenate([meshes[:, :, :2].min(1), meshes[:, :, :2].max(1), np.zeros((len(names), 11))], 1)
    store_labels(folder, rows, meshes, in_a_mirror(meshes))
    (folder / "attributes.json").write_text(json.dumps(attributes))
    return folder


def command(photos: Path, output: Path, *more: str) -> list[str]:
    return [
        "--faces", str(photos), "--flat_folders", "flat", "--teachers", str(photos),
        "--labels", str(photos / "labels"), "--attributes", str(photos / "attributes.json"),
        "--output_dir", str(output), "--shape_modes", "3", *more,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def made(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    """The data files by name, and the figures."""
    output = tmp_path_factory.mktemp("blend")
    command_line = [sys.executable, "-m", "tools.blend_data", *command(photos, output)]
    run = subprocess.run(command_line, capture_output=True, text=True, check=True, cwd=ROOT)
    return {name: json.loads((output / name).read_text()) for name in FILES}, json.loads(run.stdout)


def test_the_files_have_the_fields_of_those_in_the_package(
    made: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    package = Path(reliableswap.__file__).parent
    for name, data in made[0].items():
        assert data.keys() == json.loads((package / name).read_text()).keys()


def test_the_same_photos_give_the_same_files(
    photos: Path,
    made: tuple[dict[str, Any], dict[str, Any]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(command(photos, tmp_path)) == 0
    assert json.loads(capsys.readouterr().out) == made[1]
    assert {name: json.loads((tmp_path / name).read_text()) for name in FILES} == made[0]


def test_the_topology_is_that_of_the_faces(made: tuple[dict[str, Any], dict[str, Any]]) -> None:
    mesh = made[0]["geometry/topology.json"]
    assert mesh["mirror"] == MIRROR.tolist()
    assert mesh["regions"] == {name: ring.tolist() for name, ring in topology().regions.items()}
    np.testing.assert_allclose(aligned(np.array(mesh["canonical"])[None], MEAN)[0], MEAN, atol=0.06)


def test_shape_and_looks_are_in_half_precision(made: tuple[dict[str, Any], dict[str, Any]]) -> None:
    shape = made[0]["geometry/shape.json"]
    values = np.frombuffer(base64.b64decode(shape["analyse"]), "<f2")
    assert values.reshape(3 * 468, shape["modes"]).shape == (1404, 3)
    assert np.isfinite(values).all()
    weights = np.frombuffer(base64.b64decode(made[0]["faces/looks.json"]["glasses"]["weights"]), "<f2")
    assert weights.shape == (896,)


def test_figures_are_of_held_out_people(made: tuple[dict[str, Any], dict[str, Any]]) -> None:
    figures = made[1]
    assert figures["glasses"]["right"] == 1  # circles around the eyes are recognised as glasses
    assert figures["topology"]["same_twins_held_out"] == 1
    assert figures["shape"]["people"] < 24  # some are held out
    assert figures["mouth"]["labelled_covered"] == 1


def test_help_prints_the_defaults_that_run(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    assert "(default: 20)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--attributes", "none.json"), "pass --attributes"),
        (("--flat_folders", ""), "pass --flat_folders"),
        (("--flat_folders", "x"), "names x, but no folder of that name"),
    ],
)
def test_missing_inputs_are_one_line_errors(
    photos: Path, tmp_path: Path, more: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(photos, tmp_path, *more)) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
