"""Layouts of the published generators and of HEAR-Net."""

from __future__ import annotations

from reliableswap.models.faceshifter import FaceShifterGenerator
from reliableswap.models.hear import HearNet
from reliableswap.models.simswap import SimSwapGenerator

from .layout import Layout, Tensors, count

# A tensor name that only such a network has.
SIMSWAP_KEY = "BottleNeck.0.style1.linear.weight"
FACESHIFTER_KEY = "generator.AADBlk1.AAD1.conv_h.weight"
HEAR_KEY = "up5.weight"

_FIXER_DIM = 128  # of every published FixerNet


def simswap(tensors: Tensors) -> Layout:
    """SimSwap: three levels for 224 and 256 px, four for 512 px; nine blocks as published."""
    vector = _vector_sizes(tensors[SIMSWAP_KEY].shape[1])
    levels = 4 if "down4.0.weight" in tensors else 3
    blocks = count(tensors, "BottleNeck.{}.style1.linear.weight")
    names = {"first_layer.1": "stem.0", "first_layer.2": "stem.1", "last_layer.1": "head"}
    for level in range(levels):
        names[f"down{level + 1}"] = f"down.{level}"
        names[f"up{levels - level}.1"] = f"up.{level}.0"
        names[f"up{levels - level}.2"] = f"up.{level}.1"
    for block in range(blocks):
        for number in (1, 2):
            names[f"BottleNeck.{block}.conv{number}.1"] = f"blocks.{block}.conv{number}"
            names[f"BottleNeck.{block}.style{number}.linear"] = f"blocks.{block}.style{number}"
    # The authors' demo scales pictures to [0,1]; the generators trained with FixerNet take [-1,1].
    settings = {
        "channels": tensors["down1.0.weight"].shape[1],
        "levels": levels,
        "block_count": blocks,
        "sizes": [512] if levels == 4 else [224, 256],
        "template": "ffhq_512" if levels == 4 else "arcface_112_v1",
        "value_range": (-1.0, 1.0) if vector["fixer_dim"] else (0.0, 1.0),
    }
    variant = f"SimSwap generator for {512 if levels == 4 else '224 and 256'} px, {_in_words(vector)}"
    return Layout(SimSwapGenerator, variant, vector | settings, names, unused=("trans_matrix",))


def faceshifter(tensors: Tensors) -> Layout:
    """AEI-Net for 256 px, or for 512 px with one more level in encoder and generator."""
    vector = _vector_sizes(tensors["generator.AADBlk1.AAD1.fc1.weight"].shape[1])
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
    channels = tensors[FACESHIFTER_KEY].shape[1]
    settings = {"size": size, "channels": channels, "template": "ffhq_512" if large else "arcface_112_v1"}
    variant = f"AEI-Net for {size} px, {_in_words(vector)}"
    unused = ("encoder.conv1.", "generator.AADBlk8.") if large else ()
    return Layout(FaceShifterGenerator, variant, vector | settings, names, unused)


def hear(tensors: Tensors) -> Layout:
    """HEAR-Net: five levels down, four up and a head."""
    names = {f"down{n}": f"down.{n - 1}" for n in range(1, 6)}
    names |= {f"up{n}": f"up.{n - 1}" for n in range(1, 5)} | {"up5": "head"}
    return Layout(HearNet, "HEAR-Net", {"channels": tensors["down1.0.weight"].shape[0]}, names)


def _vector_sizes(width: int) -> dict[str, int]:
    """Return the sizes of v_id and v_fix in a generator's vector: 640 entries hold both, any other size v_id alone."""
    fixer_dim = _FIXER_DIM if width == 512 + _FIXER_DIM else 0
    return {"identity_dim": width - fixer_dim, "fixer_dim": fixer_dim}


def _in_words(vector: dict[str, int]) -> str:
    fixer_part = f" and {vector['fixer_dim']}-d fixer" if vector["fixer_dim"] else ""
    return f"{vector['identity_dim']}-d identity{fixer_part}"
