"""The published checkpoints' layouts: which network a table of tensors is, and its names in our words.

A layout reads the variant (depth, picture size, vector length) off the tensors' shapes. Names differ only in
their beginnings, so each layout is a list of pairs: their beginning, ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from reliableswap.errors import WeightsError
from reliableswap.models.base import Network, some
from reliableswap.models.faceshifter import FaceShifterGenerator
from reliableswap.models.fixer import FixerNet
from reliableswap.models.hear import HearNet
from reliableswap.models.identity import IdentityEncoder
from reliableswap.models.iresnet import IRESNET_LAYERS
from reliableswap.models.perceptual import VARIANTS, PerceptualFeatures
from reliableswap.models.simswap import SimSwapGenerator

Tensors = dict[str, Tensor]

# A name that only such a network holds, by the kind of network.
MARKS = {
    "simswap": "BottleNeck.0.style1.linear.weight",
    "faceshifter": "generator.AADBlk1.AAD1.conv_h.weight",
    "hear": "up5.weight",
    "arcface": "layer1.0.prelu.weight",
    "fixer": "layer1.0.prelu.weight",
    "mobilefacenet": "gdconv.depthwise.weight",
    "perceptual": "_blocks.0._depthwise_conv.weight",
}

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
FIXER_DIM = 128  # of every published FixerNet


@dataclass(frozen=True)
class Layout:
    """A published network: its class here, the config its shapes tell, and how its names map to ours."""

    network: type[Network]
    variant: str
    config: dict[str, Any]
    names: dict[str, str] = field(default_factory=dict)
    unused: tuple[str, ...] = ()  # beginnings of names that the published network never reads

    def is_unused(self, theirs: str) -> bool:
        return theirs.startswith(self.unused)

    def ours(self, theirs: str) -> str:
        return _rebased(theirs, self.names)

    def theirs(self, ours: str) -> str:
        return _rebased(ours, {mine: their for their, mine in self.names.items()})


def _rebased(name: str, beginnings: dict[str, str]) -> str:
    """The name with the longest beginning of whole parts that is listed exchanged."""
    parts = name.split(".")
    for end in range(len(parts), -1, -1):
        beginning = ".".join(parts[:end])
        if beginning in beginnings:
            return ".".join(filter(None, [beginnings[beginning], *parts[end:]]))
    return name


def _count(tensors: Tensors, pattern: str) -> int:
    """How many tensors there are in the row pattern.format(0), pattern.format(1) and so on."""
    number = 0
    while pattern.format(number) in tensors:
        number += 1
    return number


def _vector(width: int) -> dict[str, int]:
    """The parts of a generator's vector: 512 is v_id alone, 640 is v_id and v_fix."""
    fixer_dim = FIXER_DIM if width == 512 + FIXER_DIM else 0
    return {"identity_dim": width - fixer_dim, "fixer_dim": fixer_dim}


@dataclass(frozen=True)
class Found:
    """A network's tensors, their common prefix taken off, and the names of what else the file holds."""

    tensors: Tensors
    beside: tuple[str, ...]


def find(kind: str, content: Any, path: Path, prefix: str | None = None) -> Found:
    """The one table in a checkpoint that holds such a network; `prefix` chooses if there are several."""
    mark = MARKS[kind]
    places: dict[tuple[str, str], Tensors] = {}
    tables = dict(_tables(content, ""))
    for place, table in tables.items():
        starts = {key.removesuffix(mark) for key in table if key.endswith(mark)}
        for start in starts:
            if (not start or start.endswith(".")) and (prefix is None or place + start == prefix):
                places[place, start] = table
    if not places:
        seen = next(iter(tables.values()), {})
        wanted = f"no tensor named …{mark}" + (f" behind the prefix {prefix!r}" if prefix is not None else "")
        raise WeightsError(
            f"{path} holds no {kind} network ({wanted}; it has {some(tuple(seen))}); wrong kind?"
        )
    if len(places) > 1:
        names = tuple(sorted(repr(place + start) for place, start in places))
        raise WeightsError(
            f"{path} holds {len(places)} {kind} networks; choose one with prefix: {some(names)}"
        )
    (place, start), table = next(iter(places.items()))
    tensors = {key.removeprefix(start): tensor for key, tensor in table.items() if key.startswith(start)}
    other = {key.split(".")[0] for key in table if not key.startswith(start)}
    other |= {name.rstrip(".") for name in tables if name and name != place}
    return Found(tensors, tuple(sorted(other)))


def _tables(content: Any, place: str) -> Iterator[tuple[str, Tensors]]:
    """Every dictionary in the checkpoint that holds tensors by name, with the path that leads to it."""
    if not isinstance(content, dict):
        return
    tensors = {
        key: value for key, value in content.items() if isinstance(key, str) and isinstance(value, Tensor)
    }
    if tensors:
        yield place, tensors
    for key, value in content.items():
        yield from _tables(value, f"{place}{key}.")


def simswap(tensors: Tensors) -> Layout:
    """SimSwap: three levels (224, 256) or four (512); nine blocks as published."""
    vector = _vector(tensors[MARKS["simswap"]].shape[1])
    levels = 4 if "down4.0.weight" in tensors else 3
    blocks = _count(tensors, "BottleNeck.{}.style1.linear.weight")
    names = {"first_layer.1": "stem.0", "first_layer.2": "stem.1", "last_layer.1": "head"}
    for level in range(levels):
        names[f"down{level + 1}"] = f"down.{level}"
        names[f"up{levels - level}.1"] = f"up.{level}.0"
        names[f"up{levels - level}.2"] = f"up.{level}.1"
    for block in range(blocks):
        for number in (1, 2):
            names[f"BottleNeck.{block}.conv{number}.1"] = f"blocks.{block}.conv{number}"
            names[f"BottleNeck.{block}.style{number}.linear"] = f"blocks.{block}.style{number}"
    # The authors' demo scales pictures to [0,1]; the ones trained with FixerNet take [-1,1].
    settings = {
        "channels": tensors["down1.0.weight"].shape[1],
        "levels": levels,
        "block_count": blocks,
        "template": "ffhq_512" if levels == 4 else "arcface_112_v1",
        "value_range": (-1.0, 1.0) if vector["fixer_dim"] else (0.0, 1.0),
    }
    variant = f"SimSwap generator for {512 if levels == 4 else '224 and 256'} px, {_described(vector)}"
    return Layout(SimSwapGenerator, variant, vector | settings, names, unused=("trans_matrix",))


def faceshifter(tensors: Tensors) -> Layout:
    """AEI-Net: 256, or 512 with one more level on both sides."""
    vector = _vector(tensors["generator.AADBlk1.AAD1.fc1.weight"].shape[1])
    large = "encoder.deconv7.deconv.weight" in tensors
    down = [*(["conv00", "conv01"] if large else ["conv1"]), *(f"conv{n}" for n in range(2, 8))]
    blocks = [*(f"AADBlk{n}" for n in range(1, 8)), *(["AADBlk8_0", "AADBlk8_1"] if large else ["AADBlk8"])]
    names = {"generator.up1": "seed"}
    for number, theirs in enumerate(down):
        names[f"encoder.{theirs}"] = f"encoder.down.{number}"
    for number in range(len(down) - 1):
        names[f"encoder.deconv{number + 1}.deconv"] = f"encoder.up.{number}.0"
        names[f"encoder.deconv{number + 1}.bn"] = f"encoder.up.{number}.1"
    layers = {
        "conv1": "attribute_scale",
        "conv2": "attribute_shift",
        "fc1": "identity_scale",
        "fc2": "identity_shift",
        "conv_h": "mask",
    }
    for number, theirs in enumerate(blocks):
        for step in (1, 2, 3):
            names[f"generator.{theirs}.conv{step}"] = f"blocks.{number}.conv{step}"
            for their_layer, our_layer in layers.items():
                names[f"generator.{theirs}.AAD{step}.{their_layer}"] = (
                    f"blocks.{number}.aad{step}.{our_layer}"
                )
    size = 512 if large else 256
    channels = tensors[MARKS["faceshifter"]].shape[1]
    settings = {"size": size, "channels": channels, "template": "ffhq_512" if large else "arcface_112_v1"}
    variant = f"AEI-Net for {size} px, {_described(vector)}"
    unused = ("encoder.conv1.", "generator.AADBlk8.") if large else ()
    return Layout(FaceShifterGenerator, variant, vector | settings, names, unused)


def hear(tensors: Tensors) -> Layout:
    """HEAR-Net: five levels down, four up and a head."""
    names = {f"down{n}": f"down.{n - 1}" for n in range(1, 6)}
    names |= {f"up{n}": f"up.{n - 1}" for n in range(1, 5)} | {"up5": "head"}
    return Layout(HearNet, "HEAR-Net", {"channels": tensors["down1.0.weight"].shape[0]}, names)


def arcface(tensors: Tensors) -> Layout:
    """An IResNet on the 112 identity window."""
    body, side, embedding_size = _iresnet(tensors)
    if side != 7:
        raise WeightsError(f"an {body} on {16 * side} px windows is no identity encoder; convert it as fixer")
    config = {"body": body, "embedding_size": embedding_size, "name": f"arcface_{body}"}
    return Layout(IdentityEncoder, f"{body}, {embedding_size}-d identity", config, {"": "trunk"})


def fixer(tensors: Tensors) -> Layout:
    """An IResNet on the 56 px fixer window; its vector is used as it comes."""
    body, side, embedding_size = _iresnet(tensors)
    if side != 4:
        raise WeightsError(f"an {body} on {16 * side} px windows is no FixerNet; convert it as arcface")
    config = {"body": body, "embedding_size": embedding_size, "normalised": False}
    return Layout(FixerNet, f"{body}, {embedding_size}-d fixer", config, {"": "trunk"})


def mobilefacenet(tensors: Tensors) -> Layout:
    """MobileFaceNet on the 112 identity window, trained on pictures normalised as for ImageNet."""
    embedding_size = tensors["conv3.weight"].shape[0] if "conv3.weight" in tensors else 128
    config = {"body": "mobilefacenet", "embedding_size": embedding_size, "name": "mobilefacenet", **IMAGENET}
    return Layout(IdentityEncoder, f"mobilefacenet, {embedding_size}-d identity", config, {"": "trunk"})


def perceptual(tensors: Tensors) -> Layout:
    """EfficientNet-Lite0, 1 or 2 for ImageNet; its classifier is left out."""
    blocks = _count(tensors, "_blocks.{}._depthwise_conv.weight")
    last = f"_blocks.{blocks - 1}._project_conv.weight"
    shape = (blocks, tensors[last].shape[0] if last in tensors else 0)
    variants = {(len(one.blocks), one.channels[-1]): v for v in VARIANTS for one in (PerceptualFeatures(v),)}
    if shape not in variants:
        raise WeightsError(
            f"{blocks} blocks that end in {shape[1]} channels are no EfficientNet-Lite0, 1 or 2"
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


def _iresnet(tensors: Tensors) -> tuple[str, int, int]:
    """The body's name, the side of its last map and its vector's length."""
    units = tuple(_count(tensors, f"layer{layer}.{{}}.conv1.weight") for layer in range(1, 5))
    bodies = {layers: body for body, layers in IRESNET_LAYERS.items()}
    if units not in bodies or "fc.weight" not in tensors:
        raise WeightsError(
            f"residual units {units} are none of {', '.join(IRESNET_LAYERS)}; is the file whole?"
        )
    embedding_size, inputs = tensors["fc.weight"].shape
    return bodies[units], round((inputs / 512) ** 0.5), embedding_size


def _described(vector: dict[str, int]) -> str:
    fixer_part = f" and {vector['fixer_dim']}-d fixer" if vector["fixer_dim"] else ""
    return f"{vector['identity_dim']}-d identity{fixer_part}"
