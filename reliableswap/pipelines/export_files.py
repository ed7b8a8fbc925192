"""Write the files of an exported network: compared with torch, or quantised to 8 bits and compared on photos."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from reliableswap.faces.align import IDENTITY_WINDOW, to_planes
from reliableswap.models.base import Network
from reliableswap.runtime.base import LayerMaps
from reliableswap.runtime.export import export, write_onnx, write_openvino
from reliableswap.runtime.exported import ExportedFile, file_digest
from reliableswap.runtime.quantise import quantise
from reliableswap.runtime.signatures import Signature, maps_signature, signatures

_SUFFIX = {"onnx": ".onnx", "openvino": ".xml"}
# Layers at either end that are not quantised: with them quantised too, the bundled encoder's vectors keep a cosine of
# only 0.95.
_ENDS = {"identity": 4}


@dataclass(frozen=True)
class WrittenFile:
    """One file. difference: the largest from torch on random float32 inputs, relative to the largest output or 1; for
    an 8-bit file, the mean absolute difference from the float32 file on inputs from swaps.

    sha256: of the file. encoder: the checksum of the weights, if it is an encoder and they were not quantised.
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


@dataclass(frozen=True)
class Writer:
    """Writes the files of one network after the other. crops: those on which 8-bit encoders are compared."""

    output: Path
    form: str
    crops: Sequence[tuple[str, np.ndarray]]

    def __call__(
        self, name: str, network: Network, rows: Sequence[Sequence[np.ndarray]] | None
    ) -> Iterator[WrittenFile]:
        """Write and yield the files of a network. rows: examples of its inputs, if it is to be quantised to 8 bits."""
        network.float()
        parts: list[tuple[Network | LayerMaps, Signature]] = [(network, one) for one in signatures(network)]
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
                made = WrittenFile(precision="float32", difference=difference, encoder=encoder, **about)
            else:
                about |= self._write_quantised(name, module, signature, path, rows)
                made = WrittenFile(precision="int8", **about)
            yield replace(made, sha256=file_digest(path))

    def _write_quantised(
        self,
        name: str,
        network: Network | LayerMaps,
        signature: Signature,
        path: Path,
        rows: Sequence[Sequence[np.ndarray]],
    ) -> dict[str, Any]:
        """Write the 8-bit file, and return how it differs from the float32 one."""
        rows = [_sized(row, tuple(signature.inputs.values())) for row in rows]
        with tempfile.TemporaryDirectory() as folder:
            exact, quantised = Path(folder, "float32.onnx"), Path(folder, "int8.onnx")
            write_onnx(network, signature, exact)
            quantise(exact, quantised, rows, _ENDS.get(name, 0))
            if self.form == "onnx":
                path.write_bytes(quantised.read_bytes())
            else:
                write_openvino(quantised, path)
            runs = ExportedFile(exact), ExportedFile(path)
            difference = float(np.mean([np.abs(runs[0](*row)[0] - runs[1](*row)[0]).mean() for row in rows]))
            figures: dict[str, Any] = _compared(*runs, self.crops) if name == "identity" else {}
        return {"difference": difference, **figures}


def _sized(row: Sequence[np.ndarray], shapes: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
    """Resize the inputs that are pictures (1,C,H,W) to these shapes: swaps use only a few of a network's sizes."""
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
    exact: ExportedFile, quantised: ExportedFile, crops: Sequence[tuple[str, np.ndarray]]
) -> dict[str, float]:
    people = [person for person, _ in crops]
    vectors = []
    for run in (exact, quantised):
        found = [run(to_planes(crop[IDENTITY_WINDOW]))[0][0] for _, crop in crops]
        vectors.append(np.stack([vector / np.linalg.norm(vector) for vector in found]))
    return {
        "agreement": float((vectors[0] * vectors[1]).sum(1).mean()),
        "top1_float32": top1(vectors[0], people),
        "top1": top1(vectors[1], people),
    }


def top1(vectors: np.ndarray, people: Sequence[str]) -> float:
    """Return the share of unit vectors (N,D) whose nearest other is the same person's, among people with several."""
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2)
    counted = [i for i, person in enumerate(people) if list(people).count(person) > 1]
    if not counted:
        return float("nan")
    return float(np.mean([people[int(cosines[i].argmax())] == people[i] for i in counted]))
