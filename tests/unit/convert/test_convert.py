"""Published checkpoints, with their wrappers and prefixes, become our folders completely or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from support import published
from torch import Tensor

from reliableswap.convert.checkpoints import convert
from reliableswap.errors import WeightsError
from reliableswap.models import HearNet, IdentityEncoder, SimSwapGenerator, load_network

parity = published.load_benchmark("parity")


def simswap(**changes: Any) -> dict[str, Tensor]:
    return parity.ruled_weights(published.simswap(4, blocks=1, **({"vector": 512} | changes)))


@pytest.fixture
def weights() -> dict[str, Tensor]:
    return simswap()


WRAPPINGS = {
    "plain": lambda w: w,
    "module": lambda w: {f"module.{key}": tensor for key, tensor in w.items()},
    "netG": lambda w: {"netG": w, "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}}, "epoch": 3},
    "lightning": lambda w: {
        "state_dict": {f"generator.{key}": tensor for key, tensor in w.items()}
        | {"discriminator.conv.weight": torch.zeros(2)},
        "global_step": 10,
        "optimizer_states": [{"lr": 1e-4}],
    },
    "nested": lambda w: {"model": {"generator": {f"module.{key}": tensor for key, tensor in w.items()}}},
    "old": lambda w: {key: tensor for key, tensor in w.items() if "num_batches" not in key},
}


@pytest.mark.parametrize("ending", [".pth", ".ckpt"])
@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_finds_the_network_in_its_wrapping(
    wrapping: str, ending: str, weights: dict[str, Tensor], tmp_path: Path
) -> None:
    torch.save(WRAPPINGS[wrapping](weights), tmp_path / f"file{ending}")
    report = convert("simswap", tmp_path / f"file{ending}", tmp_path / "out")
    network = load_network(tmp_path / "out")
    assert isinstance(network, SimSwapGenerator)
    assert torch.equal(network.stem[0].weight, weights["first_layer.1.weight"])
    assert torch.equal(network.blocks[0].style2.bias, weights["BottleNeck.0.style2.linear.bias"])
    assert torch.equal(network.up[0][0].weight, weights["up3.1.weight"])
    assert report.unused == ("trans_matrix",)
    assert report.parameter_count == network.parameter_count
    assert "SimSwapGenerator" in str(report)
    if wrapping == "lightning":
        assert report.beside == ("discriminator",)
    if wrapping == "netG":
        assert "optimizer.state.0" in report.beside


def test_old_and_new_torch_files_and_safetensors_agree(weights: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(weights, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    save_file(weights, tmp_path / "new.safetensors")
    convert("simswap", tmp_path / "old.pth", tmp_path / "one")
    convert("simswap", tmp_path / "new.safetensors", tmp_path / "other")
    one, other = (load_network(tmp_path / name).state_dict() for name in ("one", "other"))
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize(
    ("kind", "shapes", "config"),
    [
        (
            "simswap",
            published.simswap(4, vector=640, levels=4, blocks=2),
            {"levels": 4, "block_count": 2, "identity_dim": 512, "fixer_dim": 128, "template": "ffhq_512"},
        ),
        (
            "simswap",
            published.simswap(4, vector=512, blocks=1),
            {"levels": 3, "fixer_dim": 0, "template": "arcface_112_v1", "value_range": [0.0, 1.0]},
        ),
        (
            "faceshifter",
            published.faceshifter(64, vector=512),
            {"size": 256, "channels": 64, "identity_dim": 512, "fixer_dim": 0},
        ),
        ("faceshifter", published.faceshifter(64, large=True), {"size": 512, "fixer_dim": 128}),
        ("hear", published.hear(8), {"channels": 8}),
        (
            "arcface",
            published.iresnet((2, 2, 2, 2), embedding=16),
            {"body": "iresnet18", "embedding_size": 16, "name": "arcface_iresnet18"},
        ),
        (
            "fixer",
            published.iresnet((3, 4, 6, 3), embedding=16, side=4),
            {"body": "iresnet34", "embedding_size": 16, "normalised": False},
        ),
        (
            "mobilefacenet",
            [(key, list(tensor.shape)) for key, tensor in IdentityEncoder().trunk.state_dict().items()],
            {"body": "mobilefacenet", "embedding_size": 128, "mean": [0.485, 0.456, 0.406]},
        ),
    ],
)
def test_reads_the_variant_off_the_shapes(
    kind: str, shapes: Any, config: dict[str, Any], tmp_path: Path
) -> None:
    torch.save({f"module.{key}": t for key, t in parity.ruled_weights(shapes).items()}, tmp_path / "file.pth")
    report = convert(kind, tmp_path / "file.pth", tmp_path / "out")
    network = load_network(tmp_path / "out")
    found = {name: network.config[name] for name in config}
    assert {name: list(v) if isinstance(v, tuple) else v for name, v in found.items()} == config
    assert report.network == type(network).__name__
    if hasattr(network, "checksum"):
        assert report.checksum == network.checksum()


def test_every_tensor_arrives(tmp_path: Path) -> None:
    weights = parity.ruled_weights(published.faceshifter(64))
    save_file(weights, tmp_path / "file.safetensors")
    convert("faceshifter", tmp_path / "file.safetensors", tmp_path / "out")
    arrived = load_file(tmp_path / "out" / "diffusion_pytorch_model.safetensors")
    assert len(arrived) == len(weights)
    fingerprints = {(tuple(t.shape), round(t.double().sum().item(), 9)) for t in arrived.values()}
    assert all((tuple(t.shape), round(t.double().sum().item(), 9)) in fingerprints for t in weights.values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"surplus.weight": torch.zeros(1)}, "unknown: surplus.weight"),
        ({"down1.0.weight": None}, "missing: down1.0.weight"),
        ({"up2.1.bias": torch.zeros(5)}, r"wrong shape: up2.1.bias \(5,\) instead of \(8,\)"),
    ],
    ids=["unknown", "missing", "reshaped"],
)
def test_lists_what_does_not_fit_and_writes_nothing(
    change: dict[str, Tensor | None], message: str, weights: dict[str, Tensor], tmp_path: Path
) -> None:
    changed = {key: t for key, t in (weights | change).items() if t is not None}
    torch.save(changed, tmp_path / "file.pth")
    with pytest.raises(WeightsError, match=message) as caught:
        convert("simswap", tmp_path / "file.pth", tmp_path / "deep" / "out")
    assert "\n" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["file.pth"]


def test_a_failed_write_leaves_nothing(
    weights: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(weights, tmp_path / "file.pth")
    whole = SimSwapGenerator.save_pretrained

    def fails_at_the_end(self: SimSwapGenerator, folder: Path, **kwargs: Any) -> None:
        whole(self, folder, **kwargs)
        raise OSError("no space left on device")

    monkeypatch.setattr(SimSwapGenerator, "save_pretrained", fails_at_the_end)
    with pytest.raises(OSError, match="no space left"):
        convert("simswap", tmp_path / "file.pth", tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["file.pth"]


def test_never_overwrites(weights: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(weights, tmp_path / "file.pth")
    (tmp_path / "out").mkdir()
    convert("simswap", tmp_path / "file.pth", tmp_path / "out")  # an empty folder may be filled
    with pytest.raises(WeightsError, match="already exists"):
        convert("simswap", tmp_path / "file.pth", tmp_path / "out")


class Harmless:
    """Stand-in for an object whose unpickling could run code."""


def test_never_unpickles_objects(weights: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save({"netG": weights, "options": Harmless()}, tmp_path / "file.pth")
    with pytest.raises(WeightsError, match="Python objects besides its tensors"):
        convert("simswap", tmp_path / "file.pth", tmp_path / "out")


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_says_that_a_file_is_broken(ending: str, tmp_path: Path) -> None:
    (tmp_path / f"file.{ending}").write_bytes(b"<html>404</html>" * 40)
    with pytest.raises(
        WeightsError, match=rf"file\.{ending} is not a (complete|PyTorch checkpoint; download it again$)"
    ) as caught:
        convert("simswap", tmp_path / f"file.{ending}", tmp_path / "out")
    assert "\n" not in str(caught.value)
    with pytest.raises(WeightsError, match="no checkpoint at"):
        convert("simswap", tmp_path / f"none.{ending}", tmp_path / "out")


def test_says_that_the_kind_is_wrong(weights: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(weights, tmp_path / "file.pth")
    with pytest.raises(WeightsError, match=r"holds no faceshifter network.*it has trans_matrix"):
        convert("faceshifter", tmp_path / "file.pth", tmp_path / "out")
    with pytest.raises(WeightsError, match=r"unknown kind 'ghost'; choose one of simswap"):
        convert("ghost", tmp_path / "file.pth", tmp_path / "out")
    torch.save(parity.ruled_weights(published.iresnet((2, 2, 2, 2), 16, side=4)), tmp_path / "fixer.pth")
    with pytest.raises(WeightsError, match="convert it as fixer"):
        convert("arcface", tmp_path / "fixer.pth", tmp_path / "out")


def test_asks_which_of_two_networks_is_meant(weights: dict[str, Tensor], tmp_path: Path) -> None:
    average = {key: tensor + 1 if tensor.is_floating_point() else tensor for key, tensor in weights.items()}
    torch.save({"netG": weights, "netG_ema": average}, tmp_path / "file.pth")
    with pytest.raises(WeightsError, match=r"2 simswap networks.*'netG\.', 'netG_ema\.'"):
        convert("simswap", tmp_path / "file.pth", tmp_path / "out")
    convert("simswap", tmp_path / "file.pth", tmp_path / "out", prefix="netG_ema.")
    assert torch.equal(load_network(tmp_path / "out").head.bias, average["last_layer.1.bias"])


@pytest.fixture
def encoder(tmp_path: Path) -> IdentityEncoder:
    encoder = IdentityEncoder(embedding_size=512, name="mine")
    encoder.save_pretrained(tmp_path / "encoder")
    return encoder


def test_names_the_encoder(encoder: IdentityEncoder, tmp_path: Path) -> None:
    torch.save(simswap(vector=640), tmp_path / "file.pth")
    convert("simswap", tmp_path / "file.pth", tmp_path / "out", encoder=tmp_path / "encoder")
    config = load_network(tmp_path / "out").config
    assert config.identity_encoder == "mine"
    assert config.identity_checksum == encoder.checksum()
    assert (config.identity_dim, config.fixer_dim) == (512, 128)


@pytest.mark.usefixtures("encoder")
def test_an_encoder_that_does_not_fit_is_refused(weights: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(weights, tmp_path / "plain.pth")
    HearNet(channels=4).save_pretrained(tmp_path / "hear")
    with pytest.raises(WeightsError, match="not an IdentityEncoder"):
        convert("simswap", tmp_path / "plain.pth", tmp_path / "no", encoder=tmp_path / "hear")
    with pytest.raises(WeightsError, match="--encoder applies to generators only, not to arcface"):
        convert("arcface", tmp_path / "plain.pth", tmp_path / "no", encoder=tmp_path / "encoder")
    IdentityEncoder(embedding_size=1024).save_pretrained(tmp_path / "wide")
    with pytest.raises(WeightsError, match=r"takes 512-d vectors, but the encoder gives 1024-d"):
        convert("simswap", tmp_path / "plain.pth", tmp_path / "no", encoder=tmp_path / "wide")
    assert not (tmp_path / "no").exists()


def test_a_setting_that_the_network_lacks_is_refused(tmp_path: Path) -> None:
    torch.save(parity.ruled_weights(published.hear(8)), tmp_path / "hear.pth")
    with pytest.raises(WeightsError, match=r"no such setting.*template"):
        convert("hear", tmp_path / "hear.pth", tmp_path / "no", template="arcface_128")


@pytest.mark.parametrize(
    ("kind", "shapes"),
    [("simswap", published.simswap(4, blocks=1)), ("faceshifter", published.faceshifter(64, vector=512))],
)
def test_an_unknown_template_is_refused(kind: str, shapes: Any, tmp_path: Path) -> None:
    torch.save(parity.ruled_weights(shapes), tmp_path / "file.pth")
    with pytest.raises(
        WeightsError, match=r"unknown template 'square'; choose one of arcface_128, .*ffhq_512"
    ):
        convert(kind, tmp_path / "file.pth", tmp_path / "no", template="square")
    assert not (tmp_path / "no").exists()
