"""The Fréchet distance between two sets of pictures, over features that are always named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, Protocol

import cv2
import numpy as np
import torch

from reliableswap.errors import ReliableSwapError, WeightsError
from reliableswap.faces.align import align
from reliableswap.faces.detect import to_tensor
from reliableswap.faces.face import Detection

from .statistics import Estimate

LEAST = 16  # pictures a set: with fewer, a covariance says nothing
_HALVES = 50


class Features(Protocol):
    """A face in a photo (H,W,3) uint8 -> (D,) features."""

    name: str

    def __call__(self, image: np.ndarray, face: Detection) -> np.ndarray: ...


class PerceptualPool:
    """EfficientNet-Lite's last feature map (ImageNet), averaged over the aligned face at 128 px.

    Lite0 is what a generator's losses may have seen; no loss looks at Lite1 and Lite2.
    """

    NAMES: ClassVar = {f"efficientnet-lite{variant}": variant for variant in (0, 1, 2)}

    def __init__(self, name: str) -> None:
        from reliableswap.convert.checkpoints import pretrained_perceptual_features

        self.name, self.network = name, pretrained_perceptual_features(self.NAMES[name])

    @torch.inference_mode()
    def __call__(self, image: np.ndarray, face: Detection) -> np.ndarray:
        crop, _ = align(image, face.points5, 128)
        return np.asarray(self.network(to_tensor(crop))[-1].mean((0, 2, 3)).double().numpy())


class OnnxFeatures:
    """An ONNX network (1,3,299,299) RGB in [-1,1] -> (1,D); Inception v3's pooled features make it FID."""

    def __init__(self, path: Path, size: int = 299) -> None:
        from reliableswap.evaluation.judges.identity import open_onnx

        self.name, self.size = path.stem, size
        self.session = open_onnx(path)

    def __call__(self, image: np.ndarray, face: Detection) -> np.ndarray:
        crop, _ = align(image, face.points5, 256)
        resized = cv2.resize(crop, (self.size, self.size), interpolation=cv2.INTER_LINEAR)
        (answer,) = self.session.run(None, {self.session.get_inputs()[0].name: to_tensor(resized).numpy()})[
            :1
        ]
        return np.asarray(answer, np.float64).reshape(-1)


def features_of(name: str) -> Features:
    """`efficientnet-lite0`, 1 or 2, or the path of an ONNX file."""
    if name in PerceptualPool.NAMES:
        return PerceptualPool(name)
    path = Path(name)
    if path.suffix != ".onnx":
        raise WeightsError(
            f"unknown features {name!r}; give {', '.join(PerceptualPool.NAMES)} or the path of an ONNX file"
        )
    return OnnxFeatures(path)


def label_of(name: str) -> str:
    """What the distance over these features is called: FID only for Inception, as its authors mean it."""
    return "FID" if name.lower().startswith("inception") else f"Fréchet distance ({name})"


def frechet_distance(
    ones: Sequence[np.ndarray] | np.ndarray, others: Sequence[np.ndarray] | np.ndarray
) -> float:
    """Between the Gaussians of two sets of features (N,D) and (M,D); zero for equal sets.

    |m1 - m2|² + tr(C1 + C2 - 2 (C1^½ C2 C1^½)^½). The square roots are those of symmetric matrices, by their
    eigenvalues: with fewer pictures than features the covariances have no inverse, and a general matrix square
    root then drifts into complex numbers.
    """
    x, y = np.asarray(ones, np.float64), np.asarray(others, np.float64)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ReliableSwapError(
            f"the sets of features have shapes {x.shape} and {y.shape}; give (N, D) and (M, D)"
        )
    if min(len(x), len(y)) < LEAST:
        raise ReliableSwapError(
            f"the sets have {len(x)} and {len(y)} pictures; a Fréchet distance needs at least {LEAST} in each"
        )
    return max(0.0, _from(y)(x))


def frechet_difference(
    ones: np.ndarray, others: np.ndarray, real: np.ndarray, groups: Sequence[str], seed: int = 0
) -> Estimate:
    """By how much the first set of features (N,D) is farther from the real one (M,D) than the second, row by row of
    the same pairs, and an interval that holds 95 % of the values other pairs would give.

    Halves of the pairs are drawn, whole groups (the frames of one video) together: a half deviates from all by as much
    as all do from what there is to draw from. Copies drawn with repeats, as a bootstrap has them, would shrink the
    covariances.
    """
    distance = _from(real)
    labels = np.unique(np.asarray(groups), return_inverse=True)[1]
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(_HALVES):
        drawn = rng.permutation(labels.max() + 1)[: (labels.max() + 1) // 2]
        half = np.isin(labels, drawn)
        values.append(distance(ones[half]) - distance(others[half]))
    value, reach = distance(ones) - distance(others), 1.96 * float(np.std(values, ddof=1))
    return Estimate(value, value - reach, value + reach, len(ones))


def _from(real: np.ndarray) -> Callable[[np.ndarray], float]:
    """The distance of a set (N,D) from this one."""
    middle, spread = real.mean(0), np.atleast_2d(np.cov(real, rowvar=False))
    root = _root(spread)

    def distance(made: np.ndarray) -> float:
        other = np.atleast_2d(np.cov(made, rowvar=False))
        product = root @ other @ root
        shared = np.sqrt(np.clip(np.linalg.eigvalsh((product + product.T) / 2), 0, None)).sum()
        shift = ((made.mean(0) - middle) ** 2).sum()
        return float(shift + np.trace(spread) + np.trace(other) - 2 * shared)

    return distance


def _root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return np.asarray((vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T)
