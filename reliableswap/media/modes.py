"""Convert any of Pillow's colour modes to upright 8-bit RGB, alpha, and the colour profile that still applies."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageCms

from reliableswap.errors import PictureError

_BITS_PER_SAMPLE, _PHOTOMETRIC, _ORIENTATION = 258, 262, 274
_DEEP = ("I", "I;16", "I;16L", "I;16B", "I;16N")
_GREY = ("1", "L", "LA", "La", *_DEEP)
_COLOUR = ("RGB", "RGBA", "RGBa", "RGBX", "P", "PA", "YCbCr", "HSV")

Planes = tuple[np.ndarray, "np.ndarray | None", "bytes | None"]


def to_planes(image: Image.Image, name: str) -> Planes:
    """Return (H,W,3) uint8 RGB, (H,W) uint8 alpha or None, and the ICC profile of the RGB or None.

    An RGB profile is kept for the writer. CMYK, grey and Lab are converted through their profile to sRGB, and the
    profile is dropped. A profile that is broken or belongs to another colour space is ignored, as viewers do.
    """
    turn = _orientation(image)
    if image.mode == "La":  # Pillow converts it to nothing else
        image = image.convert("LA")
    alpha = _alpha(image)
    icc: bytes | None = image.info.get("icc_profile") or None
    space = _colour_space(icc)
    if image.mode in _GREY:
        grey = _grey(image, name)
        converted = _to_srgb(grey, icc) if space == "GRAY" else None
        rgb, icc = converted or grey.convert("RGB"), icc if space == "RGB" else None
    elif image.mode in _COLOUR:
        rgb, icc = image.convert("RGB"), icc if space == "RGB" else None
    elif image.mode == "CMYK":
        converted = _to_srgb(image, icc) if space == "CMYK" else None
        rgb, icc = converted or image.convert("RGB"), None
    elif image.mode == "LAB":
        lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
        converted = _to_srgb(image, lab)
        assert converted is not None, "littlecms can always convert Lab"
        rgb, icc = converted, None
    elif image.mode == "F":
        raise PictureError(f"{name} holds floating-point values of unknown range; save it with 8 or 16 bits")
    else:
        raise PictureError(f"{name} has the colour mode {image.mode}, which is not supported; save it as RGB")
    pixels = _upright(np.asarray(rgb), turn)
    return pixels, None if alpha is None else _upright(alpha, turn), icc


def scale_key_colour(image: Image.Image) -> None:
    """Scale a PNG's transparent colour to 8 bits: Pillow scales the pixels but not this colour.

    Call it before the pixels are loaded, after which the bit depth is unknown. Of a 16-bit colour, take the high byte.
    """
    key = image.info.get("transparency")
    tile = getattr(image, "tile", None)
    raw = tile[0][3] if image.format == "PNG" and tile else None
    if raw in ("L;2", "L;4") and isinstance(key, int):
        image.info["transparency"] = key * (85 if raw == "L;2" else 17)
    elif raw == "RGB;16B" and isinstance(key, tuple):
        image.info["transparency"] = tuple(k >> 8 for k in key)


def _alpha(image: Image.Image) -> np.ndarray | None:
    if not image.has_transparency_data or image.mode not in (*_GREY, *_COLOUR):
        return None
    if image.mode in _DEEP:
        return np.where(np.asarray(image) == image.info["transparency"], 0, 255).astype(np.uint8)
    return np.array(image.convert("RGBA").getchannel("A"))


def _grey(image: Image.Image, name: str) -> Image.Image:
    """Convert to 8-bit grey; scale deeper grey from its full range, which Pillow's own conversion would clip."""
    if image.mode not in _DEEP:
        return image.convert("L")
    tags = getattr(image, "tag_v2", {})
    values = np.asarray(image)
    top = 65535
    if image.mode == "I":  # a 32-bit type without a declared range; in practice it holds 16-bit data
        low, high = int(values.min()), int(values.max())
        if low < 0 or high > top:
            raise PictureError(
                f"{name} has grey values from {low} to {high}, outside 0..65535; save it with 8 or 16 bits"
            )
    elif tags.get(_BITS_PER_SAMPLE):
        bits = tags[_BITS_PER_SAMPLE]
        top = (1 << int(bits[0] if isinstance(bits, tuple) else bits)) - 1
    grey = ((values.astype(np.uint32) * 255 + top // 2) // top).astype(np.uint8)
    white_is_zero = tags.get(_PHOTOMETRIC) == 0  # Pillow inverts only images of 8 bits or fewer
    return Image.fromarray(255 - grey if white_is_zero else grey)


def _colour_space(icc: bytes | None) -> str | None:
    """Return the colour space that an ICC header names ("RGB", "GRAY", "CMYK"), or None without a valid header."""
    if not icc or len(icc) < 128 or icc[36:40] != b"acsp":
        return None
    return icc[16:20].decode("latin-1").strip()


def _to_srgb(image: Image.Image, icc: bytes | None) -> Image.Image | None:
    """Convert through the profile to sRGB; return None if littlecms can't use the profile."""
    try:
        converted = ImageCms.profileToProfile(
            image,
            ImageCms.ImageCmsProfile(io.BytesIO(icc or b"")),
            ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError):
        return None
    return converted


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # ignore unreadable EXIF, as viewers do
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _upright(plane: np.ndarray, orientation: int) -> np.ndarray:
    """Turn and mirror a stored (H,W,...) plane by its EXIF orientation, 1 to 8; the result is a copy."""
    if orientation in (5, 6, 7, 8):
        plane = plane.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        plane = plane[:, ::-1]
    if orientation in (3, 4, 7, 8):
        plane = plane[::-1]
    return np.array(plane, order="C")
