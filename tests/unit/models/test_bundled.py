"""The networks that ship, on people who do not exist: they do what their cards say."""

from __future__ import annotations

import itertools
import json
import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from support.people import person

from reliableswap import ReliableSwapPipeline
from reliableswap.bundled import WEIGHTS, bundled
from reliableswap.cli.release import _folders, bundle
from reliableswap.errors import ReliableSwapError
from reliableswap.faces.align import FIXER_WINDOW, IDENTITY_WINDOW, align
from reliableswap.geometry.measures import expression_error, pose_error
from reliableswap.models import (
    FaceDetector,
    FixerNet,
    GlassesNet,
    IdentityEncoder,
    LightGenerator,
    MeshNet,
    load_network,
)
from reliableswap.swap.engines import Region, embed

PEOPLE = range(1, 9)
PAIRS = [(1, 2), (3, 4), (5, 6), (7, 8)]  # source, target


@pytest.fixture(scope="module")
def pipe() -> ReliableSwapPipeline:
    return ReliableSwapPipeline.bundled()


def photo(number: int, picture: str = "studio_portrait", side: int = 320) -> np.ndarray:
    image = Image.open(person(number, picture)).convert("RGB")
    image.thumbnail((side, side))
    return np.asarray(image)


@pytest.fixture(scope="module")
def crops(pipe: ReliableSwapPipeline) -> dict[tuple[int, str], np.ndarray]:
    """Aligned 128 px crops of two photos of each person."""
    found = {}
    for number, picture in itertools.product(PEOPLE, ("studio_portrait", "amateur_selfie")):
        pixels = photo(number, picture)
        found[number, picture] = align(pixels, pipe.find(pixels)[0].points5)[0]
    return found


def test_what_ships_is_small_has_a_card_and_loads_as_a_pipeline() -> None:
    names = [path.name for path in WEIGHTS.iterdir() if path.is_dir()]
    assert set(names) == {"detector", "landmarks", "identity", "fixer", "generator", "glasses"}
    assert sum(path.stat().st_size for path in WEIGHTS.rglob("*.safetensors")) < 60 * 2**20
    for name in names:
        card = (bundled(name) / "README.md").read_text()
        assert "Measured on held-out people" in card
        assert "train_accelerate.py" in card
        assert "/" + "tmp" not in card
        assert "\nlicense_name: non-commercial-research\n" in card
        assert f'from_pretrained("reliableswap/weights/{name}")' in card
    index = json.loads((WEIGHTS / "model_index.json").read_text())
    assert index["generator"] == ["reliableswap.models", "LightGenerator"]


@pytest.mark.parametrize(("network", "window"), [("identity", IDENTITY_WINDOW), ("fixer", FIXER_WINDOW)])
def test_the_encoders_know_a_person_in_another_photo(
    network: str, window: tuple, pipe: ReliableSwapPipeline, crops: dict
) -> None:
    encoder = getattr(pipe, network)
    vectors = [
        torch.cat([embed(encoder, crops[n, picture][window]) for n in PEOPLE])
        for picture in ("studio_portrait", "amateur_selfie")
    ]
    similar = (vectors[0] @ vectors[1].T).numpy()
    own, others = np.diag(similar), similar[~np.eye(len(similar), dtype=bool)]
    assert own.mean() > others.mean() + 0.3
    assert (similar.argmax(1) == np.arange(len(similar))).mean() >= 0.75


def test_a_neural_swap_brings_the_source_and_keeps_pose_and_expression(pipe: ReliableSwapPipeline) -> None:
    for source, target in PAIRS:
        before = photo(target)
        out = pipe(photo(source), before, engine="neural")
        entry = out.report.faces[0]
        assert entry.identity_after > 0.4
        assert entry.identity_after > entry.identity_before + 0.25
        pixels = np.asarray(out.images[0])
        then, now = (pipe.find(image)[0].mesh for image in (before, pixels))
        assert pose_error(now, then) < 8
        assert expression_error(now, then) < 0.04
        changed = np.abs(pixels.astype(int) - before).max(2) > 0
        assert 0.03 < changed.mean() < 0.6


def test_loading_without_accelerate_says_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("diffusers.pipelines.pipeline_utils.is_accelerate_available", lambda: False)
    monkeypatch.setattr(logging.getLogger("diffusers"), "propagate", True)
    ReliableSwapPipeline.bundled()
    assert not [one for one in caplog.messages if "accelerate" in one]


def test_the_generator_says_whom_it_never_saw(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        generator = LightGenerator.from_pretrained(bundled("generator"))
    assert not caplog.messages
    assert generator.config["held_out"] == 10.0
    assert json.loads((WEIGHTS / "generator" / "config.json").read_text())["held_out"] == 10.0


def test_auto_is_the_neural_engine(pipe: ReliableSwapPipeline) -> None:
    out = pipe(photo(1), photo(2))
    assert out.report.engine == "neural"


def test_the_generator_uses_both_its_identity_and_its_guidance(pipe: ReliableSwapPipeline) -> None:
    """With the texture hidden the vector alone still moves the face; with the vector alone changed it moves less."""
    from reliableswap.swap.engines import NeuralEngine

    engine = NeuralEngine(pipe.generator, pipe.identity, pipe.fixer)
    target, first, second = (
        Region.around(pixels, pipe.find(pixels)[0], "photo") for pixels in map(photo, (2, 1, 5))
    )
    picture, matrix = align(target.pixels, target.face.points5, 128)
    mesh = cv2.transform(target.face.mesh[None, :, :2], matrix)[0]
    seen = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 127.5 - 1
    nothing = torch.cat([-torch.ones(1, 3, 128, 128), torch.zeros(1, 1, 128, 128)], 1)
    guided = engine.guidance(picture, np.column_stack([mesh, target.face.mesh[:, 2]]), first)
    with torch.inference_mode():
        whole = pipe.generator(seen, engine.vector(first), guided).image
        other_vector = pipe.generator(seen, engine.vector(second), guided).image
        blind = pipe.generator(seen, engine.vector(first), nothing).image
        blind_other = pipe.generator(seen, engine.vector(second), nothing).image
    assert float((whole - blind).abs().mean()) > 0.01
    assert float((blind - blind_other).abs().mean()) > 0.002
    assert float((whole - other_vector).abs().mean()) > 0.0005


def test_bundling_wants_cards_and_known_names_and_keeps_to_its_size(tmp_path: Path) -> None:
    torch.manual_seed(0)
    networks = {
        "detector": FaceDetector(),
        "landmarks": MeshNet(),
        "identity": IdentityEncoder(embedding_size=16, name="small"),
        "fixer": FixerNet(embedding_size=8),
    }
    # A zero with a sign is another file, and the generator knows its encoder by checksum.
    with torch.no_grad():
        next(networks["identity"].parameters()).view(-1)[0] = -0.0
    networks["generator"] = LightGenerator(
        channels=(8, 8, 8, 8),
        block_count=1,
        identity_dim=16,
        fixer_dim=8,
        identity_encoder="small",
        identity_checksum=networks["identity"].checksum(),
        fixer_checksum=networks["fixer"].checksum(),
    )
    folders = {}
    for name, network in networks.items():
        folders[name] = tmp_path / name
        network.save_pretrained(folders[name])
    weights = tmp_path / "weights"
    with pytest.raises(ReliableSwapError, match=r"has no README\.md"):
        bundle(folders, weights)
    for name, folder in folders.items():
        (folder / "README.md").write_text(f'---\nlicense: other\n---\nX.from_pretrained("{name}")')
    bundle(folders, weights)
    loaded = ReliableSwapPipeline.from_pretrained(weights)
    stored = load_file(weights / "generator" / "diffusion_pytorch_model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16}
    assert loaded.generator.config["fixer_checksum"] == loaded.fixer.checksum()
    assert (weights / "fixer" / "README.md").read_text() == (
        "---\nlicense: other\nlicense_name: non-commercial-research\n---\n"
        'X.from_pretrained("reliableswap/weights/fixer")'
    )
    glasses = tmp_path / "glasses"
    GlassesNet(channels=(4, 8)).save_pretrained(glasses)
    (glasses / "README.md").write_text("---\nlicense: other\n---")
    bundle({"glasses": glasses}, weights)
    bundle({"detector": folders["detector"]}, weights)
    assert isinstance(load_network(weights / "glasses"), GlassesNet)
    assert "glasses" not in json.loads((weights / "model_index.json").read_text())
    # The mean of two runs' weights, with the first one's card.
    GlassesNet(channels=(4, 8)).save_pretrained(tmp_path / "other")
    (tmp_path / "other" / "README.md").write_text("---\nlicense: other\n---\nthe first")
    ours, theirs = load_network(tmp_path / "other").state_dict(), load_network(glasses).state_dict()
    assert any(not torch.equal(ours[name], theirs[name]) for name in ours)
    bundle({"glasses": [tmp_path / "other", glasses]}, weights)
    for name, value in load_network(weights / "glasses").state_dict().items():
        assert torch.allclose(value.float(), (ours[name] + theirs[name]) / 2, atol=1e-3), name
    assert "the first" in (weights / "glasses" / "README.md").read_text()
    both = f"{tmp_path / 'other'}+{glasses}"
    assert _folders(both) == [tmp_path / "other", glasses]
    (tmp_path / "c++").mkdir()
    assert _folders(str(tmp_path / "c++")) == [tmp_path / "c++"]
    GlassesNet(channels=(4, 4)).save_pretrained(tmp_path / "narrow")
    for stranger in (tmp_path / "narrow", folders["identity"]):
        with pytest.raises(ReliableSwapError, match=f"{stranger.name} holds another network than"):
            bundle({"glasses": [glasses, stranger]}, weights)
    with pytest.raises(ReliableSwapError, match="no component 'face'"):
        bundle({"face": folders["detector"]}, weights)
    # A fixer that the generator never saw is found out before anything is replaced.
    torch.manual_seed(1)
    FixerNet(embedding_size=8).save_pretrained(folders["fixer"])
    with pytest.raises(ReliableSwapError, match="with its own FixerNet"):
        bundle({"fixer": folders["fixer"]}, weights)
    assert ReliableSwapPipeline.from_pretrained(weights).fixer.checksum() == networks["fixer"].checksum()
