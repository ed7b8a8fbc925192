"""Whether a face has a beard: a logistic regression on the classes that a VisibilityNet sees on the lower face.

`python -m tools.beards` (tools/beards.py) fits it to the labels of FFHQ thumbnails and prints its figures. Of held-out
people with at least half a beard, 70 % score above 0.5 and 13 % above 0.98; of shaven men 2 % and none, of women 0.5 %
and none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

import numpy as np

from reliableswap.geometry import regions

_CLASSES = ("hair", "beard", "front", "skin")
# Distances from the outline, of the face's width: the middle of the lower face begins at the first; the second leaves
# out the uncertain edge.
_MIDDLE, _EDGE = 0.1, 0.03
TERMS = 3 * (len(_CLASSES) + 1)


def lower_shares(probabilities: Mapping[str, np.ndarray], dark: np.ndarray, mesh: np.ndarray) -> np.ndarray:
    """(15,) the shares of hair, beard, objects, skin and dark pixels on chin and cheeks, upper lip, and along the jaw.

    probabilities: (H,W) in 0..1 of each class, by name. dark: (H,W) one where a pixel is as dark as a beard.
    """
    shape, width = dark.shape, regions.face_width(mesh)
    face, lower = regions.oval(mesh, shape), regions.lower_face(mesh, shape)
    inner, outer = (regions.eroded(face, at * width) for at in (_MIDDLE, _EDGE))
    places = (
        lower * inner * (1 - regions.lips(mesh, shape)),
        regions.upper_lip(mesh, shape),
        lower * (outer - inner),
    )
    planes = [*(probabilities[name] for name in _CLASSES), dark]
    return np.array([share_of(plane, place) for place in places for plane in planes], np.float32)


def bearded(shares: np.ndarray) -> float:
    """Return the probability of a beard, given the lower face's shares (15,)."""
    weights, bias = _model()
    return float(1 / (1 + np.exp(-np.clip(weights @ shares + bias, -30, 30))))


def share_of(plane: np.ndarray, region: np.ndarray) -> float:
    """Return the mean of a plane (H,W) in a region (H,W)."""
    return float((plane * region).sum() / max(float(region.sum()), 1.0))


@lru_cache(maxsize=1)
def _model() -> tuple[np.ndarray, float]:
    data = json.loads(files("reliableswap.faces").joinpath("beards.json").read_text("utf-8"))
    return np.array(data["weights"], np.float32), float(data["bias"])
