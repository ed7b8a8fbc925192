"""What covers a face, from what a VisibilityNet says that its pixels show.

The network is sure of fringes, glasses and things, and calls many beards hair or a thing, for few photos have a
labelled beard. So the mesh says which hair is the face's own.
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

# Probability that a pixel is not the face's own over which it goes from visible to covered: of a target, of a source.
_FOREIGN, _FOREIGN_STRICT = (0.6, 0.9), (0.25, 0.55)
_SKIN = (0.5, 0.8)  # probability of skin over which a pixel goes from other things to bare skin
_GLASSES = (0.01, 0.02)  # share of a face that looks like glasses between which it may wear some after all
_BEHIND = 0.04  # of the face's width: how far beside background and hair a source's pixel is not trusted
_BEYOND = 0.08  # of the face's width: how far a beard goes on beyond the mesh
_NO_SKIN = 3.0  # distance from the skin model from which a pixel is not skin
_TURNED = 0.3  # sine of the yaw from which the head counts as turned
_BETWEEN = 0.04  # of the face's width: how far from hair or what is as dark the skin of a beard's gaps lies
_SURE = (0.3, 0.5)  # probability of a beard from which dark skin may be what shows between its hairs
# Shares of hair around the mouth from which a beard may have begun, and on chin and upper lip from which one has grown.
_MOUSTACHE, _BEARDED = (0.03, 0.08), (0.25, 0.4)


def covered_by_parts(
    probabilities: Mapping[str, np.ndarray],
    picture: np.ndarray,
    mesh: np.ndarray,
    worn: np.ndarray,
    strict: bool,
) -> tuple[np.ndarray, np.ndarray, float]:
    """(H,W), (H,W) and a number: `hidden`, `skin` and `bearded` of the face in a picture (H,W,3) uint8, as
    visibility.Covers has them.

    probabilities: (H,W) in 0..1 of each class, by name. worn: (H,W) its glasses.
    """
    shape, width, face = worn.shape, regions.face_width(mesh), regions.oval(mesh, worn.shape)
    own = sum((probabilities[name] for name in OWN), np.zeros(shape, np.float32))
    eyes = np.maximum(free_brows(probabilities["hair"], mesh, shape, width), regions.eyes(mesh, shape, 1.5))
    eyes = cv2.dilate(eyes, regions.disc(0.02 * width))
    dark = dark_pixels(picture, mesh)
    beard, between = _beard(probabilities, dark, mesh, strict)
    own = own + probabilities["hair"] * regions.feathered(np.maximum(eyes, beard), 0.015 * width)
    # On a beard a dark thing would be taken for one, as by the rules of colour.
    own = own + probabilities["front"] * regions.feathered(beard * dark, 0.01 * width)
    glasses = probabilities["glasses"]
    own = own + glasses * (1 - _trust_in_glasses(glasses, face, bool(worn.any()), strict))
    foreign = _FOREIGN_STRICT if strict else _FOREIGN
    hidden = rising(1 - own, foreign)
    if strict:  # include the shadow that covers cast
        hidden = cv2.dilate(hidden, regions.disc(0.015 * width))
        # Where the mesh reaches over the outline, the edge of what is behind the face is stretched with the skin.
        # Beside hair single strands lie on the skin. A beard may be stretched, and beside it lies the rest of it.
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
    """How far the class glasses counts beside what GlassesNet found, which knows that clear lenses show the eyes: for a
    source, and where there is more than a corner of an eye that looks like glasses."""
    if worn:
        return float(strict)
    return float(rising(share_of(glasses, face), _GLASSES))


def dark_pixels(picture: np.ndarray, mesh: np.ndarray) -> np.ndarray:
    """(H,W) one where a pixel is as dark and pale as a beard and is not of the face's skin."""
    lab = colour.to_lab(picture)
    distance = skin_distance(lab, mesh)
    if distance is None:
        return np.zeros(picture.shape[:2], np.float32)
    return hairlike(lab) * (distance > _NO_SKIN).astype(np.float32)


def _beard(
    probabilities: Mapping[str, np.ndarray], dark: np.ndarray, mesh: np.ndarray, strict: bool
) -> tuple[np.ndarray, np.ndarray]:
    """(H,W) where hair is a beard, and (H,W) where dark skin between its hairs is no bare skin.

    Hair is none if nothing grows around the mouth, nor at the edge of the lower face if nothing covers chin and upper
    lip: there long hair or a scarf hangs. At the edge of a turned source it may be the background.
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
