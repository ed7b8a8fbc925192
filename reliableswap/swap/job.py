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

Steady = Callable[[str, np.ndarray], np.ndarray]  # what is decided, by name -> the same, steadied in time

NEAR = 0.1  # fraction of the face's width around its mesh within which steps ask what covers it
COARSE_REACH = 0.05  # coarse bands may change pixels this fraction of the face's width beyond the mask
_MANY_PIXELS = 160  # of a face's width, from which half a pixel is none of its expression
_BEARD = (0.5, 0.9)  # probability of a beard between which a source counts as bearded
_FULL_BEARD = (0.97, 0.99)  # probability of a beard between which it goes from light to full


@dataclass(frozen=True, eq=False)
class FaceJob:
    """The inputs of one swap, what follows from them, and the layers that the steps have made so far.

    A step takes a job and returns a job with more or other layers; it changes nothing in place. `image` (H,W,3) uint8
    is the target's region as it stands, `mask` (H,W) in 0..1 says where it differs from the photo. Other layers are
    named by the step that makes them. What follows from the inputs alone is computed once, when first asked for.
    steady: for a face of a clip, steadies what a step decides in every frame.
    quick: for a moving picture: cubics resample it (`resampling.sharp`), and tones are worked out at a reduced size.
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
        """A job in which nothing has changed yet."""
        untouched = {"image": target.pixels, "mask": np.zeros(target.shape, np.float32)}
        return cls(target, person, settings, networks, untouched, steady, quick)

    def steadied(self, name: str, value: np.ndarray) -> np.ndarray:
        """What a step decided, as it is used: in clips with what it decided in the frames before."""
        return value if self.steady is None else self.steady(name, value)

    def with_layers(self, **layers: np.ndarray) -> FaceJob:
        """The job with these layers added or replaced."""
        job = replace(self, layers={**self.layers, **layers})
        # The inputs are the same, so what was computed from them is kept. Another step may add to it meanwhile.
        kept = {k: v for k, v in dict(self.__dict__).items() if k not in self.__dataclass_fields__}
        job.__dict__.update(kept)
        return job

    def layer(self, name: str) -> np.ndarray:
        """A layer by name; one that no step has made yet is a mistake in the engine's order of steps."""
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
        """By how many years the face gets older."""
        return self.settings.age * self.settings.likeness

    @cached_property
    def goal(self) -> np.ndarray:
        """(468,3) the target's mesh in its pose and expression, moved towards the source's proportions and age.

        A shape that is the target's does not age.
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
    def is_large(self) -> bool:
        """Whether a layered generator swaps a face of which the photo shows more than the network sees."""
        return not self.crop.holds_all and bool(self.networks.generator.config.get("layers"))

    @property
    def soft_light(self) -> bool:
        """Whether the source's hard light stays behind. In small photos that costs likeness, and shows little; in clips
        stains move, and show."""
        return self.is_large or self.crop.size > SIDE or self.quick

    @property
    def by_whole_pixels(self) -> bool:
        """Whether what moves is drawn to whole pixels, as `crisp` does it. In a clip it would flicker, in a small face
        half a pixel is an expression, and in a large picture it takes long for what nobody sees."""
        return not self.quick and self.width >= _MANY_PIXELS and not is_large(self.target.shape)

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
        (top, left), hidden, bare = self._covered
        part = tuple(slice(s.start - at, s.stop - at) for s, at in zip(where, (top, left), strict=True))
        return hidden[part], bare[part]

    @cached_property
    def _covered(self) -> tuple[tuple[int, int], np.ndarray, np.ndarray]:
        around = window(self.goal, self.target.shape, NEAR * self.width + 8)
        hidden, bare = self.target.covers.at(origins(self.move, around))
        return (around[0].start, around[1].start), hidden, bare

    def shows(self, name: str, where: Window) -> np.ndarray:
        """(h,w) in 0..1 how far the target shows a class of face_classes.py in a window of the reshaped region; zero
        without a VisibilityNet."""
        parts, at = self.target.parts, origins(self.move, where)
        if parts is None:
            return np.zeros(at.shape[:2], np.float32)
        places = cv2.transform(at, parts.matrix)
        return cv2.remap(parts.of(name), places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    @cached_property
    def only_target_bearded(self) -> float:
        """How certainly the target has a full beard, and the source has none, in 0..1.

        A light beard is none to keep: it can be covered, and with it a face looks like the target's to most.
        """
        full = float(rising(self.target.covers.bearded, _FULL_BEARD))
        return full * (1 - self.source.strict_covers.bearded) if full > 0 else 0.0

    @cached_property
    def only_source_bearded(self) -> float:
        """How certainly the source has a beard and the target has none, in 0..1; zero if the target's beard is kept."""
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

        The first two differ in glasses that the settings take off.
        """
        seen_at = origins(self.move, self.window)
        hidden, bare = self.target.covers.at(seen_at)
        return self._in_front(hidden, seen_at), hidden, bare

    def in_front(self, where: Window | None = None) -> np.ndarray:
        """(h,w) in 0..1 what stays in front of the face, in the reshaped region or a window of it; glasses count as far
        as the settings leave them on."""
        seen_at = origins(self.move, where)
        return self._in_front(self.target.covers.at(seen_at)[0], seen_at)

    def _in_front(self, hidden: np.ndarray, seen_at: np.ndarray) -> np.ndarray:
        glasses = self.target.covers.glasses.at(seen_at)
        return np.asarray(hidden - (1 - self.settings.glasses) * np.minimum(hidden, glasses))
