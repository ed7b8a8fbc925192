"""Subject: one face together with the piece of its photo that a swap works on."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np

from reliableswap.errors import NoFaceError
from reliableswap.faces.align import (
    FIXER_WINDOW,
    IDENTITY_WINDOW,
    TEMPLATES,
    apply,
    generator_crop,
    similarity,
    to_planes,
)
from reliableswap.faces.face import Face
from reliableswap.faces.parts import Parts, find_parts
from reliableswap.faces.quality import hard_light
from reliableswap.faces.visibility import Covers, find_covers
from reliableswap.geometry.warp import Copies

from .networks import Networks

MARGIN = 0.45  # surroundings cut out with a face, as a fraction of its mesh's longer side
MAX_FACE_SIDE = 1500.0  # a face whose longer side has more pixels is processed at this size
MIN_FEATURES = 0.55  # least Parts.features of a face; with a mask and dark glasses it is 1
_STRIP = 256  # rows enlarged at a time when a reduced region is written back


@dataclass(frozen=True, eq=False)
class Subject:
    """A face and its surroundings; what the networks say about it is computed once, on first use.

    pixels: (H,W,3) uint8, the region around the face. face: in the region's pixels.
    corner: x, y of the region in the photo. extent: its width and height there.
    """

    pixels: np.ndarray = field(repr=False)
    face: Face = field(repr=False)
    corner: tuple[int, int]
    extent: tuple[int, int]
    networks: Networks = field(repr=False)

    @classmethod
    def around(cls, photo: np.ndarray, face: Face, name: str, networks: Networks) -> Subject:
        """Cut a face and its surroundings out of a photo (H,W,3); reduce very large faces to MAX_FACE_SIDE."""
        low, high = face.mesh[:, :2].min(0), face.mesh[:, :2].max(0)
        longer_side = float((high - low).max())
        size = np.array(photo.shape[1::-1])
        x0, y0 = np.clip(np.floor(low - MARGIN * longer_side), 0, size - 1).astype(int)
        x1, y1 = np.clip(np.ceil(high + MARGIN * longer_side) + 1, 1, size).astype(int)
        if x1 - x0 < 8 or y1 - y0 < 8:
            raise NoFaceError(f"a face in {name} lies outside the picture; choose another with faces=")
        pixels, face = photo[y0:y1, x0:x1], face.shifted(-float(x0), -float(y0))
        extent = (int(x1 - x0), int(y1 - y0))
        factor = MAX_FACE_SIDE / longer_side
        if factor < 1:
            width, height = (max(8, round(side * factor)) for side in extent)
            pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
            face = face.scaled(factor)
        return cls(np.ascontiguousarray(pixels), face, (int(x0), int(y0)), extent, networks)

    @classmethod
    def of_crop(
        cls,
        pixels: np.ndarray,
        mesh: np.ndarray,
        networks: Networks,
        covers: Covers | None = None,
        strict_covers: Covers | None = None,
    ) -> Subject:
        """Create from a picture (H,W,3) that is already a region, its face's mesh (468,3) and covers, if known."""
        height, width = pixels.shape[:2]
        subject = cls(pixels, Face.from_mesh(mesh), (0, 0), (width, height), networks)
        return subject.with_results(covers=covers, strict_covers=strict_covers)

    def with_results(
        self,
        *,
        covers: Covers | None = None,
        strict_covers: Covers | None = None,
        parts: Parts | None = None,
        v_id: np.ndarray | None = None,
        v_fix: np.ndarray | None = None,
    ) -> Subject:
        """Return the same face and region with results known from elsewhere, such as from other frames of a clip."""
        known = {
            "covers": covers,
            "strict_covers": strict_covers,
            "parts": parts,
            "v_id": v_id,
            "v_fix": v_fix,
        }
        subject = copy(self)
        subject.__dict__.update({name: value for name, value in known.items() if value is not None})
        if strict_covers is not None or parts is not None:
            subject.__dict__.pop("hard_light", None)
        return subject

    @property
    def mesh(self) -> np.ndarray:
        """(468,3) in the region's pixels."""
        return self.face.mesh

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the region."""
        height, width = self.pixels.shape[:2]
        return height, width

    @cached_property
    def parts(self) -> Parts | None:
        """What the region's pixels show; None without a VisibilityNet."""
        network = self.networks.visibility
        return None if network is None else find_parts(self.pixels, self.mesh, network)

    def check_features(self, name: str) -> None:
        """Raise NoFaceError if the mesh does not lie on a face, as happens on some profiles."""
        if self.parts is not None and self.parts.features(self.mesh) < MIN_FEATURES:
            raise NoFaceError(
                f"the face in {name} cannot be analysed: eyes and mouth are not where expected; use a photo that "
                "shows the face uncovered and from the front"
            )

    @cached_property
    def covers(self) -> Covers:
        """What is in front of the face, judged as a target: only what certainly covers it."""
        return find_covers(self.pixels, self.mesh, self.networks.glasses, parts=self.parts)

    @cached_property
    def strict_covers(self) -> Covers:
        """What is in front of the face, judged as a source: hair that is missed shows as a stain on the target."""
        return find_covers(self.pixels, self.mesh, self.networks.glasses, strict=True, parts=self.parts)

    @cached_property
    def hard_light(self) -> float:
        """How steeply the light changes on one side of the face only; see `faces.quality.hard_light`."""
        return hard_light(self.copies, self.mesh, self.strict_covers)

    @cached_property
    def copies(self) -> Copies:
        """The region with cached reduced copies, for sampling it as a source's texture."""
        return Copies(self.pixels)

    @cached_property
    def crop(self) -> np.ndarray:
        """(128,128,3) uint8 the aligned crop that the encoders see."""
        return self.aligned(128, "arcface_128")[0]

    def aligned(self, size: int, template: str) -> tuple[np.ndarray, np.ndarray]:
        """(size,size,3) uint8 an aligned crop, and the matrix (2,3) from the region to it."""
        if (size, template) not in self._crops:
            matrix = self.crop_matrix(size, template)
            self._crops[size, template] = generator_crop(self.pixels, matrix, size), matrix
        return self._crops[size, template]

    def covers_in_crop(self, size: int, template: str) -> Covers:
        """What is in front of the face in an aligned crop, judged as a source."""
        if (size, template) not in self._crop_covers:
            seen, matrix = self.aligned(size, template)
            mesh = apply(matrix, self.mesh)
            parts = None if self.parts is None else self.parts.moved(matrix)
            found = find_covers(seen, mesh, self.networks.glasses, strict=True, parts=parts)
            self._crop_covers[size, template] = found
        return self._crop_covers[size, template]

    @cached_property
    def _crop_covers(self) -> dict[tuple[int, str], Covers]:
        return {}

    @cached_property
    def _crops(self) -> dict[tuple[int, str], tuple[np.ndarray, np.ndarray]]:
        return {}

    @cached_property
    def v_id(self) -> np.ndarray:
        """(1,D) the identity vector."""
        return self.networks.embed("identity", self.crop[IDENTITY_WINDOW])

    @cached_property
    def v_fix(self) -> np.ndarray | None:
        """(1,D) the lower-face vector; None without a FixerNet."""
        if self.networks.fixer is None:
            return None
        return self.networks.embed("fixer", self.crop[FIXER_WINDOW])

    @cached_property
    def adapted(self) -> np.ndarray | None:
        """(1,D) the output of the generator's adapter; None without one."""
        adapter = self.networks.adapter
        return None if adapter is None else adapter(to_planes(self.crop[IDENTITY_WINDOW]))

    def crop_matrix(self, size: int, template: str) -> np.ndarray:
        """(2,3) from the region to an aligned crop with that side."""
        return similarity(self.face.points5, TEMPLATES[template].at(size))

    def put_back(self, photo: np.ndarray, pixels: np.ndarray, mask: np.ndarray) -> None:
        """Write the swapped region into the photo in place, where the mask (H,W) says that it changed."""
        (x, y), (width, height) = self.corner, self.extent
        window = photo[y : y + height, x : x + width]
        if (height, width) == pixels.shape[:2]:
            window[:] = cv2.copyTo(pixels, (mask > 0).astype(np.uint8), np.ascontiguousarray(window))
            return
        self._put_back_enlarged(window, pixels, mask)

    def _put_back_enlarged(self, window: np.ndarray, pixels: np.ndarray, mask: np.ndarray) -> None:
        """Enlarge a reduced region strip by strip. Where the target shows through, it keeps its own grain."""
        width, height = self.extent
        change = pixels.astype(np.float32) - self.pixels
        sides = np.array([width / pixels.shape[1], height / pixels.shape[0]])
        for top in range(0, height, _STRIP):
            part = window[top : top + _STRIP]
            back = np.column_stack([np.diag(1 / sides), 0.5 / sides - 0.5])
            back[1, 2] += top / sides[1]
            new, moved, over = (
                cv2.warpAffine(
                    plane,
                    back,
                    part.shape[1::-1],
                    flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                    borderMode=cv2.BORDER_REPLICATE,
                )
                for plane in (pixels.astype(np.float32), change, mask)
            )
            own = part + moved
            made = np.clip(np.rint(own + over[..., None] * (new - own)), 0, 255).astype(np.uint8)
            np.copyto(part, made, where=over[..., None] > 0)
