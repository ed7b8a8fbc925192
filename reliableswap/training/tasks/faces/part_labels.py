"""The classes that each pixel of a photo may have, by a label map, the mesh and earlier networks.

Few photos are fully labelled: a hair mask does not tell skin from background, and nothing marks a fringe on a photo
without a mask. So a pixel's label is a set of classes, one bit each, and the loss accepts any of them.
"""

from __future__ import annotations

import cv2
import numpy as np

from reliableswap.faces import glasses
from reliableswap.faces.by_colour import hairlike, skin_distance
from reliableswap.faces.glasses import bundled_glasses
from reliableswap.faces.looks import GLASSES, MOUTH
from reliableswap.geometry import regions
from reliableswap.geometry.topology import topology
from reliableswap.imaging import colour
from reliableswap.models.face_classes import CLASSES

BIT = {name: 1 << number for number, name in enumerate(CLASSES)}
ANY = (1 << len(CLASSES)) - 1
_FEATURES = BIT["brows"] | BIT["eyes"] | BIT["lips"] | BIT["inner mouth"]
_INSIDE = ANY & ~BIT["background"]
_BESIDE = ANY & ~_FEATURES

# FASSEG's numbers: background, skin, hair (with brows and beards), eyes, nose, mouth; others are no labels.
_FASSEG = {
    0: BIT["background"],
    1: BIT["skin"],
    2: BIT["hair"],
    3: BIT["eyes"],
    4: BIT["skin"],
    5: BIT["lips"] | BIT["inner mouth"],
}
_SURE_SKIN = 2.5  # distance from the skin model below which a pixel of an unlabelled face is skin
_NO_SKIN = 5.0  # distance above which a pixel that is not labelled as hair may be something other than skin
_MOUTH_HIDDEN = -1.0  # log odds of a visible mouth below which something may be in front of it
_MOUTH_SEEN = 0.0  # log odds of a visible mouth from which on nothing is in front of the lower face
_TURNED = 0.5  # sine of the yaw above which the mouth is not judged
_NO_GLASSES, _GLASSES = -1.5, -0.85  # log odds between which a face may wear glasses
_WORN = (0.15, 0.7)  # probabilities between which a pixel may be glasses


def sets_from_hair_mask(mask: np.ndarray, crop: np.ndarray, mesh: np.ndarray) -> np.ndarray:
    """(S,S) uint16 the sets of classes of a crop (S,S,3) whose hair, beard included, is in `mask` (S,S)."""
    shape = crop.shape[:2]
    distance, face = _distance(crop, mesh), regions.oval(mesh, shape) > 0
    sets = np.full(shape, BIT["background"] | BIT["skin"] | BIT["glasses"] | BIT["front"], np.uint16)
    sets[face] = BIT["skin"]
    sets[face & (distance > _NO_SKIN)] = BIT["skin"] | BIT["front"] | BIT["hair"] | BIT["beard"]
    sets[_beard(crop, mesh, distance)] = BIT["beard"]
    sets = _with_hair(sets, mask > 0, mesh)
    hair = cv2.dilate((mask > 0).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    return _with_features(_widened(sets, 2), crop, mesh, bare=~hair)


def sets_from_fasseg(labels: np.ndarray, crop: np.ndarray, mesh: np.ndarray) -> np.ndarray:
    """(S,S) uint16 the sets of classes of a crop (S,S,3) with a label map (S,S) of FASSEG."""
    table = np.full(256, ANY, np.uint16)
    for number, classes in _FASSEG.items():
        table[number] = classes
    sets = _with_hair(table[labels], labels == 2, mesh)
    return _with_features(_widened(sets, 1), crop, mesh, eyes_labelled=True)


def sets_from_photo(crop: np.ndarray, mesh: np.ndarray) -> np.ndarray:
    """(S,S) uint16 the sets of classes of a crop (S,S,3) without a label map; only pixels of skin colour are skin."""
    shape = crop.shape[:2]
    sets = np.where(regions.oval(mesh, shape) > 0, _INSIDE, _BESIDE).astype(np.uint16)
    distance = _distance(crop, mesh)
    sets[(regions.skin(mesh, shape) > 0) & (distance < _SURE_SKIN)] = BIT["skin"]
    sets[_beard(crop, mesh, distance)] = BIT["beard"]
    return _with_features(_widened(sets, 1), crop, mesh)


def _distance(crop: np.ndarray, mesh: np.ndarray) -> np.ndarray:
    distance = skin_distance(colour.to_lab(crop), mesh)
    return np.full(crop.shape[:2], np.inf) if distance is None else distance


def _beard(crop: np.ndarray, mesh: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """(S,S) bool where the beard is, which few photos have labelled: pixels as dark and colourless as hair, on a lower
    face with nothing in front of it."""
    shape, width = crop.shape[:2], regions.face_width(mesh)
    if _turned(mesh) or MOUTH.score(crop, mesh) < _MOUTH_SEEN:
        return np.zeros(shape, bool)
    inner = regions.eroded(regions.oval(mesh, shape), 0.06 * width) * regions.lower_face(mesh, shape)
    far = np.isfinite(distance) & (distance > _NO_SKIN)
    return (inner > 0) & far & (hairlike(colour.to_lab(crop)) > 0)


def _turned(mesh: np.ndarray) -> bool:
    return bool(abs(mesh[234, 2] - mesh[454, 2]) > _TURNED * regions.face_width(mesh))


def _with_hair(sets: np.ndarray, hair: np.ndarray, mesh: np.ndarray) -> np.ndarray:
    """Return the sets with labelled hair: on the lower face it is beard; near its outline it may be hair or beard."""
    shape, width = sets.shape, regions.face_width(mesh)
    inner = regions.eroded(regions.oval(mesh, shape), 0.1 * width) > 0
    lower = regions.lower_face(mesh, shape) > 0
    brows = regions.dilated(regions.brows(mesh, shape), 0.02 * width) > 0
    sets = sets.copy()
    sets[hair] = BIT["hair"]
    sets[hair & lower & ~inner] = BIT["hair"] | BIT["beard"]
    sets[hair & lower & inner] = BIT["beard"]
    sets[hair & brows] = BIT["hair"] | BIT["brows"]
    return sets


def _with_features(
    sets: np.ndarray,
    crop: np.ndarray,
    mesh: np.ndarray,
    eyes_labelled: bool = False,
    bare: np.ndarray | None = None,
) -> np.ndarray:
    """Return the sets with brows, eyes and lips from the mesh, and with worn glasses.

    eyes_labelled: the sets have the eyes already; else the mesh gives them. bare: (S,S) where there is surely no
    hair; None: where the sets have none.
    """
    shape, sets = sets.shape, sets.copy()
    if bare is None:
        bare = sets & BIT["hair"] == 0  # a fringe hides brows and eyes
    unsure = ~bare & (sets != BIT["hair"])
    hidden_mouth = not _turned(mesh) and MOUTH.score(crop, mesh) < _MOUTH_HIDDEN
    if hidden_mouth:
        sets[regions.lower_face(mesh, shape) > 0] |= BIT["front"] | BIT["skin"]
    rings = [(ring, BIT["brows"], 1.3, 0.95) for ring in topology().brows]
    if not eyes_labelled:
        rings += [(ring, BIT["eyes"], 1.5, 1.0) for ring in topology().eyes]
    rings.append((topology().regions["lips"], BIT["lips"], 1.12, 0.98))
    for ring, bit, outer, inner in rings:
        around = regions.polygon_mask(regions.scaled_ring(mesh[ring], outer), shape) > 0
        within = regions.polygon_mask(regions.scaled_ring(mesh[ring], inner), shape) > 0
        sets[around & (sets != BIT["hair"])] |= bit
        sets[within & bare] = bit
        sets[within & unsure] = bit | BIT["hair"]
    _open_mouth(sets, mesh)
    if hidden_mouth:
        sets[regions.lips(mesh, shape) > 0] |= BIT["front"]
    return _with_glasses(sets, crop, mesh)


def _open_mouth(sets: np.ndarray, mesh: np.ndarray) -> None:
    """Mark what is between the lips, in place. Where they meet, a pixel may be lips or inner mouth."""
    shape = sets.shape
    between = regions.polygon_mask(mesh[topology().regions["inner_lips"]], shape)
    around = regions.inner_mouth(mesh, shape) > 0
    sets[around] |= BIT["inner mouth"] | BIT["lips"]
    core = regions.eroded(between, 1.0) > 0
    sets[core] = BIT["inner mouth"]


def _with_glasses(sets: np.ndarray, crop: np.ndarray, mesh: np.ndarray) -> np.ndarray:
    """Return the sets with the glasses that the bundled GlassesNet finds."""
    score = GLASSES.score(crop, mesh)
    if score < _NO_GLASSES:
        return sets
    matrix = glasses.to_patch(mesh)
    if score < _GLASSES:  # there may or may not be glasses
        near = cv2.warpAffine(
            np.ones(glasses.SIZE[::-1], np.uint8), cv2.invertAffineTransform(matrix), sets.shape[::-1]
        )
        sets[near > 0] |= BIT["glasses"]
        return sets
    worn = glasses.find(crop, mesh, bundled_glasses()).on(sets.shape)
    low, high = _WORN
    sets[worn > low] |= BIT["glasses"]
    sets[worn > high] = BIT["glasses"]
    return sets


def _widened(sets: np.ndarray, radius: int) -> np.ndarray:
    """Join each pixel's set with its neighbours': the edges of a label map are off by up to `radius` pixels."""
    size = 2 * radius + 1
    out = np.zeros_like(sets)
    for number in range(len(CLASSES)):
        plane = ((sets >> number) & 1).astype(np.uint8)
        out |= cv2.dilate(plane, np.ones((size, size), np.uint8)).astype(np.uint16) << np.uint16(number)
    return out
