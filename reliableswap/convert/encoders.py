"""Layouts of the published identity encoders and FixerNets."""

from __future__ import annotations

from reliableswap.errors import WeightsError
from reliableswap.models.fixer import FixerNet
from reliableswap.models.identity import IdentityEncoder
from reliableswap.models.iresnet import IRESNET_LAYERS

from .layout import Layout, Tensors, count

# A tensor name that only such a network has.
IRESNET_KEY = "layer1.0.prelu.weight"
MOBILEFACENET_KEY = "gdconv.depthwise.weight"

_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def arcface(tensors: Tensors) -> Layout:
    """An IResNet for the 112 px identity window."""
    body, side, embedding_size = _iresnet(tensors)
    if side != 7:
        raise WeightsError(
            f"{body} for {16 * side} px windows is not an identity encoder; convert it as fixer"
        )
    config = {"body": body, "embedding_size": embedding_size, "name": f"arcface_{body}"}
    return Layout(IdentityEncoder, f"{body}, {embedding_size}-d identity", config, {"": "trunk"})


def fixer(tensors: Tensors) -> Layout:
    """An IResNet for the 56 px fixer window; its vector is not normalised."""
    body, side, embedding_size = _iresnet(tensors)
    if side != 4:
        raise WeightsError(f"{body} for {16 * side} px windows is not a FixerNet; convert it as arcface")
    config = {"body": body, "embedding_size": embedding_size, "normalised": False}
    return Layout(FixerNet, f"{body}, {embedding_size}-d fixer", config, {"": "trunk"})


def mobilefacenet(tensors: Tensors) -> Layout:
    """A MobileFaceNet for the 112 px identity window, trained with ImageNet's normalisation."""
    embedding_size = tensors["conv3.weight"].shape[0] if "conv3.weight" in tensors else 128
    config = {"body": "mobilefacenet", "embedding_size": embedding_size, "name": "mobilefacenet", **_IMAGENET}
    return Layout(IdentityEncoder, f"mobilefacenet, {embedding_size}-d identity", config, {"": "trunk"})


def _iresnet(tensors: Tensors) -> tuple[str, int, int]:
    """Return the body's name, the side of its last feature map and the length of its vector."""
    units = tuple(count(tensors, f"layer{layer}.{{}}.conv1.weight") for layer in range(1, 5))
    bodies = {layers: body for body, layers in IRESNET_LAYERS.items()}
    if units not in bodies or "fc.weight" not in tensors:
        raise WeightsError(
            f"residual units {units} match none of {', '.join(IRESNET_LAYERS)}; is the file complete?"
        )
    embedding_size, inputs = tensors["fc.weight"].shape
    return bodies[units], round((inputs / 512) ** 0.5), embedding_size
