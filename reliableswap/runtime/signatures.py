"""The inputs and outputs of every network's exported files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from reliableswap.errors import ReliableSwapError
from reliableswap.models.base import Network
from reliableswap.models.comb_autoencoder import CombAutoencoder
from reliableswap.models.comb_decoder import CombDecoder
from reliableswap.models.comb_general import GeneralAutoencoder
from reliableswap.models.generator import Generator
from reliableswap.models.layer_maps import SIDE
from reliableswap.models.light import LightGenerator


@dataclass(frozen=True)
class Signature:
    """Names and shapes of inputs, for one sample, and the names of outputs.

    multiple: height and width of the inputs are dynamic, any multiple of this; 0: they are fixed by the shapes.
    label: distinguishes the files of one network, such as by the crop's side.
    """

    inputs: dict[str, tuple[int, ...]]
    outputs: tuple[str, ...]
    multiple: int = 0
    label: str = ""


def _picture(*outputs: str, size: int, width: int = 0, multiple: int = 0) -> list[Signature]:
    return [Signature({"picture": (1, 3, size, width or size)}, outputs, multiple)]


# By class; a generator's signature follows from its config.
_OTHERS = {
    "FaceDetector": _picture("answers", size=640, width=480, multiple=32),
    "MeshNet": _picture("mesh", "presence", size=128),
    "GlassesNet": _picture("glasses", size=64, width=128),
    "VisibilityNet": _picture("classes", size=128),
    "IdentityEncoder": _picture("vector", size=112),
    "FixerNet": _picture("vector", size=56),
    "PatchDiscriminator": _picture("*", size=128),
    "ProjectedDiscriminator": _picture("*", size=128),
    "PerceptualFeatures": _picture("*", size=128),
    "HearNet": [Signature({"swapped": (1, 3, 256, 256), "difference": (1, 3, 256, 256)}, ("*",))],
}


def signatures(network: Network) -> list[Signature]:
    """Return the signatures to export for a network: one, or one for each of a generator's sizes."""
    name = type(network).__name__
    if network.runs_itself:
        raise ReliableSwapError(f"a {name} is an ONNX file already; copy it")
    if isinstance(network, CombAutoencoder):  # by the first person's decoder
        return _picture("face", size=network.side_of(network.people[0]))
    if isinstance(network, CombDecoder):
        return [Signature({"latent": (1, network.config["latent"])}, ("face",))]
    if isinstance(network, GeneralAutoencoder):
        size, identity = network.config["size"], network.config["identity"]
        return [Signature({"picture": (1, 3, size, size), "v_id": (1, identity)}, ("face",))]
    if not isinstance(network, Generator):
        if name not in _OTHERS:
            raise ReliableSwapError(f"no export signature for {name}; add one to {__name__}")
        return _OTHERS[name]
    sizes = [network.size] if network.size else list(network.config.get("sizes", [128]))
    return [_of_generator(network, size, f"_{size}" if len(sizes) > 1 else "") for size in sizes]


def maps_signature(network: Network) -> Signature | None:
    """Return the signature of a layered generator's `maps`, for callers that apply them; None for other networks."""
    if not (isinstance(network, LightGenerator) and network.layer_head is not None):
        return None
    plain = _of_generator(network, SIDE, "_maps")
    return replace(plain, outputs=("drawn", "maps", "logits"))


def _of_generator(network: Generator, size: int, label: str) -> Signature:
    if network.config.get("adapter_join", "none") != "none":
        raise ReliableSwapError(
            f"this {type(network).__name__} has an identity adapter, which exported files do not support; run it "
            "with torch"
        )
    inputs: dict[str, Any] = {"target": (1, 3, size, size), "identity": (1, network.vector_size)}
    if network.guidance_channels:
        inputs["guidance"] = (1, network.guidance_channels, size, size)
    return Signature(inputs, ("image", "mask"), label=label)
