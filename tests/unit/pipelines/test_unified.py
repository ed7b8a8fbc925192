"""The pipeline that describes, answers and draws, and its commands, with tiny networks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from support.described import tiny_tokeniser, tiny_transformer
from support.people import person, portrait

from reliableswap.bundled import bundled
from reliableswap.cli.main import main
from reliableswap.errors import NoFaceError, RefusedError, ReliableSwapError, WeightsError
from reliableswap.faces.analysers.bundled import BundledAnalyser
from reliableswap.models.detector import FaceDetector
from reliableswap.models.identity import IdentityEncoder
from reliableswap.pipelines.unified import UnifiedFacePipeline
from reliableswap.provenance.metadata import GENERATED
from reliableswap.provenance.verify import verify


@pytest.fixture(scope="module")
def pipe() -> UnifiedFacePipeline:
    tokeniser = tiny_tokeniser()
    return UnifiedFacePipeline(tokeniser, tiny_transformer(tokeniser))


@pytest.fixture(scope="module")
def folder(pipe: UnifiedFacePipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("unified")
    pipe.save_pretrained(place, figures={"answers": 0.5})
    return place


def test_it_comes_back(pipe: UnifiedFacePipeline, folder: Path) -> None:
    loaded = UnifiedFacePipeline.from_pretrained(folder)
    one, other = (
        each.draw("a man with glasses", steps=3, seed=5).pictures[0].pixels for each in (pipe, loaded)
    )
    assert np.array_equal(one, other)
    card = (folder / "README.md").read_text()
    assert "| answers | 0.5 |" in card
    assert "UnifiedTransformer" in card
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "model_index.json",
        "tokeniser",
        "transformer",
    ]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_it_runs_in_half_precision(dtype: torch.dtype) -> None:
    tokeniser, encoder = tiny_tokeniser(), IdentityEncoder(body="mobilefacenet", embedding_size=128).eval()
    transformer = tiny_transformer(tokeniser, identity_checksum=encoder.checksum())
    half = UnifiedFacePipeline(tokeniser, transformer, identity=encoder).to(dtype)
    assert half.draw("a man", steps=2).pictures[0].pixels.shape == (128, 128, 3)
    assert isinstance(half.describe(portrait(1, 300)), str)


def test_a_replaced_detector_is_used(pipe: UnifiedFacePipeline) -> None:
    other = UnifiedFacePipeline(pipe.tokeniser, pipe.transformer)
    before = other.analyser
    assert isinstance(before, BundledAnalyser)
    other.detector = FaceDetector.from_pretrained(bundled("detector"))
    after = other.analyser
    assert isinstance(after, BundledAnalyser)
    assert after.detector is other.detector
    assert before.detector is not other.detector


def test_the_same_seed_draws_the_same_face(pipe: UnifiedFacePipeline) -> None:
    drawn = [pipe.draw("a woman, smiling", steps=2, seed=seed).pictures[0].pixels for seed in (0, 0, 1)]
    assert drawn[0].shape == (128, 128, 3)
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


def test_a_drawn_picture_is_marked(pipe: UnifiedFacePipeline, tmp_path: Path) -> None:
    drawn = pipe.draw("a man", steps=2, count=2)
    assert len(drawn.images) == 2
    found = verify(drawn.save(tmp_path / "drawn.png", 1))
    assert found.mark is not None
    assert found.mark.source_type == GENERATED
    assert found.manifest is not None
    assert set(found.manifest.source_types) == {GENERATED}
    assert found.manifest is not None
    assert found.manifest.statement["action"] == "face drawing"
    assert found.manifest.statement["settings"]["steps"] == 2
    assert {one["name"] for one in found.manifest.statement["networks"]} == {"tokeniser", "transformer"}


@pytest.mark.slow
def test_faces_are_described_and_asked_about(pipe: UnifiedFacePipeline) -> None:
    photo = portrait(1)
    said = pipe.describe(photo)
    assert isinstance(said, str)
    assert pipe.describe_faces(photo, pipe.analyser(photo)) == [said]
    assert pipe.describe_faces(photo, []) == []
    assert pipe.ask(photo, "does she wear glasses?") == pipe.ask(photo, "does she wear glasses")
    with pytest.raises(NoFaceError, match="no face 3"):
        pipe.describe(photo, face=3)
    with pytest.raises(NoFaceError, match="no face found"):
        pipe.describe(np.zeros((64, 64, 3), np.uint8))


def test_unknown_words_are_reported(pipe: UnifiedFacePipeline, caplog: pytest.LogCaptureFixture) -> None:
    pipe.draw("a man with frobs", steps=1)
    assert "frobs" in caplog.text
    with pytest.raises(ReliableSwapError, match="no word that this network knows"):
        pipe.draw("frobs")
    with pytest.raises(ReliableSwapError, match="no word that this network knows"):
        pipe.ask(portrait(1), "frobs?")
    with pytest.raises(ReliableSwapError, match="too long"):
        pipe.draw("a man " * 60)


def test_errors_on_wrong_numbers_name_them(pipe: UnifiedFacePipeline) -> None:
    with pytest.raises(ReliableSwapError, match="steps is 0"):
        pipe.draw(steps=0)
    with pytest.raises(ReliableSwapError, match="seed is"):
        pipe.draw(seed=10**20)
    with pytest.raises(ReliableSwapError, match="temperature is 0"):
        pipe.draw(temperature=0)
    for guidance in (float("nan"), float("inf"), -1.0):
        with pytest.raises(ReliableSwapError, match=r"guidance is .*; give 0 or more"):
            pipe.draw(guidance=guidance)


def test_networks_that_do_not_belong_together_are_refused(pipe: UnifiedFacePipeline) -> None:
    torch.manual_seed(5)
    other = tiny_tokeniser()
    with torch.no_grad():
        other.quantiser.codes.mul_(-1)
    with pytest.raises(WeightsError, match="tokeniser is not the one"):
        UnifiedFacePipeline(other, pipe.transformer)
    sharper = tiny_tokeniser()  # a decoder that was trained further decodes the same tokens
    with torch.no_grad():
        sharper.decoder[0].weight.add_(0.1)
    assert UnifiedFacePipeline(sharper, pipe.transformer).tokeniser is sharper
    strange = tiny_transformer(pipe.tokeniser, identity_checksum="abc")
    with pytest.raises(WeightsError, match="identity encoder is not the one"):
        UnifiedFacePipeline(pipe.tokeniser, strange, identity=IdentityEncoder())


def test_drawings_pass_the_nudity_gate(pipe: UnifiedFacePipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipe._gates, "shows_nudity", lambda pixels: True)
    with pytest.raises(RefusedError, match="nudity"):
        pipe.draw("a man", steps=1)


@pytest.mark.slow
def test_the_commands(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo, model = str(person(1)), ["--model", str(folder)]
    assert main(["describe", photo, *model]) == 0
    said = capsys.readouterr().out.strip()
    assert main(["ask", photo, "is this a man ?", "--json", *model]) == 0
    assert json.loads(capsys.readouterr().out)["question"] == "is this a man ?"
    assert main(["faces", photo, "--describe", "--json", *model]) == 0
    assert json.loads(capsys.readouterr().out)["faces"][0]["description"] == said
    out = tmp_path / "drawn.png"
    draw = ["draw", "a man with glasses", "-o", str(out), "--count", "2", "--steps", "2", *model]
    assert main(draw) == 0
    assert [verify(tmp_path / f"drawn-{number}.png").mark is not None for number in (0, 1)] == [True, True]
    capsys.readouterr()
    assert main(draw) == 2
    assert "exists" in capsys.readouterr().err


def test_a_model_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", str(person(1)), "--model", "/nowhere"]) == 2
    assert "no pipeline at /nowhere" in capsys.readouterr().err
