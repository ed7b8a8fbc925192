"""Convert a published checkpoint to a folder that `from_pretrained` loads."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reliableswap.errors import WeightsError
from reliableswap.models.base import Network
from reliableswap.models.hub import load_network
from reliableswap.models.identity import IdentityEncoder
from reliableswap.models.messages import first_few
from reliableswap.models.onnx_generator import OnnxGenerator
from reliableswap.models.onnx_identity import OnnxIdentityEncoder

from . import encoders, generators, onnx_files, perceptual
from .layout import Layout, Tensors
from .loading import load_tensors
from .reading import find_network, read_checkpoint

# Kind: (a tensor name that only such a network has, a function that finds its layout from its tensors).
_KINDS: dict[str, tuple[str, Callable[[Tensors], Layout]]] = {
    "simswap": (generators.SIMSWAP_KEY, generators.simswap),
    "faceshifter": (generators.FACESHIFTER_KEY, generators.faceshifter),
    "hear": (generators.HEAR_KEY, generators.hear),
    "arcface": (encoders.IRESNET_KEY, encoders.arcface),
    "fixer": (encoders.IRESNET_KEY, encoders.fixer),
    "mobilefacenet": (encoders.MOBILEFACENET_KEY, encoders.mobilefacenet),
    "perceptual": (perceptual.PERCEPTUAL_KEY, perceptual.perceptual),
}
# Kinds whose checkpoint is an ONNX file, which is copied unchanged.
_ONNX_KINDS = (*onnx_files.CONVENTIONS, "onnx-encoder")
KINDS = (*_KINDS, *_ONNX_KINDS)
GENERATORS = ("simswap", "faceshifter")


@dataclass(frozen=True)
class ConversionReport:
    """The result of a conversion."""

    kind: str
    output: Path
    network: str  # the class that loads it
    variant: str
    parameter_count: int
    unused: tuple[str, ...]  # tensors in the file that the published network never reads
    beside: tuple[str, ...]  # what else the file holds: optimizer states, discriminators
    checksum: str  # empty unless the network is an encoder

    def __str__(self) -> str:
        lines = [f"{self.output}: {self.network}, {self.variant}, {self.parameter_count:,} parameters"]
        if self.checksum:
            lines.append(f"checksum {self.checksum}")
        if self.unused:
            lines.append(f"left out, because the network never reads them: {first_few(self.unused)}")
        if self.beside:
            lines.append(f"also in the file, and left out: {first_few(self.beside)}")
        return "\n".join(lines)


def convert(
    kind: str,
    checkpoint: str | Path,
    output: str | Path,
    *,
    prefix: str | None = None,
    encoder: str | Path | None = None,
    name: str = "",
    **settings: Any,
) -> ConversionReport:
    """Convert a published checkpoint to a folder that `from_pretrained` loads; a failure leaves no folder.

    prefix: of the network's tensor names in the file, if the file holds several networks of the kind.
    encoder: folder of the identity encoder that a generator was trained with; the generator's config will name it.
    name: the encoder's name in generators' configs.
    settings: config values that the tensors do not determine (template, value_range, mean, std, normalised).
    """
    if kind not in KINDS:
        raise WeightsError(f"unknown kind {kind!r}; choose one of {', '.join(KINDS)}")
    source, target = Path(checkpoint), Path(output)
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise WeightsError(f"{target} already exists; remove it or choose another folder")
    if kind in _ONNX_KINDS:
        if prefix is not None:
            raise WeightsError(f"--prefix does not apply to ONNX files such as {source}; leave it out")
        return _convert_onnx(kind, source, target, encoder, name, settings)
    if encoder is not None:
        settings |= _encoder_settings(kind, encoder)
    unique_key, _ = _KINDS[kind]
    found = find_network(kind, unique_key, read_checkpoint(source), source, prefix)
    layout = _layout(kind, found.tensors, source)
    if name:
        settings["name"] = name
    network = _build(layout, settings, kind)
    load_tensors(network, layout, found.tensors, source)
    _save(network, target)
    checksum = network.checksum() if hasattr(network, "checksum") else ""
    return ConversionReport(
        kind=kind,
        output=target,
        network=type(network).__name__,
        variant=layout.variant,
        parameter_count=network.parameter_count,
        unused=tuple(key for key in found.tensors if layout.is_unused(key)),
        beside=found.beside,
        checksum=checksum,
    )


def _convert_onnx(
    kind: str, source: Path, target: Path, encoder: str | Path | None, name: str, settings: dict[str, Any]
) -> ConversionReport:
    """Copy an ONNX file into a folder with the config that describes its inputs."""
    network: OnnxGenerator | OnnxIdentityEncoder
    if kind == "onnx-encoder":
        if encoder is not None:
            raise WeightsError("--encoder applies to generators only, not to onnx-encoder; leave it out")
        if unknown := settings.keys() - {"mean", "std"}:
            raise WeightsError(f"onnx-encoder has no setting {', '.join(sorted(unknown))}; leave it out")
        network = onnx_files.identity_encoder(source, name=name, **settings)
        variant = f"{network.label}, {network.embedding_size}-d identity"
    else:
        if encoder is None:
            raise WeightsError(
                f"{kind} needs the identity encoder that it was trained with; convert that first (onnx-encoder) and "
                "pass its folder as --encoder"
            )
        found = load_network(encoder)
        if not isinstance(found, (IdentityEncoder, OnnxIdentityEncoder)):
            raise WeightsError(f"{encoder} holds a {type(found).__name__}, not an identity encoder")
        network = onnx_files.swapper(source, kind, found, **settings)
        variant = f"{kind} for {network.size} px, {network.config.embedding_size}-d identity"
    _save(network, target)
    return ConversionReport(
        kind=kind,
        output=target,
        network=type(network).__name__,
        variant=variant,
        parameter_count=network.parameter_count,
        unused=(),
        beside=(),
        checksum=network.checksum() if isinstance(network, OnnxIdentityEncoder) else "",
    )


def _layout(kind: str, tensors: Tensors, path: Path) -> Layout:
    _, find_layout = _KINDS[kind]
    try:
        return find_layout(tensors)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    except KeyError as error:
        raise WeightsError(
            f"{path}: can't tell which variant of {kind} this is; missing: {error.args[0]}"
        ) from error
    except (IndexError, ValueError) as error:
        raise WeightsError(f"{path}: the shapes of its tensors fit no {kind} network ({error})") from error


def _encoder_settings(kind: str, folder: str | Path) -> dict[str, Any]:
    if kind not in GENERATORS:
        raise WeightsError(f"--encoder applies to generators only, not to {kind}; leave it out")
    encoder = load_network(folder)
    if not hasattr(encoder, "label"):
        raise WeightsError(f"{folder} holds a {type(encoder).__name__}, not an IdentityEncoder")
    return {
        "identity_encoder": encoder.label,
        "identity_checksum": encoder.checksum(),
        "identity_dim": encoder.embedding_size,
    }


def _build(layout: Layout, settings: dict[str, Any], kind: str) -> Network:
    config = layout.config | settings
    if kind in GENERATORS:
        onnx_files.check_template(config["template"])
    if "identity_dim" in settings and "identity_dim" in layout.config:
        # The tensors give the length of the whole vector, the encoder the part of it that is v_id.
        config["fixer_dim"] = (
            layout.config["identity_dim"] + layout.config["fixer_dim"] - config["identity_dim"]
        )
        if config["fixer_dim"] < 0:
            raise WeightsError(
                f"the checkpoint takes {layout.config['identity_dim']}-d vectors, but the encoder gives "
                f"{config['identity_dim']}-d ones; pass the encoder it was trained with"
            )
    try:
        return layout.network(**config)
    except TypeError as error:
        raise WeightsError(f"a {kind} network has no such setting: {error}") from error


def _save(network: Network, target: Path) -> None:
    """Write to a temporary folder beside the target, then rename it, so that the target is never incomplete."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        network.save_pretrained(part)
        part.chmod(0o755)
        if target.is_dir():  # it is empty, and not every system can rename onto an existing folder
            target.rmdir()
        part.replace(target)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
