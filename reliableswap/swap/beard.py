"""Find how far a beard reaches beyond the jaw in a photo, on rays through the jaw."""

from __future__ import annotations

import cv2
import numpy as np

from reliableswap.faces.align import apply
from reliableswap.faces.parts import Parts
from reliableswap.geometry.jaw import jaw_position, reach_factor
from reliableswap.geometry.ramps import rising
from reliableswap.geometry.resampling import read_points
from reliableswap.imaging import colour

CELLS_PER_RAY = 48
_SIDES = (0.0, 0.15)  # values of `jaw_position`, from the ears on, over which a beard fades in
_HAIRY = (0.25, 0.6)  # probability of neither skin nor background over which a cell comes to count as beard
_FRONT = (0.4, 0.7)  # probability of an object in front over which a cell ceases to count as beard
_ENDS = (0.5, 0.8)  # probability of skin or background over which the end of a beard comes to count as seen
_ENDING = (0.6, 0.85)  # share of the rays with a visible end over which a beard comes to be accepted at all
_SURE = 0.8  # probability from which a cell's colour is a sample of skin or background
# s / (s + b) over which a colour comes to count as the beard's; s: distance from skin or background, b: from the beard.
_LIKENESS = (0.4, 0.6)
_UNBROKEN = (0.15, 0.4)  # likeness, blurred over cells, over which a beard comes to count as continuing
_MIN_SAMPLES = 0.02  # share of the cells below which samples are too few to know a colour
_NOISE = (9.0, 4.0, 4.0)  # added to the variances of L, a and b


class BeyondJaw:
    """A source's beard on cells (C,R), C = CELLS_PER_RAY, of rays through its jaw.

    parts: what the source shows; from a quarter of the face's width below the chin on, their last row is repeated.
    places: (C,R,2) the cells in the source's region. outside: (C,) whether they lie beyond the jaw. colours:
    (C,R,3) uint8 what is seen there. begins: (R,) in 0..1, confidence that there is a beard inside the jaw.

    goes_on: how far a beard beyond the jaw is accepted, in 0..1.

    reach: (C,R) in 0..1, where the beard is. Nothing else lies between its cells and the jaw. A ray on which no end
    is seen is taken to show a scarf or long hair; if most rays are, so are the others.
    """

    def __init__(
        self,
        parts: Parts,
        places: np.ndarray,
        outside: np.ndarray,
        colours: np.ndarray,
        begins: np.ndarray,
        goes_on: float,
    ) -> None:
        planes = np.dstack([parts.of("skin"), parts.of("background"), parts.of("front")])
        seen = read_points(planes, apply(parts.matrix, places.reshape(-1, 2)), cv2.INTER_LINEAR)
        skin, background, front = seen.T.reshape(3, *places.shape[:2])
        begins = begins * rising(jaw_position(), _SIDES)
        self.reach = _hairy(skin + background, front, outside) * begins
        self.reach[outside] *= np.float32(goes_on) * _ending(skin + background, outside, begins)
        self._colours = colours.reshape(-1, 3)
        self._samples = colour.to_lab(colours).reshape(-1, 3)
        self._own = self.reach.ravel()
        self._others = [(plane > _SURE).ravel().astype(np.float32) for plane in (skin, background)]
        like = cv2.GaussianBlur(self.likeness(colours.reshape(-1, 3)).reshape(self.reach.shape), (0, 0), 2)
        unbroken = rising(like, _UNBROKEN)
        unbroken[outside] = np.minimum.accumulate(unbroken[outside])
        self.reach = self.reach * unbroken

    @property
    def mean(self) -> np.ndarray:
        """(3,) the beard's mean colour in RGB; `reach` must not be zero everywhere."""
        return np.asarray(np.average(self._colours, 0, self.reach.ravel()))

    def likeness(self, colours: np.ndarray) -> np.ndarray:
        """(N,) in 0..1, how far colours (N,3) uint8 match the beard rather than skin or background beside it."""
        lab = colour.to_lab(colours[None])[0]
        own = _deviations(lab, self._samples, self._own)
        other = np.minimum(*(_deviations(lab, self._samples, weights) for weights in self._others))
        return rising(other / np.maximum(own + other, 1e-6), _LIKENESS)


def _hairy(other: np.ndarray, front: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """(C,R) where neither skin, background nor anything in front is seen; beyond the jaw, up to the first gap."""
    hairy = cv2.GaussianBlur(rising(1 - other, _HAIRY) * (1 - rising(front, _FRONT)), (3, 3), 0)
    hairy[outside] = np.minimum.accumulate(hairy[outside])
    return hairy


def _ending(other: np.ndarray, outside: np.ndarray, begins: np.ndarray) -> np.ndarray:
    """(R,) in 0..1, confidence that the hair on a ray ends there, as a beard does."""
    ends = rising(other[outside].max(0), _ENDS)
    share = np.average(ends, weights=begins * jaw_position() + 1e-6)
    ends = cv2.erode(ends[None], np.ones((1, 3), np.uint8))[0]
    return np.asarray(rising(float(share), _ENDING) * (1 - reach_factor() * (1 - ends)))


def _deviations(lab: np.ndarray, samples: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(N,) Mahalanobis distances of colours (N,3) from weighted samples (M,3); 1000 if too few have weight."""
    if weights.sum() < _MIN_SAMPLES * len(weights):
        return np.full(len(lab), 1e3, np.float32)
    mean = np.average(samples, 0, weights)
    spread = np.cov(samples.T, aweights=weights) + np.diag(_NOISE)
    off = ((lab - mean) @ np.linalg.cholesky(np.linalg.inv(spread))).astype(np.float32)
    return np.sqrt(np.square(off).sum(1))
