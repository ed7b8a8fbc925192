"""Decide whether a face may be that of a person under 18, by two networks that err on different faces.

The probe is a linear fit on the vectors of the bundled encoders, which a swap computes anyway. A face that it finds
clearly adult needs no further check. In doubt, its score is averaged over moved and mirrored crops, and a second
network estimates the age.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from reliableswap.bundled import WEIGHTS, bundled
from reliableswap.faces.align import (
    FIXER_WINDOW,
    IDENTITY_WINDOW,
    TEMPLATES,
    crop,
    similarity,
    to_planes,
    upright,
)
from reliableswap.faces.face import Face
from reliableswap.runtime.arrays import ArrayEncoder, as_array_network

from .session import open_session

# Refused: probe below MINOR, second network below MINOR_YEARS, or both below their limits of doubt. benchmarks/gates.py
# measures the error rates, and docs/safety.md has them.
MINOR, MINOR_YEARS = 16.6, 21.0
DOUBT, DOUBT_YEARS = 17.4, 25.0
YOUNGEST = 25.0  # years by the second network; nobody is made to look younger than that
CLEARLY_ADULT = 21.0  # the probe's score for one crop; averages differ from it by 0.9 (standard deviation)
_SHA256 = "d40cd84bace011448b88ceb34b5594823df24f26f190312ef55fd9c7f560ab7e"
_MOVE = 4.0, 1.04, (1, 1)  # rotation in degrees, scale, and shift in pixels of the moved crop
_FACE_IN_CROP = 1.2  # side of the second network's crop, in sizes of the face


class SeenFace(Protocol):
    """The part of a `Subject` that the estimate needs: picture (H,W,3) uint8, its face, networks and their vectors."""

    @property
    def pixels(self) -> np.ndarray: ...

    @property
    def face(self) -> Face: ...

    @property
    def networks(self) -> Any: ...

    @property
    def v_id(self) -> np.ndarray: ...

    @property
    def v_fix(self) -> np.ndarray | None: ...


@dataclass(frozen=True)
class AgeEstimate:
    """probe: the probe's score. years: the second network's estimate; None where the probe found the face adult."""

    probe: float
    years: float | None = None

    @property
    def may_be_minor(self) -> bool:
        """Whether to refuse. NaN refuses too."""
        years = math.inf if self.years is None else self.years
        adult = self.probe >= MINOR and years >= MINOR_YEARS
        return not (adult and (self.probe >= DOUBT or years >= DOUBT_YEARS))

    def too_young(self, change: float) -> bool:
        """Whether to refuse a face that was made older by `change` years, or younger if that is negative."""
        looks = math.nan if self.years is None else self.years
        return self.may_be_minor or (change < 0 and not looks >= YOUNGEST)


def open_age_network() -> Any:
    """The second network: (1,224,224,3) float32 in 0..255 -> `age_pred/Softmax:0` and `gender_pred/Sigmoid:0`."""
    return open_session(WEIGHTS / "age" / "faceres_fp16.onnx", _SHA256)


class AgeNets:
    """The probe with its encoders, and the second network; each is loaded on first use."""

    def estimate(self, seen: SeenFace, both: bool = False, brief: bool = False) -> AgeEstimate:
        """Estimate the age of a face.

        both: run the second network even if the probe finds the face adult. brief: average over fewer crops, for one of
        several estimates whose median decides.
        """
        first = self._first_vector(seen)
        if self._score(first) >= CLEARLY_ADULT:
            return AgeEstimate(self._score(first), self._years(seen, brief) if both else None)
        return AgeEstimate(self._mean_score(seen, first, brief), self._years(seen, brief))

    def _score(self, vector: np.ndarray) -> float:
        """The probe's score of a vector (256,)."""
        return float(vector @ self._weights) + float(self._probe["bias"])

    def _first_vector(self, seen: SeenFace) -> np.ndarray:
        """(256,) float64 the vector of the aligned crop; reuse the subject's if its encoders are the probe's."""
        networks = seen.networks
        parts = (("identity", networks.identity), ("fixer", networks.fixer))
        if all(part is not None and self.fitted_on(name, part.checksum()) for name, part in parts):
            assert seen.v_fix is not None
            return np.concatenate([seen.v_id, seen.v_fix], 1)[0].astype(np.float64)
        return self._embed([_aligned(seen)], networks.probe)[0]

    def fitted_on(self, name: str, checksum: str) -> bool:
        """Whether the probe was fitted on the vectors of an encoder, `identity` or `fixer`, with that checksum."""
        return bool(checksum == self._probe[f"{name}_checksum"])

    def _mean_score(self, seen: SeenFace, first: np.ndarray, brief: bool) -> float:
        """Return the mean score over the plain and the moved crop, each also mirrored.

        brief: only over the plain crop and the moved, mirrored one.
        """
        moved = _aligned(seen, *_MOVE)
        crops = [_mirrored(moved)] if brief else [_mirrored(_aligned(seen)), moved, _mirrored(moved)]
        others = self._embed(crops, seen.networks.probe)
        return float(np.mean([self._score(vector) for vector in (first, *others)]))

    def _embed(self, crops: list[np.ndarray], probe: tuple[ArrayEncoder, ArrayEncoder] | None) -> np.ndarray:
        """(N,256) float64 the vectors that the probe's encoders give for aligned crops (128,128,3).

        probe: these encoders, if the pipeline has loaded them.
        """
        vectors: list[np.ndarray] = []
        windows = IDENTITY_WINDOW, FIXER_WINDOW
        for name, encoder, window in zip(
            ("identity", "fixer"), probe or self._encoders, windows, strict=True
        ):
            if not self.fitted_on(name, encoder.checksum()):
                raise OSError(f"this {name} network is not the one that minor_probe.json was fitted on")
            vectors += encoder(np.concatenate([to_planes(one[window]) for one in crops]))
        return np.concatenate(vectors, 1).astype(np.float64)

    def _years(self, seen: SeenFace, brief: bool) -> float:
        """Return the second network's expected age, averaged over the crop and, unless brief, its mirror image."""
        face = seen.face
        matrix = upright(face.points5, 224)
        factor = 224 / (_FACE_IN_CROP * face.size) / np.sqrt(np.linalg.det(matrix[:, :2]))
        view = crop(seen.pixels, _moved(matrix, 0.0, float(factor), (0, 0), 224), 224)
        views = [view] if brief else [view, _mirrored(view)]
        name, output = self._session.get_inputs()[0].name, ["age_pred/Softmax:0"]
        chances = np.concatenate(
            [self._session.run(output, {name: one[None].astype(np.float32)})[0] for one in views]
        )
        return float((chances @ np.arange(100)).mean())

    @cached_property
    def _probe(self) -> dict[str, Any]:
        probe: dict[str, Any] = json.loads((Path(__file__).parent / "minor_probe.json").read_text())
        return probe

    @cached_property
    def _weights(self) -> np.ndarray:
        return np.array(self._probe["weights"])

    @cached_property
    def _encoders(self) -> tuple[ArrayEncoder, ArrayEncoder]:
        """The bundled encoders."""
        from reliableswap.models import load_network

        identity, fixer = (as_array_network(load_network(bundled(name))) for name in ("identity", "fixer"))
        return identity, fixer

    @cached_property
    def _session(self) -> Any:
        return open_age_network()


def _aligned(
    seen: SeenFace, turn: float = 0.0, scale: float = 1.0, shift: tuple[int, int] = (0, 0)
) -> np.ndarray:
    """(128,128,3) the encoders' crop, rotated, scaled and shifted a little."""
    matrix = similarity(seen.face.points5, TEMPLATES["arcface_128"].at(128))
    return crop(seen.pixels, _moved(matrix, turn, scale, shift, 128), 128)


def _mirrored(picture: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(picture[:, ::-1])


def _moved(matrix: np.ndarray, turn: float, scale: float, shift: tuple[int, int], size: int) -> np.ndarray:
    """(2,3) a crop's matrix, followed by a rotation and a scaling about the crop's centre, and a shift."""
    middle = (size - 1) / 2
    change = np.vstack([cv2.getRotationMatrix2D((middle, middle), turn, scale), (0, 0, 1)])
    change[:2, 2] += shift
    return np.asarray((change @ np.vstack([matrix, (0, 0, 1)]))[:2])


@lru_cache(maxsize=1)
def age_nets() -> AgeNets:
    """The networks, shared by all pipelines of the process."""
    return AgeNets()
