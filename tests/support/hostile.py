"""Hostile and unusual picture files, each with the expected outcome of reading it."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageCms, features

from .picture_files import (
    GREEN,
    GREYS,
    JPEG,
    QUARTERS,
    RED,
    SIZE,
    Colour,
    bomb_png,
    cmyk,
    cmyk_profile,
    cut,
    damaged_png,
    encoded,
    exif_broken,
    exif_jpeg,
    exif_other,
    few_bits,
    four,
    frames_of,
    gif,
    grey16_png,
    greys,
    huge_bmp,
    huge_gif,
    huge_jpeg,
    palette,
    png,
    rgb,
    rgb16_png,
    rgba,
    text_bomb_png,
    tiff,
    tiff_12_bit,
    tiff_pages_in_a_circle,
    zip_content,
)


@dataclass(frozen=True)
class Case:
    """A file to make in a folder, and its outcome: for "ok" the fields below, for "error" a part of the message."""

    name: str
    make: Callable[[Path], Path]
    outcome: Literal["ok", "error"]
    message: str = ""
    size: tuple[int, int] = SIZE
    quarters: tuple[Colour, ...] = QUARTERS
    tolerance: int = 0
    alpha: tuple[int, ...] | None = None  # of the four quarters; None: the picture has none


def file(name: str, content: bytes | Callable[[], bytes]) -> Callable[[Path], Path]:
    """Return a function that writes the file; a callable content is called only then."""

    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content() if callable(content) else content)
        return path

    return make


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
    # Plain and unusual pictures that must be readable.
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
    # Missing, or not regular files.
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
