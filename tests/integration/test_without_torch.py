"""Networks without torch: OpenVINO, ONNX Runtime, and the export of the bundled pipeline.

These tests share a file, and so a worker of pytest-xdist: the export reuses what was converted for a device.
"""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.people import portrait

from reliableswap import ExportedPipeline, ReliableSwapPipeline
from reliableswap.bundled import bundled
from reliableswap.cli.main import main
from reliableswap.errors import ReliableSwapError, WeightsError
from reliableswap.pipelines.export import export_folder
from reliableswap.pipelines.export_files import top1
from reliableswap.provenance.verify import verify
from reliableswap.runtime.exported import ExportedFolder
from reliableswap.runtime.signatures import signatures

CHECKS = Path(__file__).parents[1] / "support" / "runtime_checks.py"


@pytest.mark.slow
def test_runtimes_in_a_process_of_their_own() -> None:
    """Their threads and libraries would slow the other tests."""
    command = [sys.executable, "-m", "pytest", "--show-capture=no", str(CHECKS)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=CHECKS.parents[2], timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the bundled pipeline as `pipe`, its export as `exported`, and two portraits `1.png`, `2.png`."""
    folder = tmp_path_factory.mktemp("exported")
    pipe = ReliableSwapPipeline.bundled()
    assert [one.label for one in signatures(pipe.generator)] == ["_128", "_256", "_512", "_1024"]
    # One size of crops: the larger ones take most of the time.
    pipe.generator.register_to_config(sizes=(128,))
    pipe.save_pretrained(folder / "pipe")
    for made in export_folder(folder / "pipe", folder / "exported", "onnx"):
        assert made.difference < 1e-3
    for number in (1, 2):
        Image.fromarray(portrait(number, 300)).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people's folders with two photos each."""
    photos = tmp_path_factory.mktemp("photos")
    for number in (1, 2):
        folder = photos / f"person{number}"
        folder.mkdir()
        for picture in ("studio_portrait", "amateur_selfie"):
            Image.fromarray(portrait(number, 256, picture)).save(folder / f"{picture}.png")
    return photos


WITHOUT_TORCH = """
    import sys

    class Refuse:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] in ("torch", "diffusers", "accelerate", "transformers"):
                raise AssertionError(f"{name} is imported")

    sys.meta_path.insert(0, Refuse())
    import numpy as np
    from reliableswap import ExportedPipeline
    from reliableswap.cli.main import main

    folder, *pictures = sys.argv[1:]
    assert main(["swap", *pictures, "-o", "out.png", "--pipeline", folder, "--json"]) == 0
    result = ExportedPipeline.from_pretrained(folder)(*pictures)
    np.save("swapped.npy", result.pictures[0].pixels)
"""


@pytest.mark.slow
def test_two_portraits_are_swapped_and_marked_where_torch_cannot_be_imported(folder: Path) -> None:
    line = [sys.executable, "-c", textwrap.dedent(WITHOUT_TORCH), "exported", "1.png", "2.png"]
    done = subprocess.run(line, capture_output=True, text=True, check=False, cwd=folder, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout)
    assert report["engine"] == "neural"
    assert report["device"] == "onnx (exported)"

    marks = verify(folder / "out.png")
    assert marks.ai_made
    assert marks.watermark is not None

    by_torch = ReliableSwapPipeline.from_pretrained(folder / "pipe").on("onnx")
    expected = by_torch(folder / "1.png", folder / "2.png")
    found = np.load(folder / "swapped.npy")
    off = np.abs(found.astype(int) - expected.pictures[0].pixels)
    assert off.max() <= 5  # rounding flips a few threshold decisions, at single pixels
    assert (off > 1).mean() < 1e-3
    assert off.mean() < 0.01
    assert (found != np.asarray(Image.open(folder / "2.png"))).any(2).mean() > 0.1
    (face,) = expected.report.faces
    assert face.identity_after == pytest.approx(report["faces"][0]["identity_after"], abs=1e-3)
    assert by_torch.checksums() == ExportedPipeline.from_pretrained(folder / "exported").checksums()


@pytest.mark.slow
def test_what_needs_torch_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    swap = ["swap", str(folder / "1.png"), str(folder / "2.png"), "-o", str(folder / "not.png")]
    exported = ["--pipeline", str(folder / "exported")]
    assert main([*swap, *exported, "--device", "openvino"]) == 2
    assert "--device openvino needs torch" in capsys.readouterr().err
    assert main([*swap[:1], *swap[2:], *exported, "--person", "alice"]) == 2
    assert "which runs only in torch" in capsys.readouterr().err
    assert main([*swap, *exported, "--trained", "somewhere"]) == 2
    assert "--trained needs torch" in capsys.readouterr().err
    with pytest.raises(WeightsError, match="is an exported folder"):
        ReliableSwapPipeline.from_pretrained(folder / "exported")
    pipe = ExportedPipeline.from_pretrained(folder / "exported")
    with pytest.raises(ReliableSwapError, match=r"person='alice' needs a trained person's decoder"):
        pipe(None, folder / "2.png", person="alice")


@pytest.mark.slow
def test_several_faces_and_settings_as_in_the_normal_pipeline(folder: Path) -> None:
    pair = np.concatenate([portrait(2, 200), portrait(3, 200)], 1)
    pipe = ExportedPipeline.from_pretrained(folder / "exported", threads=1)
    person = pipe.prepare([folder / "1.png", portrait(1, 250, "amateur_selfie")])
    assert person.v_id.shape == (1, 128)
    result = pipe(person, pair, faces="all", age=5, likeness=0.8, engine="blend", output_type="pt")
    assert result.report.swapped == [0, 1]
    assert result.report.engine == "blend"
    assert result.images.shape == (1, 3, 200, 400)
    assert result.report.faces[0].apparent_age is not None


@pytest.mark.slow
def test_files_that_changed_are_refused(folder: Path, tmp_path: Path) -> None:
    for path in (folder / "exported").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "identity.onnx").write_bytes((tmp_path / "fixer.onnx").read_bytes())
    pipe = ExportedPipeline.from_pretrained(tmp_path)
    assert pipe.find(folder / "1.png")
    with pytest.raises(WeightsError, match=r"identity\.onnx has changed since it was exported"):
        _ = pipe.prepare(folder / "1.png").v_id


@pytest.mark.slow
def test_the_bundled_networks_in_eight_bits(
    folder: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe, out = ReliableSwapPipeline.from_pretrained(folder / "pipe"), tmp_path / "out"
    command = ["export", str(folder / "pipe"), "-o", str(out)]
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
    assert main(command) == 2  # the folder is not empty

    # The age gate uses the encoder that was not rounded; the record names the rounded one.
    rounded = ExportedPipeline.from_pretrained(out)
    assert rounded.networks().identity.checksum() != pipe.identity.checksum()
    assert rounded.networks().probe[0].checksum() == pipe.identity.checksum()
    assert rounded.checksums()["identity"] != pipe.checksums()["identity"]
    assert rounded.checksums()["fixer"] == pipe.checksums()["fixer"]
    one, other = sorted(photos.rglob("studio_portrait.png"))
    (face,) = rounded(one, other).report.faces
    assert face.identity_after > face.identity_before + 0.2


def test_bundled_means_the_pipeline_that_ships(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("reliableswap.pipelines.export.export_folder", lambda place, *_, **__: [place])
    assert main(["export", "bundled", "-o", str(tmp_path)]) == 0
    assert capsys.readouterr().out.strip() == str(bundled())


def test_a_single_network_cannot_be_exported_in_eight_bits(
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
