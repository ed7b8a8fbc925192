"""Encoded pictures of every kind, all generated: Pillow writes most of them, the rest are packed by hand.

Every intact picture shows the same four colours, one in each quarter, so that tests notice a swapped channel, a clipped
bit depth or a wrong rotation.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, ImageCms

SIZE = (48, 32)
RED, GREEN, BLUE, PALE = (200, 30, 30), (30, 180, 30), (30, 30, 200), (220, 220, 220)
QUARTERS = (RED, GREEN, BLUE, PALE)  # top left, top right, bottom left, bottom right
GREYS = ((40,) * 3, (90,) * 3, (150,) * 3, (220,) * 3)
Colour = tuple[int, int, int]
JPEG: dict[str, Any] = {"quality": 95, "subsampling": 0}


def four(
    colours: tuple[Any, ...] = QUARTERS, size: tuple[int, int] = SIZE, dtype: Any = np.uint8
) -> np.ndarray:
    """(H,W) or (H,W,C): the four colours, one per quarter."""
    a, b, c, d = (np.asarray(x, dtype) for x in colours)
    width, height = size
    picture = np.empty((height, width, *a.shape), dtype)
    y, x = height // 2, width // 2
    picture[:y, :x], picture[:y, x:], picture[y:, :x], picture[y:, x:] = a, b, c, d
    return picture


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def rgb(size: tuple[int, int] = SIZE) -> Image.Image:
    return Image.fromarray(four(size=size))


def noise(size: tuple[int, int] = (96, 96)) -> Image.Image:
    """Noise, which does not compress: a truncated file loses a part of the picture."""
    return Image.fromarray(np.random.default_rng(7).integers(0, 256, (size[1], size[0], 3), np.uint8))


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *extra: tuple[bytes, bytes]) -> bytes:
    """A PNG of raw rows (without their filter bytes), with further chunks before the data."""
    stride = len(rows) // height if height and rows else 0
    lines = b"".join(b"\0" + rows[y * stride : (y + 1) * stride] for y in range(height)) if rows else b""
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
        + b"".join(png_chunk(kind, data) for kind, data in extra)
        + png_chunk(b"IDAT", zlib.compress(lines))
        + png_chunk(b"IEND", b"")
    )


def tiff(
    pixels: np.ndarray, bits: int, photometric: int = 1, kind: int = 1, packed: bytes | None = None
) -> bytes:
    """A one-strip little-endian TIFF of (H,W) samples; kind 1 unsigned, 2 signed, 3 float."""
    data = packed if packed is not None else pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    height, width = pixels.shape
    tags = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, bits),
        (259, 3, 1),
        (262, 3, photometric),
        (273, 4, 8),
        (277, 3, 1),
        (278, 4, height),
        (279, 4, len(data)),
        (339, 3, kind),
    ]
    entries = b"".join(
        struct.pack("<HHI", tag, form, 1) + struct.pack("<I", value) for tag, form, value in tags
    )
    offset = 8 + len(data)
    return b"II*\0" + struct.pack("<I", offset) + data + struct.pack("<H", len(tags)) + entries + bytes(4)


def tiff_12_bit() -> bytes:
    values = four(tuple(round(g[0] / 255 * 4095) for g in GREYS), dtype=np.uint16)
    first, second = values[:, 0::2].astype(np.uint32), values[:, 1::2].astype(np.uint32)
    three = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], axis=-1)
    return tiff(values, 12, packed=three.astype(np.uint8).tobytes())


def cmyk_profile() -> bytes:
    """A small CMYK profile with an unmistakable result: paper is white, and all inks print as mid grey."""
    lab = [(153, 128, 128)] * 16
    lab[0] = (255, 128, 128)
    straight = bytes(range(256))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0])
    table += b"".join(struct.pack(">i", v) for v in (65536, 0, 0, 0, 65536, 0, 0, 0, 65536))
    table += straight * 4 + bytes(v for entry in lab for v in entry) + straight * 3
    white = b"XYZ " + bytes(4) + struct.pack(">iii", 63190, 65536, 54061)
    text = b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(4 + 4 + 2 + 1 + 67)
    rights = b"text" + bytes(4) + b"free\0"
    blocks = [(b"A2B0", table), (b"wtpt", white), (b"desc", text), (b"cprt", rights)]
    offset, index, body = 128 + 4 + 12 * len(blocks), b"", b""
    for name, block in blocks:
        padded = block + bytes(-len(block) % 4)
        index += name + struct.pack(">II", offset + len(body), len(block))
        body += padded
    header = struct.pack(">I", offset + len(body)) + b"\0\0\0\0\x02\x40\0\0prtrCMYKLab " + bytes(12) + b"acsp"
    header += bytes(28) + struct.pack(">iii", 63190, 65536, 54061) + bytes(48)
    return header + struct.pack(">I", len(blocks)) + index + body


def rgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif_jpeg(orientation: int) -> bytes:
    """A JPEG stored rotated or mirrored, so that its orientation brings the four colours back to their quarters."""
    upright = four()
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[274] = orientation
    return encoded(Image.fromarray(np.ascontiguousarray(stored)), "JPEG", exif=exif.tobytes(), **JPEG)


def exif_other(form: str) -> bytes:
    exif = Image.Exif()
    exif[274] = 6
    stored = Image.fromarray(np.ascontiguousarray(np.rot90(four(), 1)))
    return encoded(stored, form, exif=exif.tobytes(), **({"lossless": True} if form == "WEBP" else {}))


def exif_broken(orientation: bytes) -> bytes:
    """A JPEG whose EXIF orientation has these four value bytes; if there are none, its EXIF block is garbage."""
    block = b"Exif\0\0" + (b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" + orientation + bytes(4))
    return encoded(rgb(), "JPEG", exif=block if orientation else b"Exif\0\0rubbish", **JPEG)


def palette(*, transparent: bool) -> bytes:
    indexed = Image.frombytes("P", SIZE, four((0, 1, 2, 3)).tobytes())
    indexed.putpalette([v for colour in QUARTERS for v in colour])
    return encoded(indexed, "PNG", **({"transparency": bytes([255, 128, 0, 255])} if transparent else {}))


def gif(frames: int, **options: Any) -> bytes:
    images = [rgb().convert("P", palette=Image.Palette.ADAPTIVE, colors=8)]
    images += [Image.new("P", SIZE, i) for i in range(1, frames)]
    more: dict[str, Any] = {"save_all": True, "append_images": images[1:]} if frames > 1 else {}
    return encoded(images[0], "GIF", **more, **options)


def frames_of(form: str, **options: Any) -> bytes:
    return encoded(rgb(), form, save_all=True, append_images=[noise(SIZE)], **options)


def rgba() -> Image.Image:
    alphas = (255, 128, 1, 200)
    return Image.fromarray(four(tuple((*c, a) for c, a in zip(QUARTERS, alphas, strict=True))))


def grey16_png() -> bytes:
    return png(*SIZE, 16, 0, four(tuple(g[0] * 257 for g in GREYS), dtype=">u2").tobytes())


def rgb16_png(*extra: tuple[bytes, bytes]) -> bytes:
    return png(
        *SIZE, 16, 2, four(tuple(tuple(v * 257 for v in c) for c in QUARTERS), dtype=">u2").tobytes(), *extra
    )


def few_bits(bits: int, key: int | None = None) -> bytes:
    """Grey PNG of 1, 2 or 4 bits a pixel; the levels 0, 1, top-1 and top (1 bit: 0, 1, 0, 1)."""
    top = (1 << bits) - 1
    values = four((0, 1, max(top - 1, 0), top))
    flat = np.unpackbits(values[..., None], axis=-1)[..., -bits:].reshape(SIZE[1], -1)
    extra = [(b"tRNS", struct.pack(">H", key))] if key is not None else []
    return png(*SIZE, bits, 0, np.packbits(flat, axis=-1).tobytes(), *extra)


def greys(*levels: int) -> tuple[Colour, ...]:
    return tuple((v, v, v) for v in levels)


def cmyk(icc: bytes | None) -> bytes:
    inks = tuple((*(255 - v for v in c), 0) for c in QUARTERS)
    image = Image.merge(
        "CMYK", [Image.fromarray(np.ascontiguousarray(p)) for p in np.moveaxis(four(inks), -1, 0)]
    )
    return encoded(image, "JPEG", icc_profile=icc, **JPEG)


def cut(form: str, part: float, **options: Any) -> Callable[[], bytes]:
    def make() -> bytes:
        whole = encoded(noise(), form, **options)
        return whole[: max(1, int(len(whole) * part))]

    return make


def damaged_png() -> bytes:
    whole = bytearray(encoded(noise(), "PNG"))
    whole[len(whole) // 2] ^= 0xFF
    return bytes(whole)


def huge_bmp() -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, 60000, 60000, 1, 24, 0, 0, 2835, 2835, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 16, 0, 0, 54) + head + bytes(16)


def huge_jpeg() -> bytes:
    whole = bytearray(encoded(rgb(), "JPEG", **JPEG))
    at = whole.index(b"\xff\xc0")
    whole[at + 5 : at + 9] = struct.pack(">HH", 65000, 65000)
    return bytes(whole)


def huge_gif() -> bytes:
    whole = bytearray(gif(1))
    whole[6:10] = struct.pack("<HH", 65535, 65535)
    return bytes(whole)


def bomb_png() -> bytes:
    """A valid PNG of 120 black megapixels in 15 kB."""
    packer = zlib.compressobj(9)
    row = bytes(1 + 12000 // 8)
    data = b"".join([*(packer.compress(row * 100) for _ in range(100)), packer.flush()])
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 12000, 10000, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")


def text_bomb_png() -> bytes:
    packed = zlib.compress(bytes(80_000_000), 9)
    return png(*SIZE, 8, 2, four().tobytes(), (b"zTXt", b"Comment\0\0" + packed))


def tiff_pages_in_a_circle() -> bytes:
    whole = bytearray(tiff(four(tuple(g[0] for g in GREYS)), 8))
    whole[-4:] = whole[4:8]
    return bytes(whole)


def zip_content() -> bytes:
    return b"PK\x03\x04\x14\0\0\0\0\0" + bytes(20) + b"word/document.xml" + bytes(60)
