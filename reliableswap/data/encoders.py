"""Identity encoders of aligned crops, from a from_pretrained folder or an ONNX file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from reliableswap.errors import ReliableSwapError, WeightsError
from reliableswap.faces.align import IDENTITY_WINDOW

PRECISIONS = ("auto", "float32", "bfloat16")
_BATCH = 16


class Encoder(Protocol):
    """Computes identity vectors. label: names the network and its weights."""

    label: str

    def __call__(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        """arcface_128 crops (S,S,3) uint8 -> (N,D) float32, length 1."""
        ...


@dataclass(frozen=True)
class EncoderChoice:
    """Which encoder to load. It can be pickled for another process.

    mean, std: of pixels in 0..1, for an ONNX file; a folder stores its own. device and precision are for a folder.
    device: a PyTorch device, or openvino. precision: float32, bfloat16 (cosines within about 0.01, and half the time on
    CPUs that multiply bfloat16 natively), or auto, which is bfloat16 on such CPUs.
    """

    path: Path
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    device: str = "cpu"
    precision: str = "float32"

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ReliableSwapError(f"precision is {self.precision}; choose one of {', '.join(PRECISIONS)}")

    def load(self) -> Encoder:
        """Load the network."""
        if self.path.is_dir():
            return FolderEncoder(self.path, self.device, self.precision)
        if self.path.suffix.lower() == ".onnx" and self.path.is_file():
            return OnnxEncoder(self.path, self.mean, self.std)
        raise WeightsError(
            f"no identity encoder at {self.path}; pass a folder of IdentityEncoder.save_pretrained or an .onnx file"
        )


def identity_pixels(crops: Sequence[np.ndarray]) -> np.ndarray:
    """Crops by the template arcface_128, of any size -> (N,112,112,3) uint8, their identity windows."""
    at_128 = [
        c if c.shape[0] == 128 else cv2.resize(c, (128, 128), interpolation=cv2.INTER_AREA) for c in crops
    ]
    return np.stack([crop[IDENTITY_WINDOW] for crop in at_128])


def _unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)).astype(np.float32)


class FolderEncoder:
    """An IdentityEncoder from a from_pretrained folder."""

    def __init__(self, folder: Path, device: str = "cpu", precision: str = "float32") -> None:
        import torch

        from reliableswap.models.identity import IdentityEncoder
        from reliableswap.runtime.openvino import NAME, OpenVino
        from reliableswap.runtime.torch import frozen_copy, native_bfloat16

        if device == "cuda":  # every launched process has its own GPU
            device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        network = IdentityEncoder.from_pretrained(folder, dtype=torch.float32)
        self.network: IdentityEncoder | OpenVino
        self.kind, self.batch = torch.float32, _BATCH
        self.device = torch.device("cpu" if device == NAME else device)
        if device == NAME:
            # One face at a time is as fast, and every other batch size would need another compilation.
            self.network, self.batch = OpenVino(network, precision), 1
            rounding = f" {NAME} {self.network.precision}"
        else:
            if precision == "auto":
                precision = "bfloat16" if device == "cpu" and native_bfloat16() else "float32"
            if precision == "bfloat16":
                self.kind = torch.bfloat16
            rounding = "" if precision == "float32" else f" {precision}"
            self.network = frozen_copy(network, self.kind, gradients=False).to(device)
        # Shards store the label of the encoder that filtered them, and rounding changes its results.
        self.label = f"{network.label} {network.checksum()[:16]}{rounding}"

    def __call__(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        import torch

        found = []
        for start in range(0, len(crops), self.batch):
            pixels = torch.from_numpy(identity_pixels(crops[start : start + self.batch]))
            # A view with channels last in memory, the network's own layout.
            batch = pixels.to(self.device).permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)
            with (
                torch.inference_mode(),
                torch.autocast(batch.device.type, self.kind, enabled=self.kind is not torch.float32),
            ):
                found.append(self.network(batch).float().cpu().numpy())
        return _unit(np.concatenate(found))


class OnnxEncoder:
    """An ONNX file, called with one face at a time: published files often take no batch."""

    def __init__(self, path: Path, mean: Sequence[float], std: Sequence[float]) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise WeightsError(
                "an ONNX encoder needs onnxruntime; run: pip install -e '.[train]' in the repository"
            ) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        (wanted, *others) = self.session.get_inputs()
        if others or list(wanted.shape[1:]) != [3, 112, 112]:
            raise WeightsError(
                f"{path} takes {[i.shape for i in self.session.get_inputs()]}, not one (1, 3, 112, 112) picture; "
                "pass an identity encoder for 112 px crops"
            )
        self.input = wanted.name
        self.mean, self.std = np.asarray(mean, np.float32), np.asarray(std, np.float32)
        self.label = f"{path.stem} {hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"

    def __call__(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        pictures = (identity_pixels(crops).astype(np.float32) / 255 - self.mean) / self.std
        planes = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))
        return _unit(np.concatenate([self.session.run(None, {self.input: p[None]})[0] for p in planes]))
