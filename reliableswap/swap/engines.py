"""The two ways to swap one face of a photo; both get a region of it and give the region back."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch

from reliableswap.errors import NoFaceError
from reliableswap.faces.align import (
    FIXER_WINDOW,
    IDENTITY_WINDOW,
    TEMPLATES,
    align,
    apply,
    crop,
    paste_back,
    similarity,
)
from reliableswap.faces.detect import to_tensor
from reliableswap.faces.face import Face
from reliableswap.faces.visibility import find_covers
from reliableswap.geometry.regions import disc, eyes, face_width, soft, window
from reliableswap.geometry.shape import STILL, displacement, origins, reshape, shaped_mesh
from reliableswap.imaging.colour import slow, to_lab, to_rgb
from reliableswap.imaging.grain import match_detail
from reliableswap.models.fixer import FixerNet
from reliableswap.models.generator import Generator
from reliableswap.models.identity import IdentityEncoder
from reliableswap.runtime.openvino import OpenVino

from .blend import blend_face
from .guidance import guidance_texture
from .settings import SwapSettings

MARGIN = 0.45  # what is cut around a face, as a share of its mesh's longer side: room for outline and feather
LARGEST = 1500.0  # pixels of a face's longer side that are worked on; no eye sees more of a face
_STRIP = 256  # rows that are enlarged at a time
_NEARBY = 0.04  # of the crop's side
_AS_FINE = 0.75  # crop pixels for one photo pixel from which on the crop holds all that the photo shows


@dataclass(frozen=True, eq=False)
class Region:
    """A face with the piece of the photo around it; a very large one made smaller, as work and memory grow with it."""

    pixels: np.ndarray  # (H,W,3) uint8
    face: Face  # in the region's pixels
    corner: tuple[int, int]  # x, y of the region in the photo
    extent: tuple[int, int]  # its width and height there

    @classmethod
    def around(cls, photo: np.ndarray, face: Face, name: str) -> Region:
        low, high = face.mesh[:, :2].min(0), face.mesh[:, :2].max(0)
        margin = MARGIN * float((high - low).max())
        size = np.array(photo.shape[1::-1])
        x0, y0 = np.clip(np.floor(low - margin), 0, size - 1).astype(int)
        x1, y1 = np.clip(np.ceil(high + margin) + 1, 1, size).astype(int)
        if x1 - x0 < 8 or y1 - y0 < 8:
            raise NoFaceError(f"a face in {name} lies outside of the picture; choose another with faces=")
        pixels, face = photo[y0:y1, x0:x1], face.shifted(-float(x0), -float(y0))
        extent = (int(x1 - x0), int(y1 - y0))
        factor = LARGEST / float((high - low).max())
        if factor < 1:
            # A whole number of pixels, and the same factor for both sides to within one of them.
            width, height = (max(8, round(side * factor)) for side in extent)
            pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
            face = face.scaled(factor)
        return cls(np.ascontiguousarray(pixels), face, (int(x0), int(y0)), extent)

    def put_back(self, photo: np.ndarray, pixels: np.ndarray, mask: np.ndarray) -> None:
        """Write the swapped pixels into the photo in place, where the mask (H,W) says they changed."""
        (x, y), (width, height) = self.corner, self.extent
        window = photo[y : y + height, x : x + width]
        if (height, width) == pixels.shape[:2]:
            np.copyto(window, pixels, where=mask[..., None] > 0)
            return
        # It was made smaller: enlarge it piece by piece. Where the photo shines through it keeps its finest grain.
        change = pixels.astype(np.float32) - self.pixels
        sides = np.array([width / pixels.shape[1], height / pixels.shape[0]])
        for top in range(0, height, _STRIP):
            part = window[top : top + _STRIP]
            back = np.column_stack([np.diag(1 / sides), 0.5 / sides - 0.5])
            back[1, 2] += top / sides[1]
            new, moved, over = (
                cv2.warpAffine(
                    one,
                    back,
                    part.shape[1::-1],
                    flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                    borderMode=cv2.BORDER_REPLICATE,
                )
                for one in (pixels.astype(np.float32), change, mask)
            )
            own = part + moved
            made = np.clip(np.rint(own + over[..., None] * (new - own)), 0, 255).astype(np.uint8)
            np.copyto(part, made, where=over[..., None] > 0)


def blend_region(target: Region, source: Region, settings: SwapSettings) -> tuple[np.ndarray, np.ndarray]:
    """(H,W,3) the target's region with the source's own texture, and the mask (H,W) of what changed."""
    result = blend_face(target.pixels, target.face.mesh, source.pixels, source.face.mesh, settings)
    return result.image, result.mask


def embed(network: IdentityEncoder | FixerNet | OpenVino, picture: np.ndarray) -> torch.Tensor:
    """(1,D) the network's vector of its window of a crop, (H,W,3) uint8."""
    with torch.inference_mode():
        vector: torch.Tensor = network(to_tensor(picture).to(network.device, network.dtype))
    return vector


def identity_vector(encoder: IdentityEncoder | OpenVino, region: Region) -> torch.Tensor:
    """(1,D) v_id, of length one, of the region's face."""
    picture, _ = align(region.pixels, region.face.points5, 128)
    return embed(encoder, picture[IDENTITY_WINDOW])


def fineness(region: Region, size: int, template: str) -> float:
    """Pixels of an aligned crop of that side for one pixel of the photo."""
    matrix = similarity(region.face.points5, TEMPLATES[template].at(size))
    return float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))


def _away(vector: torch.Tensor, other: torch.Tensor, share: float) -> torch.Tensor:
    """(1,D) the vector turned away from the other by a share of it, as long as it was."""
    length = vector.float().norm(dim=1, keepdim=True)
    direction, under = (torch.nn.functional.normalize(one.float()) for one in (vector, other))
    return (torch.nn.functional.normalize(direction - share * under) * length).to(vector.dtype)


def _with_eye_colours(made: np.ndarray, picture: np.ndarray, mesh: np.ndarray) -> np.ndarray:
    """(S,S,3) the made crop with the target's colours between the lids; its lightness stays.

    The gaze is the target's, and a network that is free to will draw specks there that please an encoder.
    """
    inside = soft(eyes(mesh, made.shape[:2], 1.1), 0.01 * made.shape[0])[..., None]
    seen = picture.astype(np.float32)
    lighter = cv2.cvtColor(made, cv2.COLOR_RGB2GRAY) - cv2.cvtColor(seen, cv2.COLOR_RGB2GRAY)
    return made + inside * (np.clip(seen + lighter[..., None], 0, 255) - made)


def _in_seen_colours(made: np.ndarray, picture: np.ndarray, guidance: torch.Tensor) -> np.ndarray:
    """(S,S,3) the made crop in colours that the target's crop or its guidance (1,4,S,S) shows nearby.

    Violet temples and yellow lids are on neither; encoders like them, people do not. Lightness stays.
    """
    size = made.shape[0]
    shown = guidance[0].float().cpu().numpy()
    valid = np.ascontiguousarray(shown[3])
    texture = np.ascontiguousarray((shown[:3].transpose(1, 2, 0) + 1) * 127.5)
    (told,) = slow([to_lab(texture)], valid, _NEARBY / 4 * size)
    (seen,) = slow([to_lab(picture)], np.ones_like(valid), _NEARBY / 4 * size)
    lab = to_lab(made)
    # Along the skin's hue and across it: between skin and dark hair there is brown, but no violet.
    along = told[valid > 0.5][:, 1:].mean(0) if (valid > 0.5).any() else np.ones(2)
    along = along / max(float(np.linalg.norm(along)), 1e-6)
    turn = np.array([along, [-along[1], along[0]]], np.float32)
    tint, ours, theirs = (one[..., 1:] @ turn.T for one in (lab, seen, told))
    reach = disc(_NEARBY * size)
    for n in range(2):
        low, high = ours[..., n], ours[..., n]
        low = cv2.erode(np.where(valid > 0.5, np.minimum(low, theirs[..., n]), low), reach)
        high = cv2.dilate(np.where(valid > 0.5, np.maximum(high, theirs[..., n]), high), reach)
        tint[..., n] = np.clip(tint[..., n], low, high)
    lab[..., 1:] = tint @ turn
    return to_rgb(lab)


class NeuralEngine:
    """A generator with the encoders it was trained on."""

    def __init__(
        self,
        generator: Generator | OpenVino,
        identity: IdentityEncoder | OpenVino,
        fixer: FixerNet | OpenVino | None,
    ) -> None:
        self.generator, self.identity, self.fixer = generator, identity, fixer
        self.template = str(generator.config["template"])
        # How much of the target's vectors is taken off the source's.
        self.away = float(generator.config.get("away", 0.0))
        # The sides of crops to work at, from small to large.
        sizes = [generator.size] if generator.size else generator.config.get("sizes", [128])
        self.sizes = sorted(int(size) for size in sizes)

    def vector(self, region: Region, other: Region | None = None) -> torch.Tensor:
        """(1,D) v_full = [v_id ; v_fix] of the region's face; turned a little away from the other's, if there is one.

        A made face keeps something of the face under it. Asking for less of that one than the source has makes up.
        """
        vectors = self._vectors(region)
        if other is not None:
            vectors = [_away(*pair, self.away) for pair in zip(vectors, self._vectors(other), strict=True)]
        return torch.cat(vectors, 1)

    def _vectors(self, region: Region) -> list[torch.Tensor]:
        """(1,D) each: v_id and, with a FixerNet, v_fix."""
        picture, _ = align(region.pixels, region.face.points5, 128)
        vectors = [embed(self.identity, picture[IDENTITY_WINDOW])]
        if self.fixer is not None:
            vectors.append(embed(self.fixer, picture[FIXER_WINDOW]))
        return vectors

    def size_for(self, region: Region) -> int:
        """The side of the crop to work at: the smallest that holds all that the photo shows, or else the largest."""
        fine = (size for size in self.sizes if fineness(region, size, self.template) >= _AS_FINE)
        return next(fine, self.sizes[-1])

    def guidance(self, target: np.ndarray, target_mesh: np.ndarray, source: Region) -> torch.Tensor:
        """(1,4,S,S) the source's texture on the target's crop in [-1,1], and where it is valid in [0,1].

        The source goes through a crop of the same size first, as in training: a photo of more pixels would give
        another, sharper guidance than the generator has learnt from.
        """
        seen, matrix = align(source.pixels, source.face.points5, target.shape[0], self.template)
        texture, validity = guidance_texture(seen, apply(matrix, source.face.mesh), target, target_mesh)
        return torch.cat([to_tensor(texture), torch.from_numpy(validity)[None, None].float()], 1)

    def generate(
        self, picture: np.ndarray, mesh: np.ndarray, target: Region, source: Region
    ) -> tuple[np.ndarray, np.ndarray]:
        """(S,S,3) float32 the made face of the target's crop (S,S,3) and mesh, and (S,S) where it counts."""
        device, dtype = self.generator.device, self.generator.dtype
        guidance = None
        if self.generator.guidance_channels:
            guidance = self.guidance(picture, mesh, source).to(device, dtype)
        low, high = self.generator.config["value_range"]
        seen = (to_tensor(picture) + 1) * ((high - low) / 2) + low
        with torch.inference_mode():
            vector = self.vector(source, target).to(device, dtype)
            image, mask = self.generator(seen.to(device, dtype), vector, guidance)
        levels = (image[0].float().clamp(low, high) - low) * (255 / (high - low))
        made = np.ascontiguousarray(levels.permute(1, 2, 0).cpu().numpy())
        if guidance is not None:
            made = _in_seen_colours(made, picture, guidance)
        return _with_eye_colours(made, picture, mesh), mask[0, 0].float().cpu().numpy()

    def __call__(
        self, target: Region, source: Region, settings: SwapSettings
    ) -> tuple[np.ndarray, np.ndarray]:
        """(H,W,3) the target's region with the generated face, and the mask (H,W) of what changed."""
        shape = target.pixels.shape[:2]
        goal = shaped_mesh(target.face.mesh, source.face.mesh, settings.shape * settings.likeness)
        move = displacement(target.face.mesh, goal, shape)
        under = reshape(target.pixels, move)
        picture, matrix = align(under, target.face.points5, self.size_for(target), self.template)
        made, cover = self.generate(picture, apply(matrix, goal), target, source)
        covers = find_covers(target.pixels, target.face.mesh)
        piece = window(goal, shape, 0.1 * face_width(goal))
        seen_at = origins(move, piece)
        alpha = paste_back(self._cover(cover) * settings.likeness, matrix, shape)[..., None]
        # Hair and hands the generator tells itself, glasses it only half does.
        alpha[piece][..., 0] *= 1 - settings.glasses * covers.glasses.at(seen_at)
        _, bare = covers.at(seen_at)
        face = paste_back(made, matrix, shape) + self._fine(target, source, matrix, settings)
        face[piece] += self._grain(
            face[piece], under[piece], goal, alpha[piece][..., 0] > 0.9, bare, settings
        )
        pasted = np.clip(np.rint(under * (1 - alpha) + face * alpha), 0, 255).astype(np.uint8)
        moved = np.abs(move).max(2)
        mask = np.maximum(np.where(moved < STILL, 0, np.minimum(moved, 1)), alpha[..., 0])
        return np.where(mask[..., None] > 0, pasted, target.pixels), mask

    def _fine(
        self, target: Region, source: Region, matrix: np.ndarray, settings: SwapSettings
    ) -> np.ndarray | float:
        """(H,W,3) what the photo shows finer than the crop can: pores and hairs, from the blend engine's swap."""
        size = self.size_for(target)
        if fineness(target, size, self.template) >= _AS_FINE or settings.detail == 0:
            return 0.0
        blended, _ = blend_region(target, source, replace(settings, likeness=1.0))
        coarse = paste_back(crop(blended, matrix, size).astype(np.float32), matrix, blended.shape[:2])
        return (blended - coarse) * np.float32(settings.detail)

    @staticmethod
    def _grain(
        face: np.ndarray,
        under: np.ndarray,
        goal: np.ndarray,
        inside: np.ndarray,
        bare: np.ndarray,
        settings: SwapSettings,
    ) -> np.ndarray:
        """(h,w,1) what a piece of the made face lacks of the photo's grain: networks draw skin too smooth."""
        light, reference = (
            cv2.cvtColor(np.ascontiguousarray(p, np.float32), cv2.COLOR_RGB2GRAY) for p in (face, under)
        )
        grained = match_detail(
            light, reference, inside, bare, face_width(goal), settings.detail, equal=1.0, least=1
        )
        return (grained - light)[..., None]

    @staticmethod
    def _cover(mask: np.ndarray) -> np.ndarray:
        """(S,S) the mask, faded out at the crop's edge so that the crop's square never shows."""
        size = mask.shape[0]
        inner = np.zeros_like(mask)
        border = size // 16
        inner[border:-border, border:-border] = 1
        return mask * np.clip(cv2.GaussianBlur(inner, (0, 0), border / 2) * 2 - 1, 0, 1)
