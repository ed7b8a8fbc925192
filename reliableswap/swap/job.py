"""FaceJob: one face on its way from the photo to the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import cv2
import numpy as np

from reliableswap.faces.ageing import ageing
from reliableswap.geometry.ramps import rising
from reliableswap.geometry.regions import face_width, window
from reliableswap.geometry.resampling import is_large
from reliableswap.geometry.shape import displacement, moved_share, origins, shaped_mesh
from reliableswap.models.layer_maps import SIDE

from .networks import Networks
from .person import Person
from .place import CropPlace, Window
from .settings import SwapSettings
from .subject import Subject

Steady = Callable[[str, np.ndarray], np.ndarray]  # (name, a step's decision) -> it, smoothed over time

NEAR = 0.1  # face widths around the mesh within which steps ask what covers the face
COARSE_REACH = 0.05  # coarse bands may change pixels this fraction of the face's width beyond the mask
_MIN_SNAP_WIDTH = 160  # face width in pixels from which half a pixel does not alter the expression
_BEARD = (0.5, 0.9)  # beard probability over which a source comes to count as bearded
_FULL_BEARD = (0.97, 0.99)  # beard probability over which a beard goes from light to full


@dataclass(frozen=True, eq=False)
class FaceJob:
    """The inputs of one swap, values derived from them, and the layers that the steps have made so far.

    A step takes a job and returns a job with more or other layers; it changes nothing in place. `image` (H,W,3) uint8
    is the target's region in its current state, `mask` (H,W) in 0..1 is where it differs from the photo. The steps'
    docstrings name their other layers. Values that depend on the inputs alone are computed once, on first use.
    steady: smooths a step's decisions over the frames of a clip.
    quick: for video: resample bicubically (`resampling.interpolation_for`), and compute tones at a reduced size.
    """

    target: Subject
    person: Person
    settings: SwapSettings
    networks: Networks
    layers: Mapping[str, np.ndarray] = field(default_factory=dict)
    steady: Steady | None = None
    quick: bool = False

    @classmethod
    def start(
        cls,
        target: Subject,
        person: Person,
        settings: SwapSettings,
        networks: Networks,
        steady: Steady | None = None,
        quick: bool = False,
    ) -> FaceJob:
        """Create a job in which nothing has changed yet."""
        untouched = {"image": target.pixels, "mask": np.zeros(target.shape, np.float32)}
        return cls(target, person, settings, networks, untouched, steady, quick)

    def steadied(self, name: str, value: np.ndarray) -> np.ndarray:
        """Smooth a step's decision over the preceding frames of a clip; return it as it is for a photo."""
        return value if self.steady is None else self.steady(name, value)

    def with_layers(self, **layers: np.ndarray) -> FaceJob:
        """Return the job with these layers added or replaced."""
        job = replace(self, layers={**self.layers, **layers})
        # The inputs are the same, so keep the cached properties. Copy __dict__: a parallel step may add to it.
        kept = {k: v for k, v in dict(self.__dict__).items() if k not in self.__dataclass_fields__}
        job.__dict__.update(kept)
        return job

    def layer(self, name: str) -> np.ndarray:
        """Return a layer by name; a missing one means that the engine's steps are in the wrong order."""
        if name not in self.layers:
            raise LookupError(f"no layer {name!r} yet; run the step that makes it first")
        return self.layers[name]

    @property
    def image(self) -> np.ndarray:
        return self.layers["image"]

    @property
    def mask(self) -> np.ndarray:
        return self.layers["mask"]

    @cached_property
    def source(self) -> Subject:
        """The source photo whose texture is used."""
        return self.person.nearest_in_pose(self.target.mesh)

    @cached_property
    def width(self) -> float:
        """The target's face width in pixels."""
        return face_width(self.target.mesh)

    @property
    def years(self) -> float:
        """By how many years the face is aged."""
        return self.settings.age * self.settings.likeness

    @cached_property
    def goal(self) -> np.ndarray:
        """(468,3) the target's mesh in its pose and expression, moved towards the source's proportions and aged.

        If the settings keep the target's shape, it is not aged.
        """
        strength = self.settings.shape * self.settings.likeness
        shaped = shaped_mesh(self.target.mesh, self.person.shape_mesh, strength)
        if self.years == 0 or self.settings.attributes.shape == "target":
            return shaped
        return ageing().mesh(shaped, self.years)

    @cached_property
    def crop(self) -> CropPlace:
        """Where the generator's crop lies."""
        return CropPlace.of(self.target, self.networks.generator, self.quick)

    @property
    def has_finer_detail(self) -> bool:
        """Whether a layered generator swaps a face of which the photo shows finer detail than the network sees."""
        return not self.crop.holds_all_detail and bool(self.networks.generator.config.get("layers"))

    @property
    def soft_light(self) -> bool:
        """Whether to remove the source's hard light. In small photos that costs likeness and shows little; in clips,
        stains move and are noticed."""
        return self.has_finer_detail or self.crop.size > SIDE or self.quick

    @property
    def snaps_to_pixels(self) -> bool:
        """Whether to apply `snap_to_pixels` to displacements. In a clip that would flicker, in a small face half a
        pixel alters the expression, and in a large picture it is slow for no visible gain."""
        return not self.quick and self.width >= _MIN_SNAP_WIDTH and not is_large(self.target.shape)

    @cached_property
    def move(self) -> np.ndarray:
        """(H,W,2) for each pixel of the reshaped region, the offset to its origin in the target."""
        return displacement(self.target.mesh, self.goal, self.target.shape)

    @cached_property
    def moved(self) -> np.ndarray:
        """(H,W) in 0..1 where reshaping changes the target."""
        return moved_share(self.move, self.quick)

    def covered(self, where: Window) -> tuple[np.ndarray, np.ndarray]:
        """(h,w), (h,w) what hides the face, and its bare skin, in a window of the reshaped region near the face."""
        (top, left), hidden, skin = self._covered
        part = tuple(slice(s.start - at, s.stop - at) for s, at in zip(where, (top, left), strict=True))
        return hidden[part], skin[part]

    @cached_property
    def _covered(self) -> tuple[tuple[int, int], np.ndarray, np.ndarray]:
        around = window(self.goal, self.target.shape, NEAR * self.width + 8)
        hidden, skin = self.target.covers.at(origins(self.move, around))
        return (around[0].start, around[1].start), hidden, skin

    def class_probability(self, name: str, where: Window) -> np.ndarray:
        """(h,w) in 0..1, the probability that the target shows a class of face_classes.py, in a window of the reshaped
        region; zero without a VisibilityNet."""
        parts, at = self.target.parts, origins(self.move, where)
        if parts is None:
            return np.zeros(at.shape[:2], np.float32)
        places = cv2.transform(at, parts.matrix)
        return cv2.remap(parts.of(name), places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    @cached_property
    def only_target_bearded(self) -> float:
        """Confidence, in 0..1, that the target has a full beard and the source has none.

        A light beard does not count: it can be covered, and with it most people take the face for the target's.
        """
        full = float(rising(self.target.covers.bearded, _FULL_BEARD))
        return full * (1 - self.source.strict_covers.bearded) if full > 0 else 0.0

    @cached_property
    def only_source_bearded(self) -> float:
        """Confidence, in 0..1, that the source has a beard and the target none; zero if the target's beard is kept."""
        if self.settings.attributes.beard == "target":
            return 0.0
        beard = float(rising(self.source.strict_covers.bearded, _BEARD))
        return beard * (1 - self.target.covers.bearded) if beard > 0 else 0.0

    @cached_property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the region that a blend may change."""
        pad = (0.5 * self.settings.feather + COARSE_REACH) * self.width
        return window(self.goal, self.target.shape, pad)

    @cached_property
    def goal_in_window(self) -> np.ndarray:
        """(468,3) the goal mesh in the window's pixels."""
        rows, columns = self.window
        return self.goal - np.array([columns.start, rows.start, 0], np.float32)

    @cached_property
    def target_covers(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(h,w) each, in the window: what stays in front of the face, what hides it, and the target's bare skin.

        The first two differ by the glasses that the settings remove.
        """
        seen_at = origins(self.move, self.window)
        hidden, skin = self.target.covers.at(seen_at)
        return self._foreground_mask(hidden, seen_at), hidden, skin

    def foreground_mask(self, where: Window | None = None) -> np.ndarray:
        """(h,w) in 0..1 what stays in front of the face, in the reshaped region or a window of it; glasses count as far
        as the settings leave them on."""
        seen_at = origins(self.move, where)
        return self._foreground_mask(self.target.covers.at(seen_at)[0], seen_at)

    def _foreground_mask(self, hidden: np.ndarray, seen_at: np.ndarray) -> np.ndarray:
        glasses = self.target.covers.glasses.at(seen_at)
        return np.asarray(hidden - (1 - self.settings.glasses) * np.minimum(hidden, glasses))
