"""A pipeline's or a single network's folder as ONNX or OpenVINO files, with how near they are to torch."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from reliableswap import __version__
from reliableswap.bundled import bundled
from reliableswap.errors import NoFaceError, RefusedError, ReliableSwapError
from reliableswap.faces.align import IDENTITY_WINDOW, align, to_planes
from reliableswap.models.base import Network
from reliableswap.models.compat import weights_checksum
from reliableswap.models.hub import load_network
from reliableswap.runtime.base import LayerMaps
from reliableswap.runtime.export import export, write_onnx, write_openvino
from reliableswap.runtime.exported import LIST, ExportedFile, file_digest
from reliableswap.runtime.quantise import quantise
from reliableswap.runtime.signatures import Signature, maps_signature, signatures
from reliableswap.safety.age import age_nets

from .image import ReliableSwapPipeline
from .inputs import to_picture

logger = logging.getLogger(__name__)

# Detector and landmarks answer with coordinates, and a FixerNet in 8 bits keeps a cosine of only 0.8.
QUANTISED = ("identity", "generator")
# The age gate's encoders, which are the bundled ones: they come along where the pipeline has others.
PROBE = ("identity", "fixer")
_SUFFIX = {"onnx": ".onnx", "openvino": ".xml"}
_ROWS = 64  # example inputs of a network; more change the scales little


@dataclass(frozen=True)
class ExportedNetwork:
    """One file. difference: the largest from torch, as a share of the largest answer or 1, on random inputs in float32;
    for an 8-bit file, the mean absolute difference from the float32 file on inputs in use.

    sha256: of the file. encoder: the checksum of the weights, if it is an encoder and they were not rounded.
    agreement: of the identity encoder's 8-bit file, the mean cosine with the float32 file's vectors. top1,
    top1_float32: the share of photos whose nearest other photo shows the same person.
    """

    name: str
    file: str
    network: str
    precision: str
    difference: float
    inputs: dict[str, list[int]]
    config: dict[str, Any]
    sha256: str = ""
    encoder: str = ""
    agreement: float | None = None
    top1: float | None = None
    top1_float32: float | None = None

    def __str__(self) -> str:
        words = f"{self.file}: {self.network}, {self.precision}, differs by {self.difference:.2g}"
        if self.agreement is not None:
            words += f", cosine {self.agreement:.4f} with float32"
        if self.top1 is not None:
            words += f", identity top-1 {self.top1:.1%} (float32 {self.top1_float32:.1%})"
        return words


def export_folder(
    place: str | Path,
    output: Path,
    form: str,
    *,
    photos: Sequence[tuple[str, Path]] = (),
    int8: bool = False,
) -> Iterator[ExportedNetwork]:
    """Export a pipeline or a network; yields what was written, file by file, and writes exported.json last.

    photos: (person, file) with faces: 8-bit files take their scales from swaps between them, and encoders are compared
    on them. int8 is for pipelines.
    """
    if output.exists() and any(output.iterdir()):
        raise ReliableSwapError(f"{output} is not empty; choose another folder")
    whole = not Path(place).is_dir() or (Path(place) / "model_index.json").is_file()
    if int8 and not whole:
        raise ReliableSwapError(
            f"{place} is one network; 8-bit scales come from swaps, so pass a pipeline's folder"
        )
    if int8 and len(photos) < 2:
        raise ReliableSwapError(
            "8-bit scales come from swaps between photos; give at least two with --photos"
        )
    pipe = ReliableSwapPipeline.from_pretrained(place) if whole else None
    networks = dict(pipe.components) if pipe else {"network": load_network(place, dtype=torch.float32)}
    left_out = [name for name, network in networks.items() if getattr(network, "runs_itself", False)]
    for name in left_out:
        logger.warning("%s is left out: it is an ONNX file already", name)
    networks = {
        name: network
        for name, network in networks.items()
        if isinstance(network, Network) and name not in left_out
    }
    rows = examples(pipe, [path for _, path in photos]) if pipe and int8 else {}
    crops = aligned(pipe, photos) if pipe and int8 else []
    output.mkdir(parents=True, exist_ok=True)
    write = _Writer(output, form, crops)
    files: dict[str, ExportedNetwork] = {}
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
        known = {name: _known(network, files, name) for name, network in networks.items() if name != "people"}
        about["pipeline"] = {"networks": known, "probe": probe, "left_out": left_out}
    about["files"] = {name: asdict(made) for name, made in files.items()}
    (output / LIST).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class _Writer:
    """Writes the files of one network after the other. crops: what 8-bit encoders are compared on."""

    output: Path
    form: str
    crops: Sequence[tuple[str, np.ndarray]]

    def __call__(
        self, name: str, network: Network, rows: Sequence[Sequence[np.ndarray]] | None
    ) -> Iterator[ExportedNetwork]:
        """The files of a network; rows: examples of its inputs, if it is to be rounded to 8 bits."""
        network.float()
        parts: list[tuple[nn.Module, Signature]] = [(network, one) for one in signatures(network)]
        maps = maps_signature(network)
        if maps is not None:
            parts.append((LayerMaps(network), maps))
        for module, signature in parts:
            path = self.output / f"{name}{signature.label}{_SUFFIX[self.form]}"
            about: dict[str, Any] = {
                "name": name + signature.label,
                "file": path.name,
                "network": type(network).__name__,
                "inputs": {key: list(shape) for key, shape in signature.inputs.items()},
                "config": json.loads(network.to_json_string()),
            }
            if rows is None:
                encoder = network.checksum() if hasattr(network, "checksum") else ""
                difference = export(module, signature, path, self.form)
                made = ExportedNetwork(precision="float32", difference=difference, encoder=encoder, **about)
            else:
                about |= self._rounded(name, module, signature, path, rows)
                made = ExportedNetwork(precision="int8", **about)
            yield replace(made, sha256=file_digest(path))

    def _rounded(
        self,
        name: str,
        network: nn.Module,
        signature: Signature,
        path: Path,
        rows: Sequence[Sequence[np.ndarray]],
    ) -> dict[str, Any]:
        """Write the 8-bit file, and tell how it differs from the float32 one."""
        rows = [_sized(row, tuple(signature.inputs.values())) for row in rows]
        with tempfile.TemporaryDirectory() as folder:
            exact, rounded = Path(folder, "float32.onnx"), Path(folder, "int8.onnx")
            write_onnx(network, signature, exact)
            quantise(exact, rounded, rows)
            if self.form == "onnx":
                path.write_bytes(rounded.read_bytes())
            else:
                write_openvino(rounded, path)
            runs = ExportedFile(exact), ExportedFile(path)
            difference = float(np.mean([np.abs(runs[0](*row)[0] - runs[1](*row)[0]).mean() for row in rows]))
            figures: dict[str, Any] = _compared(*runs, self.crops) if name == "identity" else {}
        return {"difference": difference, **figures}


def _known(network: Network, files: Mapping[str, ExportedNetwork], name: str) -> tuple[str, str]:
    """What reports say of a network: its class, and the checksum of its weights; of rounded ones, of the file."""
    made = next(one for one in files.values() if one.name == name or one.name.startswith(f"{name}_"))
    if made.precision == "int8":
        return made.network, made.sha256[:32]
    return made.network, weights_checksum(network, network.checksum_settings)


def _sized(row: Sequence[np.ndarray], shapes: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
    """The inputs, pictures (1,C,H,W) enlarged or reduced to these shapes: swaps show a network a few of its sizes."""
    sized = []
    for one, shape in zip(row, shapes, strict=True):
        if one.ndim == 4 and one.shape != shape:
            picture = torch.from_numpy(one)
            one = F.interpolate(
                picture, shape[-2:], mode="bilinear", align_corners=False, antialias=True
            ).numpy()
        sized.append(one)
    return sized


def _compared(
    exact: ExportedFile, rounded: ExportedFile, crops: Sequence[tuple[str, np.ndarray]]
) -> dict[str, float]:
    people = [person for person, _ in crops]
    vectors = []
    for run in (exact, rounded):
        found = [run(to_planes(crop[IDENTITY_WINDOW]))[0][0] for _, crop in crops]
        vectors.append(np.stack([vector / np.linalg.norm(vector) for vector in found]))
    return {
        "agreement": float((vectors[0] * vectors[1]).sum(1).mean()),
        "top1_float32": top1(vectors[0], people),
        "top1": top1(vectors[1], people),
    }


def top1(vectors: np.ndarray, people: Sequence[str]) -> float:
    """The share of unit vectors (N,D) whose nearest other one is of the same person, among people with several."""
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2)
    counted = [i for i, person in enumerate(people) if list(people).count(person) > 1]
    if not counted:
        return float("nan")
    return float(np.mean([people[int(cosines[i].argmax())] == people[i] for i in counted]))


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
    """What each of the QUANTISED networks is given during swaps from every photo to the next."""
    rows: dict[str, list[list[np.ndarray]]] = {name: [] for name in QUANTISED}
    with _recording(pipe, rows):
        for source, target in zip(photos, [*photos[1:], photos[0]], strict=True):
            try:
                pipe(source, target)
            except (NoFaceError, RefusedError) as error:
                logger.info("%s onto %s is no example: %s", source.name, target.name, error)
    return rows


@contextmanager
def _recording(pipe: ReliableSwapPipeline, rows: dict[str, list[list[np.ndarray]]]) -> Iterator[None]:
    """Keep the inputs of a newly loaded pipeline's networks: the copies that it compiles take their hooks along."""
    handles = []
    for name, kept in rows.items():
        network = getattr(pipe, name)
        if isinstance(network, Network):
            handles.append(network.register_forward_pre_hook(_keeping(kept)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _keeping(kept: list[list[np.ndarray]]) -> Callable[[Any, tuple[Any, ...]], None]:
    def keep(_: Any, inputs: tuple[Any, ...]) -> None:
        if len(kept) < _ROWS:
            kept.append([one.float().cpu().numpy().copy() for one in inputs if one is not None])

    return keep
