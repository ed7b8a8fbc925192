"""Export a pipeline or a single network as ONNX or OpenVINO files, and measure how far they differ from torch."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reliableswap import __version__
from reliableswap.bundled import bundled
from reliableswap.errors import NoFaceError, RefusedError, ReliableSwapError
from reliableswap.faces.align import align
from reliableswap.models.base import Network
from reliableswap.models.compat import weights_checksum
from reliableswap.models.hub import load_network
from reliableswap.runtime.exported import LIST
from reliableswap.safety.age import age_nets

from .export_files import Writer, WrittenFile
from .image import ReliableSwapPipeline
from .inputs import to_picture

logger = logging.getLogger(__name__)

# Not detector and landmarks, which output coordinates, nor FixerNet: in 8 bits it keeps a cosine of only 0.8.
QUANTISED = ("identity", "generator")
# The age gate's encoders. They are the bundled ones, which are exported too if the pipeline has others.
PROBE = ("identity", "fixer")
_ROWS = 64  # example inputs per network; more would hardly change the scales


def export_folder(
    place: str | Path,
    output: Path,
    form: str,
    *,
    photos: Sequence[tuple[str, Path]] = (),
    int8: bool = False,
) -> Iterator[WrittenFile]:
    """Export a pipeline or a network; yield what was written, file by file, and write exported.json last.

    photos: (person, file) with faces. 8-bit files take their scales from swaps between them, and encoders are compared
    on them. int8: for pipelines only.
    """
    if output.exists() and any(output.iterdir()):
        raise ReliableSwapError(f"{output} is not empty; choose another folder")
    is_pipeline = not Path(place).is_dir() or (Path(place) / "model_index.json").is_file()
    if int8 and not is_pipeline:
        raise ReliableSwapError(
            f"{place} is a single network, but 8-bit scales come from swaps; pass a pipeline's folder"
        )
    if int8 and len(photos) < 2:
        raise ReliableSwapError(
            "8-bit scales come from swaps between photos; give at least two with --photos"
        )
    pipe = ReliableSwapPipeline.from_pretrained(place) if is_pipeline else None
    networks = dict(pipe.components) if pipe else {"network": load_network(place, dtype=torch.float32)}
    left_out = [name for name, network in networks.items() if getattr(network, "runs_itself", False)]
    if left_out and not is_pipeline:
        raise ReliableSwapError(f"{place} is already an ONNX file; copy it instead")
    for name in left_out:
        logger.warning("%s is left out: it is already an ONNX file", name)
    networks = {
        name: network
        for name, network in networks.items()
        if isinstance(network, Network) and name not in left_out
    }
    rows = examples(pipe, [path for _, path in photos]) if pipe and int8 else {}
    crops = aligned(pipe, photos) if pipe and int8 else []
    output.mkdir(parents=True, exist_ok=True)
    write = Writer(output, form, crops)
    files: dict[str, WrittenFile] = {}
    for name, network in networks.items():
        rounded = rows[name] if int8 and name in QUANTISED else None
        for made in write(name, network, rounded):
            files[made.name] = made
            yield made
    about: dict[str, Any] = {"version": __version__, "format": form}
    if pipe is not None:
        probe = []
        for name in PROBE:
            if not age_nets().fitted_on(name, files[name].encoder if name in files else ""):
                (made,) = write(f"probe_{name}", load_network(bundled(name)), None)
                files[made.name] = made
                yield made
                name = made.name
            probe.append(name)
        known = {
            name: _class_and_checksum(network, files, name)
            for name, network in networks.items()
            if name != "people"
        }
        about["pipeline"] = {"networks": known, "probe": probe, "left_out": left_out}
    about["files"] = {name: asdict(made) for name, made in files.items()}
    (output / LIST).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def _class_and_checksum(network: Network, files: Mapping[str, WrittenFile], name: str) -> tuple[str, str]:
    """Return what reports say of a network: its class, and the checksum of its weights, or of an 8-bit file."""
    made = next(one for one in files.values() if one.name == name or one.name.startswith(f"{name}_"))
    if made.precision == "int8":
        return made.network, made.sha256[:32]
    return made.network, weights_checksum(network, network.checksum_settings)


def aligned(pipe: ReliableSwapPipeline, photos: Sequence[tuple[str, Path]]) -> list[tuple[str, np.ndarray]]:
    """Person and arcface_128 crop (128,128,3) of the largest face of every photo that has one."""
    crops = []
    for person, path in photos:
        picture = to_picture(path)
        faces = pipe.find(picture)
        if faces:
            crops.append((person, align(picture.pixels, faces[0].points5)[0]))
    return crops


def examples(pipe: ReliableSwapPipeline, photos: Sequence[Path]) -> dict[str, list[list[np.ndarray]]]:
    """Collect the inputs of each of the QUANTISED networks during swaps from every photo to the next."""
    rows: dict[str, list[list[np.ndarray]]] = {name: [] for name in QUANTISED}
    with _recording(pipe, rows):
        for source, target in zip(photos, [*photos[1:], photos[0]], strict=True):
            try:
                pipe(source, target)
            except (NoFaceError, RefusedError) as error:
                logger.info("skipped %s onto %s as an example: %s", source.name, target.name, error)
    return rows


@contextmanager
def _recording(pipe: ReliableSwapPipeline, rows: dict[str, list[list[np.ndarray]]]) -> Iterator[None]:
    """Record the inputs of a newly loaded pipeline's networks. Copies that it compiles later inherit the hooks."""
    handles = []
    for name, kept in rows.items():
        network = getattr(pipe, name)
        if isinstance(network, Network):
            handles.append(network.register_forward_pre_hook(_recorder(kept)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _recorder(kept: list[list[np.ndarray]]) -> Callable[[Any, tuple[Any, ...]], None]:
    def keep(_: Any, inputs: tuple[Any, ...]) -> None:
        if len(kept) < _ROWS:
            kept.append([one.float().cpu().numpy().copy() for one in inputs if one is not None])

    return keep
