"""Parts: the class of every pixel of a face, found by a VisibilityNet on an upright crop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from reliableswap.bundled import bundled
from reliableswap.geometry import regions
from reliableswap.models.face_classes import CLASSES
from reliableswap.runtime.arrays import ArrayNetwork, as_array_network

from .activations import softmax
from .align import apply, crop, inverse, to_planes, upright
from .face import five_points

SIZE = 128  # side of the crop in pixels
SCALE = 3.4  # the crop's side in distances from eyes to mouth
OWN = ("skin", "brows", "eyes", "lips", "inner mouth", "beard")  # what belongs to the face


@dataclass(frozen=True, eq=False)
class Parts:
    """probabilities: (10,128,128) those of CLASSES on a crop. matrix: (2,3) from the picture to the crop."""

    probabilities: np.ndarray
    matrix: np.ndarray

    def of(self, *names: str) -> np.ndarray:
        """(128,128) the probability that a pixel of the crop shows one of these classes."""
        return np.asarray(self.probabilities[[CLASSES.index(name) for name in names]].sum(0))

    def features(self, mesh: np.ndarray) -> float:
        """Return how much of eyes or glasses, brows and mouth the crop shows where a mesh (468,3) of the picture has
        them: from 0, for a mesh that lies on something else, to 3."""
        placed, shape = apply(self.matrix, mesh), self.probabilities.shape[1:]
        places = (
            (regions.eyes(placed, shape), ("eyes", "glasses")),
            (regions.brows(placed, shape), ("brows",)),
            (regions.lips(placed, shape), ("lips", "inner mouth")),
        )
        return sum(float((place * self.of(*names)).sum() / max(place.sum(), 1e-6)) for place, names in places)

    def on(
        self, plane: np.ndarray, shape_hw: tuple[int, int], scale: float, shift: np.ndarray | float
    ) -> np.ndarray:
        """(H,W) a plane of the crop, warped to a scaled copy of the picture; beyond the crop its edge is replicated.

        A position p of the picture lies at (p + 0.5) * scale + shift - 0.5 in the copy.
        """
        there = np.array([[scale, 0, 0], [0, scale, 0]], np.float64)
        there[:, 2] = 0.5 * scale + shift - 0.5
        back = there @ np.vstack([inverse(self.matrix), (0, 0, 1)])
        return cv2.warpAffine(plane, back, shape_hw[::-1], borderMode=cv2.BORDER_REPLICATE)

    def reduced(self, shape_hw: tuple[int, int], scale: float, shift: np.ndarray) -> dict[str, np.ndarray]:
        """Return the probabilities (H,W) of each class in a copy of the picture, placed as in `on`."""
        planes = zip(CLASSES, self.probabilities, strict=True)
        return {name: self.on(plane, shape_hw, scale, shift) for name, plane in planes}

    def moved(self, matrix: np.ndarray) -> Parts:
        """Return the same parts in another picture; `matrix` (2,3) is the similarity to it."""
        return Parts(self.probabilities, self.matrix @ np.vstack([inverse(matrix), (0, 0, 1)]))


def to_crop(mesh: np.ndarray, pad: int = 0) -> np.ndarray:
    """(2,3) the similarity from a picture to the crop of a face by its mesh (468,3), with a border of `pad` pixels."""
    matrix = upright(five_points(mesh), SIZE, SCALE)
    matrix[:, 2] += pad
    return matrix


@lru_cache(maxsize=1)
def bundled_visibility() -> ArrayNetwork:
    """Return the VisibilityNet that ships with the package, loaded once per process.

    For training, whose workers share it; a pipeline has a VisibilityNet among its components.
    """
    from reliableswap.models.visibility import VisibilityNet

    network: ArrayNetwork = as_array_network(
        VisibilityNet.from_pretrained(bundled("visibility")).float().eval()
    )
    return network


def find_parts(picture: np.ndarray, mesh: np.ndarray, network: ArrayNetwork) -> Parts:
    """Find the parts of the face in a picture (H,W,3) uint8 with a VisibilityNet."""
    (parts,) = find_parts_of_each([picture], [mesh], network)
    return parts


def find_parts_of_each(
    pictures: Sequence[np.ndarray], meshes: Sequence[np.ndarray], network: ArrayNetwork
) -> list[Parts]:
    """Find the parts of the faces in pictures (H,W,3) uint8 with a VisibilityNet, all in one batch."""
    matrices = [to_crop(mesh) for mesh in meshes]
    crops = [to_planes(crop(picture, m, SIZE)) for picture, m in zip(pictures, matrices, strict=True)]
    (logits,) = network(np.concatenate(crops))
    return [Parts(one, matrix) for one, matrix in zip(softmax(logits, 1), matrices, strict=True)]
