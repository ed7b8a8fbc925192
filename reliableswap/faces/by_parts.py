"""Find what covers a face from the classes that a VisibilityNet gives its pixels.

The network is reliable on fringes, glasses and objects, but takes many beards for hair or an object, because few
training photos have a labelled beard. So the mesh decides which hair belongs to the face.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from reliableswap.geometry import regions
from reliableswap.geometry.ramps import rising
from reliableswap.imaging import colour

from .beards import bearded, lower_shares, share_of
from .by_colour import free_brows, hairlike, skin_distance
from .parts import OWN

# Probabilities of not being the face's own between which a pixel goes from visible to covered: of a target, a source.
_FOREIGN, _FOREIGN_STRICT = (0.6, 0.9), (0.25, 0.55)
_SKIN = (0.5, 0.8)  # probabilities of skin between which a pixel goes from other things to bare skin
_GLASSES = (0.01, 0.02)  # shares of the face that look like glasses between which it may wear some after all
_BEHIND = 0.04  # of the face's width: how far from background and hair a source's pixels are not trusted
_BEYOND = 0.08  # of the face's width: how far a beard extends beyond the mesh
_NO_SKIN = 3.0  # distance from the skin model from which a pixel is not skin
_TURNED = 0.3  # sine of the yaw from which the head counts as turned
_BETWEEN = 0.04  # of the face's width: how far from hair or dark pixels the skin in a beard's gaps may lie
_SURE = (0.3, 0.5)  # probabilities of a beard between which dark skin is taken for a beard's gaps
# Shares of hair: around the mouth, from which there may be a beard; on chin and upper lip, from which it is full.
_MOUSTACHE, _BEARDED = (0.03, 0.08), (0.25, 0.4)


def covered_by_parts(
    probabilities: Mapping[str, np.ndarray],
    picture: np.ndarray,
    mesh: np.ndarray,
    worn: np.ndarray,
    strict: bool,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return `hidden` (H,W), `skin` (H,W) and `bearded` of the face in a picture (H,W,3) uint8, as in
    visibility.Covers.

    probabilities: (H,W) in 0..1 of each class, by name. worn: (H,W) its glasses.
    """
    shape, width, face = worn.shape, regions.face_width(mesh), regions.oval(mesh, worn.shape)
    own = sum((probabilities[name] for name in OWN), np.zeros(shape, np.float32))
    eyes = np.maximum(free_brows(probabilities["hair"], mesh, shape, width), regions.eyes(mesh, shape, 1.5))
    eyes = cv2.dilate(eyes, regions.disc(0.02 * width))
    dark = dark_pixels(picture, mesh)
    beard, between = _beard(probabilities, dark, mesh, strict)
    own = own + probabilities["hair"] * regions.feathered(np.maximum(eyes, beard), 0.015 * width)
    # On a beard, a dark object counts as beard, as in by_colour.
    own = own + probabilities["front"] * regions.feathered(beard * dark, 0.01 * width)
    glasses = probabilities["glasses"]
    own = own + glasses * (1 - _trust_in_glasses(glasses, face, bool(worn.any()), strict))
    foreign = _FOREIGN_STRICT if strict else _FOREIGN
    hidden = rising(1 - own, foreign)
    if strict:  # include the shadow that covers cast
        hidden = cv2.dilate(hidden, regions.disc(0.015 * width))
        # Hide skin near the background, which would be stretched with it where the mesh extends beyond the outline, and
        # skin near hair, where single strands lie on it. Not near a beard: the beard itself may be stretched.
        around = 1 - np.maximum(eyes, cv2.dilate(beard, regions.disc(_BEYOND * width)))
        behind = rising((probabilities["background"] + probabilities["hair"]) * around, foreign)
        hidden = np.maximum(hidden, cv2.dilate(behind, regions.disc(_BEHIND * width)))
        worn = cv2.dilate(worn, regions.disc(0.02 * width))
    hidden = regions.feathered(np.maximum(hidden, worn) * face, 0.008 * width)
    skin = face * rising(probabilities["skin"], _SKIN)
    has_beard = bearded(lower_shares(probabilities, dark, mesh))
    between = between * rising(has_beard, _SURE)  # a face in the shade is dark, too
    return hidden, skin * (1 - hidden) * (1 - between), has_beard


def _trust_in_glasses(glasses: np.ndarray, face: np.ndarray, worn: bool, strict: bool) -> float:
    """Return how far to trust the class glasses, in 0..1. Where GlassesNet found glasses, trust it for a source only:
    GlassesNet knows that eyes show through clear lenses. Else more than a corner of an eye must look like glasses."""
    if worn:
        return float(strict)
    return float(rising(share_of(glasses, face), _GLASSES))


def dark_pixels(picture: np.ndarray, mesh: np.ndarray) -> np.ndarray:
    """(H,W) one where a pixel is as dark and pale as a beard and does not have the skin's colour."""
    lab = colour.to_lab(picture)
    distance = skin_distance(lab, mesh)
    if distance is None:
        return np.zeros(picture.shape[:2], np.float32)
    return hairlike(lab) * (distance > _NO_SKIN).astype(np.float32)


def _beard(
    probabilities: Mapping[str, np.ndarray], dark: np.ndarray, mesh: np.ndarray, strict: bool
) -> tuple[np.ndarray, np.ndarray]:
    """(H,W) where hair is a beard, and (H,W) where dark skin shows between its hairs and does not count as bare.

    Hair is no beard if there is none around the mouth. At the edge of the lower face it is no beard either if chin and
    upper lip are free: it is long hair or a scarf. At the edge of a turned source's face it may be the background.
    """
    shape, width = dark.shape, regions.face_width(mesh)
    face, lower, lips = regions.oval(mesh, shape), regions.lower_face(mesh, shape), regions.lips(mesh, shape)
    hair = probabilities["hair"] + probabilities["beard"] + probabilities["front"] * dark
    around_mouth = lower * cv2.dilate(lips, regions.disc(0.12 * width)) * (1 - lips)
    begun = rising(share_of(hair, around_mouth), _MOUSTACHE)
    middle = lower * regions.eroded(face, 0.1 * width) * (1 - lips)
    grown, dense = (rising(share_of(one, middle), _BEARDED) for one in (hair, np.maximum(hair, dark)))
    turned = abs(mesh[234, 2] - mesh[454, 2]) > _TURNED * width
    edge = regions.eroded(face, 0.04 * width) if strict and turned else face
    where = np.maximum(grown * edge, begun * regions.eroded(face, 0.06 * width))
    near = cv2.dilate(np.maximum(hair, dark), regions.disc(_BETWEEN * width))
    return np.asarray(lower * where), lower * np.minimum(near, 1) * np.float32(dense)
