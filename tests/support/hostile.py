"""Hostile and odd picture files, made from code alone, each with what reading it has to give.

Every picture that can be read shows the same four colours, one a quarter, so that a swapped channel, a clipped
depth or a wrong turn is seen. Run as a script to write all files into a folder: python tests/hostile.py FOLDER
"""

from __future__ import annotations

import io
import os
import struct
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageCms, features

SIZE = (48, 32)
RED, GREEN, BLUE, PALE = (200, 30, 30), (30, 180, 30), (30, 30, 200), (220, 220, 220)
QUARTERS = (RED, GREEN, BLUE, PALE)  # top left, top right, bottom left, bottom right
GREYS = ((40,) * 3, (90,) * 3, (150,) * 3, (220,) * 3)

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Case:
    """A file to make in a folder, and its outcome: for "ok" the facts below, for "error" a part of the message."""

    name: str
    make: Callable[[Path], Path]
    outcome: Literal["ok", "error"]
    message: str = ""
    size: tuple[int, int] = SIZE
    quarters: tuple[Colour, ...] = QUARTERS
    tolerance: int = 0
    alpha: tuple[int, ...] | None = None  # of the four quarters; None: the picture has none


def four(
    colours: tuple[Any, ...] = QUARTERS, size: tuple[int, int] = SIZE, dtype: Any = np.uint8
) -> np.ndarray:
    """(H,W) or (H,W,C): the four colours, one a quarter."""
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
    """Does not compress, so that a cut of the file cuts the picture."""
    return Image.fromarray(np.random.default_rng(7).integers(0, 256, (size[1], size[0], 3), np.uint8))


JPEG: dict[str, Any] = {"quality": 95, "subsampling": 0}


def file(name: str, content: bytes | Callable[[], bytes]) -> Callable[[Path], Path]:
    """A maker of one file, whose content is made only when the file is."""

    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content() if callable(content) else content)
        return path

    return make


# Formats by hand, for what Pillow does not write.


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
    """A small CMYK profile that no other conversion looks like: paper is white, all inks print as mid grey."""
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


# Single files.


def exif_jpeg(orientation: int) -> bytes:
    """Stored turned so that the orientation brings the four colours back to their quarters."""
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
    """A JPEG with an orientation of the given four value bytes, or with an EXIF block of rubbish."""
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
    """120 megapixels of nothing, honestly compressed."""
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


def a_folder(folder: Path) -> Path:
    path = folder / "folder.jpg"
    path.mkdir(exist_ok=True)
    return path


def a_pipe(folder: Path) -> Path:
    path = folder / "pipe.jpg"
    if not path.exists():
        os.mkfifo(path)
    return path


def a_link(name: str, to: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / name
        if not path.is_symlink():
            path.symlink_to(to)
        return path

    return make


def a_link_to_a_picture(folder: Path) -> Path:
    file("behind-a-link.png", encoded(rgb(), "PNG"))(folder)
    return a_link("link.png", "behind-a-link.png")(folder)


def ok(name: str, path: str, content: Callable[[], bytes], **facts: Any) -> Case:
    return Case(name, file(path, content), "ok", **facts)


def error(name: str, path: str, content: bytes | Callable[[], bytes], message: str) -> Case:
    return Case(name, file(path, content), "error", message)


_BROKEN, _NOT, _LARGE, _MOVES = (
    "is damaged or incomplete",
    "is not a picture",
    "over the limit",
    "more than one frame",
)

HOSTILE: list[Case] = [
    # Plain and odd pictures that have to be read.
    ok("jpeg", "plain.jpg", lambda: encoded(rgb(), "JPEG", **JPEG), tolerance=6),
    ok("progressive jpeg", "progressive.jpg", lambda: encoded(rgb(), "JPEG", progressive=True, **JPEG), tolerance=6),
    ok("grey jpeg", "grey.jpg", lambda: encoded(Image.fromarray(four(tuple(g[0] for g in GREYS))), "JPEG", **JPEG),
       quarters=GREYS, tolerance=3),
    *[
        ok(f"exif orientation {n}", f"exif-{n}.jpg", lambda n=n: exif_jpeg(n), tolerance=6)
        for n in range(1, 9)
    ],
    ok("exif orientation 0", "exif-0.jpg", lambda: exif_broken(bytes(4)), tolerance=6),
    ok("exif orientation 99", "exif-99.jpg", lambda: exif_broken(b"\x63\0\0\0"), tolerance=6),
    ok("exif of rubbish", "exif-rubbish.jpg", lambda: exif_broken(b""), tolerance=6),
    ok("exif orientation in a png", "exif.png", lambda: exif_other("PNG")),
    ok("exif orientation in a webp", "exif.webp", lambda: exif_other("WEBP")),
    ok("exif orientation in a tiff", "exif.tif", lambda: exif_other("TIFF")),
    ok("png", "plain.png", lambda: encoded(rgb(), "PNG")),
    ok("png with alpha", "alpha.png", lambda: encoded(rgba(), "PNG"), alpha=(255, 128, 1, 200)),
    ok("png with an opaque alpha", "opaque.png", lambda: encoded(rgb().convert("RGBA"), "PNG"), alpha=(255,) * 4),
    ok("png of grey and alpha", "la.png", lambda: encoded(
        Image.merge("LA", [Image.fromarray(four(tuple(g[0] for g in GREYS))), rgba().getchannel("A")]), "PNG"),
       quarters=GREYS, alpha=(255, 128, 1, 200)),
    ok("palette", "palette.png", lambda: palette(transparent=False)),
    ok("palette with transparency", "palette-alpha.png", lambda: palette(transparent=True),
       alpha=(255, 128, 0, 255)),
    ok("one bit", "bilevel.png", lambda: few_bits(1), quarters=greys(0, 255, 0, 255)),
    ok("one bit with a transparent white", "bilevel-key.png", lambda: few_bits(1, key=1),
       quarters=greys(0, 255, 0, 255), alpha=(255, 0, 255, 0)),
    ok("two bits with a transparent colour", "2-bit.png", lambda: few_bits(2, key=1),
       quarters=greys(0, 85, 170, 255), alpha=(255, 0, 255, 255)),
    ok("four bits with a transparent colour", "4-bit.png", lambda: few_bits(4, key=14),
       quarters=greys(0, 17, 238, 255), alpha=(255, 255, 0, 255)),
    ok("16-bit grey png", "16-grey.png", grey16_png, quarters=GREYS),
    ok("16-bit rgb png", "16-rgb.png", rgb16_png),
    ok("16-bit rgb png with a transparent colour", "16-rgb-key.png",
       lambda: rgb16_png((b"tRNS", struct.pack(">HHH", *(v * 257 for v in GREEN)))), alpha=(255, 0, 255, 255)),
    ok("16-bit grey tiff", "16-grey.tif", lambda: tiff(four(tuple(g[0] * 257 for g in GREYS), dtype=np.uint16), 16),
       quarters=GREYS),
    ok("16-bit grey tiff with white zero", "16-white.tif",
       lambda: tiff(four(tuple(65535 - g[0] * 257 for g in GREYS), dtype=np.uint16), 16, 0), quarters=GREYS),
    ok("12-bit grey tiff", "12-grey.tif", tiff_12_bit, quarters=GREYS),
    ok("16-bit values in a 32-bit tiff", "32-grey.tif",
       lambda: tiff(four(tuple(g[0] * 257 for g in GREYS), dtype=np.int32), 32, kind=2), quarters=GREYS),
    ok("tiff", "plain.tif", lambda: encoded(rgb(), "TIFF")),
    ok("tiff whose one page points to itself as the next", "circle.tif", tiff_pages_in_a_circle, quarters=GREYS),
    ok("tiff with lzw", "lzw.tif", lambda: encoded(rgb(), "TIFF", compression="tiff_lzw")),
    ok("cmyk jpeg without a profile", "cmyk.jpg", lambda: cmyk(None), tolerance=6),
    ok("cmyk jpeg with its profile", "cmyk-icc.jpg", lambda: cmyk(cmyk_profile()),
       quarters=greys(150, 150, 150, 226), tolerance=8),
    ok("cmyk jpeg with a profile of rubbish", "cmyk-rubbish.jpg", lambda: cmyk(b"rubbish" * 40), tolerance=6),
    ok("rgb jpeg with a cmyk profile", "stale.jpg", lambda: encoded(
        rgb(), "JPEG", icc_profile=cmyk_profile(), **JPEG), tolerance=6),
    ok("lab tiff", "lab.tif", lambda: encoded(ImageCms.profileToProfile(
        rgb(), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"), "TIFF"),
       tolerance=14),  # 8-bit Lab is coarse in dark and saturated colours
    ok("webp", "plain.webp", lambda: encoded(rgb(), "WEBP", lossless=True)),
    ok("webp with alpha", "alpha.webp", lambda: encoded(rgba(), "WEBP", lossless=True, exact=True),
       alpha=(255, 128, 1, 200)),
    ok("bmp", "plain.bmp", lambda: encoded(rgb(), "BMP")),
    ok("gif of one frame", "still.gif", lambda: gif(1)),
    ok("mpo as phones write it", "phone.jpg", lambda: frames_of("MPO", **JPEG), tolerance=6),
    ok("jpeg with a film behind it", "motion.jpg",
       lambda: encoded(rgb(), "JPEG", **JPEG) + b"\0\0\0\x18ftypmp42" + bytes(500), tolerance=6),
    ok("png called jpg", "really-a-png.jpg", lambda: encoded(rgb(), "PNG")),
    ok("jpeg without an extension", "noextension", lambda: encoded(rgb(), "JPEG", **JPEG), tolerance=6),
    ok("name with spaces and accents", "dög (1) 犬.png", lambda: encoded(rgb(), "PNG")),
    ok("1x1", "dot.png", lambda: encoded(Image.new("RGB", (1, 1), RED), "PNG"), size=(1, 1), quarters=(RED,) * 4),
    ok("1x20000", "line.png", lambda: encoded(Image.new("RGB", (1, 20000), RED), "PNG"), size=(1, 20000),
       quarters=(RED,) * 4),
    ok("20000x1", "row.png", lambda: encoded(Image.new("RGB", (20000, 1), RED), "PNG"), size=(20000, 1),
       quarters=(RED,) * 4),
    Case("link to a picture", a_link_to_a_picture, "ok"),
    # Not there, or not files.
    Case("missing", lambda folder: folder / "missing.jpg", "error", "there is no file"),
    Case("missing, with a line break in its name", lambda folder: folder / "a\nb.jpg", "error", r"a\nb.jpg"),
    Case("dangling link", a_link("dangling.jpg", "nowhere.jpg"), "error", "there is no file"),
    Case("folder", a_folder, "error", "is a folder"),
    Case("named pipe", a_pipe, "error", "is a device, pipe or socket"),
    Case("endless device", a_link("zero.jpg", "/dev/zero"), "error", "is a device, pipe or socket"),
    # Not pictures.
    error("empty", "empty.jpg", b"", "is empty"),
    error("one byte", "one.jpg", b"\xff", "an unknown kind of data"),
    error("text", "text.jpg", b"This is not a picture.\n" * 9, "it looks like text"),
    error("html", "page.jpg", b"<!DOCTYPE html><html><body>404</body></html>", "it looks like a web page"),
    error("svg", "drawing.png", b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
    error("zip", "archive.jpg", zip_content, "a zip archive"),
    error("pdf", "paper.jpg", b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n", "a PDF"),
    error("postscript", "program.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "a PostScript file"),
    error("heic", "phone.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64), "an HEIC picture"),
    error("film", "film.jpg", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(64), "a video"),
    error("photoshop", "layers.jpg", b"8BPS\0\x01" + bytes(60), "a Photoshop file"),
    error("a format Pillow reads but we do not", "plain.ppm", lambda: encoded(rgb(), "PPM"), _NOT),
    error("lfs pointer", "pointer.png", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    error("random bytes", "random.jpg", lambda: np.random.default_rng(3).bytes(4096), _NOT),
    # Damaged.
    error("jpeg of two bytes", "soi.jpg", b"\xff\xd8", "a broken JPEG"),
    *[error(f"jpeg cut at {p}", f"cut-{p}.jpg", cut("JPEG", p, **JPEG), _BROKEN) for p in (0.2, 0.5, 0.9, 0.99)],
    error("progressive jpeg cut", "cut-p.jpg", cut("JPEG", 0.6, progressive=True, **JPEG), _BROKEN),
    error("jpeg cut in its tables", "tables.jpg", cut("JPEG", 0.01, **JPEG), _BROKEN),
    *[error(f"png cut at {p}", f"cut-{p}.png", cut("PNG", p), _BROKEN) for p in (0.01, 0.2, 0.5, 0.9)],
    error("png cut in its signature", "signature.png", b"\x89PNG\r\n", "a broken PNG"),
    error("png with one byte changed", "flipped.png", damaged_png, _BROKEN),
    error("png without data", "no-data.png", lambda: png(*SIZE, 8, 2, b""), _BROKEN),
    error("png of no width", "no-width.png", lambda: png(0, 32, 8, 2, b""), "a broken PNG"),
    *[error(f"webp cut at {p}", f"cut-{p}.webp", cut("WEBP", p), _BROKEN) for p in (0.1, 0.5)],
    error("tiff cut in its header", "header.tif", cut("TIFF", 0.001), "a broken TIFF"),
    *[error(f"tiff cut at {p}", f"cut-{p}.tif", cut("TIFF", p), _BROKEN) for p in (0.5, 0.9)],
    error("tiff with lzw cut", "cut-lzw.tif", cut("TIFF", 0.6, compression="tiff_lzw"), "a broken TIFF"),
    error("bmp cut", "cut.bmp", cut("BMP", 0.5), _BROKEN),
    error("gif cut", "cut.gif", cut("GIF", 0.5), _BROKEN),
    # Too large, and bombs.
    error("png header of 50000x50000", "huge.png", lambda: png(50000, 50000, 8, 2, b""), "limit"),
    error("png header of 2^31 pixels a side", "huger.png", lambda: png(2**31 - 1, 2**31 - 1, 8, 2, b""), "limit"),
    error("jpeg header of 65000x65000", "huge.jpg", huge_jpeg, "limit"),
    error("bmp header of 60000x60000", "huge.bmp", huge_bmp, "limit"),
    error("gif screen of 65535x65535", "huge.gif", huge_gif, "limit"),
    error("png bomb of 120 megapixels", "bomb.png", bomb_png, _LARGE),
    error("png with a text bomb", "text-bomb.png", text_bomb_png, _BROKEN),
    # More than one picture.
    error("animated gif", "moves.gif", lambda: gif(3), _MOVES),
    error("animated png", "moves.png", lambda: frames_of("PNG"), _MOVES),
    error("animated webp", "moves.webp", lambda: frames_of("WEBP"), _MOVES),
    error("tiff of two pages", "pages.tif", lambda: frames_of("TIFF"), _MOVES),
    # Values without a known range.
    error("floating-point tiff", "float.tif",
          lambda: tiff(four((0.1, 0.4, 0.7, 1.0), dtype=np.float32), 32, kind=3), "floating-point"),
    error("32-bit tiff", "deep.tif", lambda: tiff(four((0, 1, 2, 1 << 30), dtype=np.int32), 32, kind=2),
          "outside 0..65535"),
]  # fmt: skip

if features.check("avif"):
    HOSTILE.append(ok("avif", "plain.avif", lambda: encoded(rgb(), "AVIF", quality=95), tolerance=8))


if __name__ == "__main__":
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    for case in HOSTILE:
        print(case.outcome, case.name, case.make(out), case.message, sep="\t")
