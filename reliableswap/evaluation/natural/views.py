"""The views of a face that probes see: features of two networks, of the whole crop and of patches inside the face."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from reliableswap.faces.align import align, apply
from reliableswap.faces.align_torch import to_tensor
from reliableswap.faces.face import Face
from reliableswap.geometry.regions import oval

WHOLE_SIZE, PATCH_SIZE = 256, 512  # pixels of the aligned crops
PATCH_STRIDE = 16
MAX_PATCHES = 96  # per face, evenly spread: neighbours overlap, so more would add little


@dataclass(frozen=True, eq=False)
class FaceViews:
    """By network: whole (1,D) pooled features of the crop, patches (P,D') features of patches inside the face."""

    whole: dict[str, np.ndarray]
    patches: dict[str, np.ndarray]


class Viewer:
    """A face in a photo (H,W,3) uint8 -> its FaceViews.

    The networks are EfficientNet-Lite1 and Lite2. No loss may use them: tests/unit/evaluation/natural/test_unseen.py.
    """

    NETWORKS: ClassVar = {"lite1": 1, "lite2": 2}

    def __init__(self) -> None:
        from reliableswap.convert.perceptual import pretrained_perceptual_features

        self.networks = {name: pretrained_perceptual_features(v) for name, v in self.NETWORKS.items()}

    @torch.inference_mode()
    def __call__(self, image: np.ndarray, face: Face) -> FaceViews:
        crop, _ = align(image, face.points5, WHOLE_SIZE)
        large, matrix = align(image, face.points5, PATCH_SIZE)
        inside = patches_inside(apply(matrix, face.mesh))
        whole, patches = {}, {}
        for name, network in self.networks.items():
            whole[name] = network(to_tensor(crop))[-1].mean((2, 3)).numpy()
            _, fine, coarse, _ = network(to_tensor(large))
            patches[name] = patch_features(fine, coarse)[inside]
        return FaceViews(whole, patches)


def patch_features(fine: Tensor, coarse: Tensor) -> np.ndarray:
    """Maps (1,C,2h,2w) of stride 8 and (1,C',h,w) of stride 16 -> (h*w,C+C') float32, one row for each patch."""
    both = torch.cat([F.avg_pool2d(fine, 2), coarse], 1)
    return both[0].flatten(1).T.contiguous().numpy()


def patches_inside(mesh: np.ndarray) -> np.ndarray:
    """Mesh (468,3) in the crop of PATCH_SIZE -> indices of at most MAX_PATCHES patches that lie inside the face."""
    mask = oval(mesh, (PATCH_SIZE, PATCH_SIZE))
    cells = PATCH_SIZE // PATCH_STRIDE
    share = cv2.resize(mask, (cells, cells), interpolation=cv2.INTER_AREA)
    found = np.flatnonzero(share.ravel() > 0.999)
    if len(found) <= MAX_PATCHES:
        return found
    return found[np.linspace(0, len(found) - 1, MAX_PATCHES).round().astype(int)]
