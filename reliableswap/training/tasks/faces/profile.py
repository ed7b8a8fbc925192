"""Profiles made from photos: the head rotated in three dimensions by its own mesh.

Photos collected with a face detector include almost no profiles (among 16,177 research photos the teacher found none
beyond 50 degrees of yaw). Rotating the mesh and rendering the photo's texture on it gives any number, with exact
meshes. The cheek that comes into view is stretched, but a network that only locates points can learn from that.
"""

from __future__ import annotations

import cv2
import numpy as np

from reliableswap.geometry.raster import rasterise


def yaw_of(meshes: np.ndarray) -> np.ndarray:
    """(...,468,3) -> (...) yaw in degrees, from the depth of the two sides of the face."""
    across = meshes[..., 454, :] - meshes[..., 234, :]
    return np.degrees(np.arctan2(across[..., 2], across[..., 0]))


def rotated_to_yaw(image: np.ndarray, mesh: np.ndarray, yaw: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the photo (H,W,3) and its mesh with the head rotated to that yaw, on the side it already faces."""
    now = float(yaw_of(mesh))
    return rotated_photo(image, mesh, np.copysign(yaw, now) - now)


def rotated_mesh(mesh: np.ndarray, degrees: float) -> np.ndarray:
    """(468,3) the mesh rotated about its own vertical axis; the sign is that of `yaw_of`."""
    angle = np.radians(degrees)
    centre = mesh.mean(0)
    # The face's own vertical axis, from between the eyes to the chin.
    down = mesh[152] - mesh[168]
    down = down / np.linalg.norm(down)
    cross = np.array([[0, -down[2], down[1]], [down[2], 0, -down[0]], [-down[1], down[0], 0]])
    rotation = np.eye(3) - np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return ((mesh - centre) @ rotation.T + centre).astype(np.float32)


def rotated_photo(image: np.ndarray, mesh: np.ndarray, degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the photo (H,W,3) with the head rotated by `degrees`, and its mesh (468,3).

    What the mesh does not cover (hair, neck, background) is squeezed sideways as the head gets narrower.
    """
    rotated = rotated_mesh(mesh, degrees)
    before, after = np.ptp(mesh[:, 0]), np.ptp(rotated[:, 0])
    squeeze = float(np.clip(after / before, 0.4, 1.2))
    anchor, goal = mesh[10, :2], rotated[10, :2]  # the top of the forehead stays with its hair
    around = np.array([[squeeze, 0, goal[0] - squeeze * anchor[0]], [0, 1, goal[1] - anchor[1]]])
    size = image.shape[1::-1]
    background = cv2.warpAffine(image, around, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    raster = rasterise(rotated, image.shape[:2])
    positions = raster.picture(mesh[:, :2].astype(np.float32), outside=-1.0)
    face = cv2.remap(image, positions, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    covered = raster.covered.astype(np.float32)
    alpha = cv2.GaussianBlur(covered, (0, 0), 0.01 * float(before) + 0.3)[..., None]
    alpha = np.where(positions[..., :1] >= 0, alpha, 0)
    return np.rint(face * alpha + background * (1 - alpha)).astype(np.uint8), rotated
