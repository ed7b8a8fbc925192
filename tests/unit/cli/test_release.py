"""Releases: which networks may ship, and that none is replaced unless all of them fit together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support.described import tiny_tokeniser, tiny_transformer

from reliableswap import ReliableSwapPipeline, UnifiedFacePipeline
from reliableswap.cli.release import bundle, parse
from reliableswap.errors import ReliableSwapError
from reliableswap.models import (
    FaceDetector,
    FixerNet,
    GeneralAutoencoder,
    GlassesNet,
    IdentityEncoder,
    LightGenerator,
    MeshNet,
    load_network,
)

CARD = '---\nlicense: other\n---\n```python\nX.from_pretrained("{name}")\n```\n'


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, list[Path]]:
    """Small trained networks that fit together, each with the card of its training."""
    torch.manual_seed(0)
    networks = {
        "detector": FaceDetector(blocks=(1, 1, 1)),
        "landmarks": MeshNet(),
        "identity": IdentityEncoder(embedding_size=16, name="small"),
        "fixer": FixerNet(embedding_size=8),
        "glasses": GlassesNet(channels=(4, 8)),
    }
    # The mean of a single network would turn -0.0 into 0.0, and so change the checksum that the generator stores.
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
    found = {}
    for name, network in networks.items():
        found[name] = [tmp_path / name]
        network.save_pretrained(tmp_path / name)
        (tmp_path / name / "README.md").write_text(CARD.format(name=name))
    return found


@pytest.fixture
def weights(folders: dict[str, list[Path]], tmp_path: Path) -> Path:
    bundle(folders, tmp_path / "weights")
    return tmp_path / "weights"


def glasses(folder: Path, channels: tuple[int, ...] = (4, 8)) -> Path:
    GlassesNet(channels=channels).save_pretrained(folder)
    (folder / "README.md").write_text(CARD.format(name=folder.name) + folder.name)
    return folder


def test_the_weights_folder_is_a_pipeline_in_float16(weights: Path) -> None:
    loaded = ReliableSwapPipeline.from_pretrained(weights)
    stored = load_file(weights / "generator" / "diffusion_pytorch_model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16}
    assert loaded.generator.config["fixer_checksum"] == loaded.fixer.checksum()
    assert isinstance(loaded.glasses, GlassesNet)
    assert not (weights / "README.md").exists()


def test_a_card_gets_the_licence_and_an_example_of_what_ships(weights: Path) -> None:
    assert (weights / "fixer" / "README.md").read_text() == (
        "---\nlicense: other\nlicense_name: non-commercial-research\n---\n"
        '```python\nfrom reliableswap.bundled import bundled\nX.from_pretrained(bundled("fixer"))\n```\n'
    )


def test_one_network_is_replaced_and_the_others_stay(weights: Path, tmp_path: Path) -> None:
    before = (weights / "identity" / "diffusion_pytorch_model.safetensors").read_bytes()
    bundle({"glasses": [glasses(tmp_path / "other", channels=(4, 4))]}, weights)
    assert (weights / "identity" / "diffusion_pytorch_model.safetensors").read_bytes() == before
    assert load_network(weights / "glasses").config["channels"] == [4, 4]
    assert "glasses" in json.loads((weights / "model_index.json").read_text())


def test_the_mean_of_two_runs_has_the_first_ones_card(weights: Path, tmp_path: Path) -> None:
    runs = [glasses(tmp_path / "second"), glasses(tmp_path / "first")]
    ours, theirs = (load_network(run).state_dict() for run in runs)
    assert any(not torch.equal(ours[name], theirs[name]) for name in ours)
    bundle({"glasses": runs}, weights)
    for name, value in load_network(weights / "glasses").state_dict().items():
        assert torch.allclose(value.float(), (ours[name] + theirs[name]) / 2, atol=1e-3), name
    assert "second" in (weights / "glasses" / "README.md").read_text()


def test_an_initial_network_for_trainings_ships_beside_the_pipeline(
    folders: dict[str, list[Path]], weights: Path, tmp_path: Path
) -> None:
    GeneralAutoencoder(size=8, latent=4, max_channels=4).save_pretrained(tmp_path / "person")
    (tmp_path / "person" / "README.md").write_text(CARD.format(name="person"))
    bundle({"person": [tmp_path / "person"]}, weights)
    stored = load_file(weights / "person" / "diffusion_pytorch_model.safetensors")
    assert stored["who.weight"].dtype == torch.float16
    assert "person" not in ReliableSwapPipeline.from_pretrained(weights).components
    bundle({"fixer": folders["fixer"]}, weights)
    assert isinstance(load_network(weights / "person"), GeneralAutoencoder)


@pytest.mark.slow
def test_the_unified_networks_are_a_pipeline_of_their_own(
    folders: dict[str, list[Path]], weights: Path, tmp_path: Path
) -> None:
    tokeniser = tiny_tokeniser()
    for name, network in (("tokeniser", tokeniser), ("transformer", tiny_transformer(tokeniser))):
        network.save_pretrained(tmp_path / name)
        (tmp_path / name / "README.md").write_text(CARD.format(name=name))
    with pytest.raises(ReliableSwapError, match="no transformer among the networks"):
        bundle({"tokeniser": [tmp_path / "tokeniser"]}, weights)
    bundle({name: [tmp_path / name] for name in ("tokeniser", "transformer")}, weights)
    bundle({"fixer": folders["fixer"]}, weights)
    assert UnifiedFacePipeline.from_pretrained(weights / "unified").tokeniser.code_count == 32
    assert 'bundled("unified/tokeniser")' in (weights / "unified" / "tokeniser" / "README.md").read_text()


def test_only_networks_of_one_kind_and_size_are_averaged(
    folders: dict[str, list[Path]], weights: Path, tmp_path: Path
) -> None:
    narrow = glasses(tmp_path / "narrow", channels=(4, 4))
    for stranger in (narrow, folders["identity"][0]):
        with pytest.raises(ReliableSwapError, match=f"{stranger.name} holds a different network from"):
            bundle({"glasses": [folders["glasses"][0], stranger]}, weights)


def test_a_network_without_a_card_or_with_an_unknown_name_is_refused(
    folders: dict[str, list[Path]], tmp_path: Path
) -> None:
    (folders["fixer"][0] / "README.md").unlink()
    with pytest.raises(ReliableSwapError, match=r"fixer has no README\.md"):
        bundle(folders, tmp_path / "weights")
    with pytest.raises(ReliableSwapError, match="no network 'face'"):
        bundle({"face": folders["detector"]}, tmp_path / "weights")
    assert not (tmp_path / "weights").exists()


def test_a_fixer_unknown_to_the_generator_replaces_nothing(
    folders: dict[str, list[Path]], weights: Path
) -> None:
    before = load_network(weights / "fixer").checksum()
    torch.manual_seed(1)
    FixerNet(embedding_size=8).save_pretrained(folders["fixer"][0])
    with pytest.raises(ReliableSwapError, match="with its own FixerNet"):
        bundle({"fixer": folders["fixer"]}, weights)
    assert load_network(weights / "fixer").checksum() == before


def test_the_command_line_names_one_folder_or_several(tmp_path: Path) -> None:
    (tmp_path / "c++").mkdir()
    assert parse([f"glasses={tmp_path / 'c++'}"]) == {"glasses": [tmp_path / "c++"]}
    assert parse(["fixer=runs/a+runs/b"]) == {"fixer": [Path("runs/a"), Path("runs/b")]}
    with pytest.raises(ReliableSwapError, match="NAME=FOLDER"):
        parse(["runs/a"])
