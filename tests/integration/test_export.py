"""`reliableswap export --int8` of the bundled pipeline: what it writes, prints and compares."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.people import portrait

from reliableswap import ExportedPipeline, ReliableSwapPipeline
from reliableswap.bundled import bundled
from reliableswap.cli.main import main
from reliableswap.pipelines.export_files import top1
from reliableswap.runtime.exported import ExportedFolder
from reliableswap.runtime.signatures import signatures


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number in (1, 2):
        folder = tmp_path / "photos" / f"person{number}"
        folder.mkdir(parents=True)
        for picture in ("studio_portrait", "amateur_selfie"):
            Image.fromarray(portrait(number, 256, picture)).save(folder / f"{picture}.png")
    return tmp_path / "photos"


@pytest.mark.slow
def test_the_bundled_networks_in_eight_bits(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # For one size of crops instead of four, whose larger ones take most of the time.
    pipe, out = ReliableSwapPipeline.bundled(), tmp_path / "out"
    assert [one.label for one in signatures(pipe.generator)] == ["_128", "_256", "_512", "_1024"]
    pipe.generator.register_to_config(sizes=(128,))
    pipe.save_pretrained(tmp_path / "pipe")
    command = ["export", str(tmp_path / "pipe"), "-o", str(out)]
    assert main([*command, "--int8", "--photos", str(photos)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines if "int8" in line] == [
        "identity.onnx",
        "generator.onnx",
        "generator_maps.onnx",
    ]
    assert sum("identity top-1" in line for line in lines) == 1
    folder = ExportedFolder(out)
    alone = {"detector", "landmarks", "glasses", "visibility", "identity", "fixer", "generator"}
    assert set(folder) == {*alone, "generator_maps", "probe_identity"}
    assert folder.about["identity"]["agreement"] > 0.99
    assert folder.about["detector"]["difference"] < 1e-3
    assert folder.about["generator"]["difference"] < 0.02
    assert folder.about["generator"]["config"]["template"] == "arcface_128"
    assert (folder["detector"](np.zeros((1, 3, 64, 96)))[0]).shape == (1, 21 * 6, 15)
    assert json.loads((out / "exported.json").read_text())["format"] == "onnx"
    assert main(command) == 2  # it is not empty

    # The age gate looks with the encoder that was not rounded, and the record names the rounded one.
    rounded = ExportedPipeline.from_pretrained(out)
    assert rounded.networks().identity.checksum() != pipe.identity.checksum()
    assert rounded.networks().probe[0].checksum() == pipe.identity.checksum()
    assert rounded.checksums()["identity"] != pipe.checksums()["identity"]
    assert rounded.checksums()["fixer"] == pipe.checksums()["fixer"]
    one, other = sorted(photos.rglob("studio_portrait.png"))
    (face,) = rounded(one, other).report.faces
    assert face.identity_after > face.identity_before + 0.2


def test_bundled_stands_for_what_ships(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("reliableswap.pipelines.export.export_folder", lambda place, *_, **__: [place])
    assert main(["export", "bundled", "-o", str(tmp_path)]) == 0
    assert capsys.readouterr().out.strip() == str(bundled())


def test_one_network_has_no_eight_bits(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = [
        "export",
        str(bundled("identity")),
        "-o",
        str(tmp_path / "out"),
        "--int8",
        "--photos",
        str(photos),
    ]
    assert main(line) == 2
    assert "pass a pipeline's folder" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_top1_counts_people_with_several_photos() -> None:
    vectors = np.eye(4)[[0, 0, 1, 2, 3]]
    vectors[2] = (0.6, 0.8, 0, 0)
    assert top1(vectors, ["a", "a", "b", "c", "d"]) == 1
    assert top1(vectors, ["a", "b", "a", "c", "b"]) == 0.25
    assert np.isnan(top1(vectors, list("abcde")))
