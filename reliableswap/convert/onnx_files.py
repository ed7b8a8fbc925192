"""Use third-party ONNX files as our networks: face swappers, and the identity encoders that they were trained with.

Conventions of the published files, from their authors' own inference code:

- inswapper_128 (InsightFace): `target` (1,3,128,128) RGB in [0,1], template arcface_128; `source` (1,512), the unit
  vector of ArcFace w600k_r50 times the file's last initializer ("emap"), normalised again.
- hyperswap_1a/1b/1c_256 (FaceFusion): `target` (1,3,256,256) RGB in [-1,1], template arcface_128; `source` (1,512),
  the unit vector of the same ArcFace, unchanged.
- w600k_r50 (InsightFace): one (1,3,112,112) RGB picture in [-1,1], template arcface_112 -> (1,512).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reliableswap.errors import WeightsError
from reliableswap.faces.align import TEMPLATES
from reliableswap.models.identity import IdentityEncoder
from reliableswap.models.onnx_file import sha256
from reliableswap.models.onnx_generator import OnnxGenerator
from reliableswap.models.onnx_identity import OnnxIdentityEncoder


@dataclass(frozen=True)
class Convention:
    """The inputs of a family of files. emap: whether vectors are multiplied by the file's last initializer."""

    value_range: tuple[float, float]
    emap: bool
    template: str = "arcface_128"


CONVENTIONS = {
    "inswapper": Convention((0.0, 1.0), emap=True),
    "hyperswap": Convention((-1.0, 1.0), emap=False),
}


def swapper(
    path: str | Path,
    kind: str,
    encoder: IdentityEncoder | OnnxIdentityEncoder,
    *,
    embedding_map: np.ndarray | None = None,
    template: str | None = None,
    value_range: Sequence[float] | None = None,
) -> OnnxGenerator:
    """Open a swapper's ONNX file as a generator. kind: one of CONVENTIONS.

    encoder: the pipeline's identity encoder: the one that the file was trained with, or another one together with an
    `embedding_map` (the encoder's D, the file's D) from `fit_map`.
    template, value_range: override the kind's.
    """
    if kind not in CONVENTIONS:
        raise WeightsError(f"unknown kind {kind!r} of swapper; choose one of {', '.join(CONVENTIONS)}")
    convention, path = CONVENTIONS[kind], Path(path)
    graph = _Graph(path)
    target, source = graph.swapper_inputs()
    size, length = target.shape[2], source.shape[1]
    if target.shape[3] != size:
        raise WeightsError(f"{path} takes crops of {target.shape[3]}x{size}; only square crops are supported")
    dim = encoder.embedding_size
    if embedding_map is None and dim != length:
        raise WeightsError(
            f"{path} takes {length}-d vectors and {encoder.label} gives {dim}-d ones; pass the encoder that it was "
            "trained with, or an embedding_map fitted by reliableswap.convert.embedding_map.fit_map"
        )
    if embedding_map is not None and embedding_map.shape != (dim, length):
        raise WeightsError(f"embedding_map has shape {embedding_map.shape}; {path} needs {(dim, length)}")
    if template is not None:
        check_template(template)
    generator = OnnxGenerator(
        sha256=sha256(path),
        onnx_parameters=graph.parameters,
        target_input=target.name,
        source_input=source.name,
        size=size,
        embedding_size=length,
        identity_dim=dim,
        template=template or convention.template,
        value_range=tuple(value_range or convention.value_range),
        identity_encoder=encoder.label,
        identity_checksum=encoder.checksum(),
    )
    with torch.no_grad():
        if embedding_map is not None:
            generator.embedding_map.copy_(torch.from_numpy(np.asarray(embedding_map, np.float32)))
        if convention.emap:
            generator.emap.copy_(torch.from_numpy(graph.emap(length)))
    return generator.attach(path).eval()


def check_template(name: str) -> None:
    """Raise WeightsError unless a crop template has this name."""
    if name not in TEMPLATES:
        raise WeightsError(f"unknown template {name!r}; choose one of {', '.join(TEMPLATES)}")


def identity_encoder(
    path: str | Path,
    *,
    mean: Sequence[float] = (0.5, 0.5, 0.5),
    std: Sequence[float] = (0.5, 0.5, 0.5),
    name: str = "",
) -> OnnxIdentityEncoder:
    """Open an identity encoder's ONNX file. mean, std: its input normalisation, for pictures in [0,1]."""
    path = Path(path)
    graph = _Graph(path)
    if len(graph.inputs) != 1 or graph.inputs[0].shape[1:] != (3, 112, 112):
        raise WeightsError(
            f"{path} takes {graph.described()}, not one (1, 3, 112, 112) picture of an identity encoder"
        )
    encoder = OnnxIdentityEncoder(
        sha256=sha256(path),
        onnx_parameters=graph.parameters,
        picture_input=graph.inputs[0].name,
        mean=tuple(mean),
        std=tuple(std),
        name=name or path.stem,
    ).attach(path)
    length = encoder.infer({graph.inputs[0].name: torch.zeros(1, 3, 112, 112)})[0].numel()
    encoder.register_to_config(embedding_size=length)
    encoder.embedding_size = length
    return encoder.eval()


@dataclass(frozen=True)
class _Input:
    name: str
    shape: tuple[int, ...]  # 0 for a dynamic side


class _Graph:
    """The inputs and weights of an ONNX file."""

    def __init__(self, path: Path) -> None:
        try:
            import onnx
        except ImportError as error:
            raise WeightsError(
                "reading ONNX files needs an optional dependency; run: pip install -e '.[onnx]' in the repository"
            ) from error
        if not path.is_file():
            raise WeightsError(f"no ONNX file at {path}")
        try:
            self._graph: Any = onnx.load(str(path), load_external_data=False).graph
        except Exception as error:  # protobuf's errors have no common class
            raise WeightsError(
                f"{path} is not a valid ONNX file: {' '.join(str(error).split())[:200]}"
            ) from error
        self.path = path
        stored = {one.name for one in self._graph.initializer}
        if any(one.data_location == onnx.TensorProto.EXTERNAL for one in self._graph.initializer):
            raise WeightsError(
                f"{path} keeps its weights in another file; save it as one file first (onnx.save)"
            )
        self.inputs = [
            _Input(one.name, tuple(side.dim_value for side in one.type.tensor_type.shape.dim))
            for one in self._graph.input
            if one.name not in stored
        ]
        self.parameters = sum(int(np.prod(one.dims)) for one in self._graph.initializer)

    def swapper_inputs(self) -> tuple[_Input, _Input]:
        """Return the inputs for the picture and the vector."""
        pictures = [
            one for one in self.inputs if len(one.shape) == 4 and one.shape[1] == 3 and one.shape[2] > 0
        ]
        vectors = [one for one in self.inputs if len(one.shape) == 2 and one.shape[1] > 0]
        if len(self.inputs) != 2 or len(pictures) != 1 or len(vectors) != 1:
            raise WeightsError(
                f"{self.path} takes {self.described()}, not one (1, 3, S, S) picture and one (1, D) vector"
            )
        return pictures[0], vectors[0]

    def emap(self, length: int) -> np.ndarray:
        """(D,D) float32 the last initializer."""
        from onnx import numpy_helper

        stored = self._graph.initializer
        if not stored or tuple(stored[-1].dims) != (length, length):
            last = tuple(stored[-1].dims) if stored else "missing"
            raise WeightsError(
                f"the last initializer of {self.path} is {last}, not the ({length}, {length}) matrix of an inswapper; "
                "is it another kind of file, or was it simplified? Use the file that its authors published"
            )
        return np.array(numpy_helper.to_array(stored[-1]), np.float32)

    def described(self) -> str:
        return ", ".join(f"{one.name} {one.shape}" for one in self.inputs) or "nothing"
