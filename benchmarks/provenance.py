"""What the invisible watermark costs and survives. Run: python benchmarks/provenance.py [--photos FOLDER] [--quick]

Pictures are made from those of the package openpeople at several sizes, from generated textures and, with --photos,
from a folder of any photos (as they are, if they are large enough to carry a mark). Each marked picture goes through
every attack separately. H.264 encodes clips of six frames: a still picture, and one that moves by 2 px per frame, the
hardest case because the codec moves the mark along with the picture. The face box is a rectangle in the middle.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from attacks import ATTACKS, filmed, recompressed
from PIL import Image

from reliableswap.provenance.watermark import Reading, default_watermark
from reliableswap.provenance.watermark.lattice import SMALLEST_SIDE

WATERMARK = default_watermark()
ATTEMPTS, CHECK_BITS = 6 * 8, 32  # periods times orientations tried per picture; known bits of a message
SIDES = (320, 448, 640, 900, 1280)  # the longer side of openpeople's pictures
Box = tuple[int, int, int, int]


def people() -> list[Path]:
    """Every picture of openpeople."""
    import openpeople

    return sorted((Path(openpeople.__file__).parent / "data" / "curated").glob("*/assets/*.jpg"))


def texture(number: int) -> np.ndarray:
    """(512,512,3) uint8: noise with a falling spectrum, on slopes, stripes or plain colour, by number."""
    rng = np.random.default_rng(number)
    spectrum = np.fft.rfft2(rng.normal(size=(512, 512, 3)), axes=(0, 1))
    distance = np.hypot(np.fft.fftfreq(512)[:, None], np.fft.rfftfreq(512))[..., None]
    field = np.fft.irfft2(spectrum / np.maximum(distance, 1 / 512) ** rng.uniform(0.6, 1.8), axes=(0, 1))
    field *= rng.uniform(4, 40) / field.std()
    y, x = np.mgrid[:512, :512][..., None] / 512
    waves = np.sin(2 * np.pi * rng.uniform(3, 60) * (x * rng.normal() + y * rng.normal()))
    base = (rng.uniform(30, 225, 3), 255 * x * y, 128 + 60 * waves)[number % 3]
    return np.clip(base + field, 0, 255).astype(np.uint8)


def pictures(count: int, photos: list[Path], seed: int) -> Iterator[np.ndarray]:
    """Yield `count` pictures, all different: every fifth a texture, the others crops of people and photos."""
    rng = np.random.default_rng(seed)
    files = people()
    for number in range(count):
        if number % 5 == 4:
            yield texture(seed + number)
        elif photos and number % 2:
            pixels = np.asarray(Image.open(photos[number * 7919 % len(photos)]).convert("RGB"))
            small = min(pixels.shape[:2]) < 192
            yield cv2.resize(pixels, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC) if small else pixels
        else:
            image = Image.open(files[number % len(files)]).convert("RGB")
            side = int(rng.integers(min(image.size) // 2, min(image.size)))
            left, top = (int(rng.integers(0, whole - side)) for whole in image.size)
            image = image.crop((left, top, left + side, top + side))
            image.thumbnail((SIDES[number % len(SIDES)],) * 2)
            yield np.asarray(image)


def face_box(pixels: np.ndarray) -> Box:
    """The box that the benchmark takes for a face: a fifth of the picture, in the middle."""
    height, width = pixels.shape[:2]
    return int(0.3 * width), int(0.25 * height), int(0.7 * width), int(0.75 * height)


def panned(pixels: np.ndarray, payload: int) -> list[np.ndarray]:
    """Six marked frames of a camera that moves 2 px per frame."""
    width = pixels.shape[1] - 10
    return [WATERMARK.embed(pixels[:, 2 * i : 2 * i + width], payload) for i in range(6)]


def per_megapixel(seconds: float, pixels: np.ndarray) -> float:
    """Milliseconds per megapixel."""
    return 1e3 * seconds / (pixels.shape[0] * pixels.shape[1] / 1e6)


class Tally:
    """Whether each message was read right, by attack, and the number of wrong messages."""

    def __init__(self) -> None:
        self.right: dict[str, list[bool]] = {}
        self.wrong = 0

    def add(self, attack: str, reading: Reading | None, payload: int) -> None:
        self.right.setdefault(attack, []).append(reading is not None and reading.payload == payload)
        self.wrong += reading is not None and reading.payload != payload

    def print(self) -> None:
        print("| after | read |\n|---|---|")
        for attack, right in self.right.items():
            print(f"| {attack} | {100 * statistics.fmean(right):.1f} % of {len(right)} |")
        print(f"Wrong messages: {self.wrong}")


def survival(count: int, photos: list[Path]) -> None:
    """Mark pictures, attack each, and print how often the message comes back."""
    tally, psnr, writing, reading = Tally(), [], [], []
    rng = np.random.default_rng(1)
    for pixels in pictures(count, photos, 1):
        payload = int(rng.integers(1 << 32))
        box = face_box(pixels)
        start = time.perf_counter()
        marked = WATERMARK.embed(pixels, payload, [box])
        writing.append(per_megapixel(time.perf_counter() - start, pixels))
        psnr.append(10 * np.log10(255**2 / np.mean(np.square(marked.astype(float) - pixels))))
        for name, attack in ATTACKS.items():
            attacked = attack(marked)
            start = time.perf_counter()
            tally.add(name, WATERMARK.read(attacked), payload)
            reading.append(per_megapixel(time.perf_counter() - start, attacked))
        left, top, right, bottom = box
        if min(right - left, bottom - top) >= SMALLEST_SIDE:
            crop = recompressed(marked[top:bottom, left:right], "JPEG", 75)
            tally.add("face cropped, JPEG 75", WATERMARK.read(crop), payload)
        for crf in (23, 28):
            still, moving = filmed([marked] * 6, crf), filmed(panned(pixels, payload), crf)
            tally.add(f"H.264 CRF {crf}, still, one frame", WATERMARK.read(still[3]), payload)
            tally.add(f"H.264 CRF {crf}, moving, one frame", WATERMARK.read(moving[3]), payload)
            tally.add(f"H.264 CRF {crf}, moving, six frames", WATERMARK.read_many(moving), payload)
        again = WATERMARK.embed(recompressed(marked, "JPEG", 85), payload ^ 0xFFFF)
        tally.add(
            "marked a second time, JPEG 75", WATERMARK.read(recompressed(again, "JPEG", 75)), payload ^ 0xFFFF
        )
    print(f"PSNR of {count} marks: lowest {min(psnr):.2f} dB, median {statistics.median(psnr):.2f} dB")
    tally.print()
    print(
        f"Writing {statistics.median(writing):.0f}, reading {statistics.median(reading):.0f} ms a megapixel (median)"
    )


def false_alarms(count: int, photos: list[Path]) -> None:
    """Read pictures without a mark and print how many seem to have one."""
    alarms, reading = 0, []
    for pixels in pictures(count, photos, 10**6):
        start = time.perf_counter()
        alarms += WATERMARK.read(pixels) is not None
        reading.append(per_megapixel(time.perf_counter() - start, pixels))
    print(
        f"False alarms: {alarms} of {count} unmarked pictures (computed: {ATTEMPTS / 2**CHECK_BITS:.1e} per picture)"
    )
    print(f"Reading an unmarked picture: {statistics.median(reading):.0f} ms per megapixel (median)")


def large() -> None:
    """Time the writing and reading of whole pictures of openpeople, which have 4.3 megapixels."""
    writing, reading, unmarked = [], [], []
    for file in people()[::6]:
        pixels = np.asarray(Image.open(file).convert("RGB"))
        times = [time.perf_counter()]
        marked = WATERMARK.embed(pixels, 1)
        times.append(time.perf_counter())
        WATERMARK.read(marked)
        times.append(time.perf_counter())
        WATERMARK.read(pixels)
        times.append(time.perf_counter())
        for kind, seconds in zip((writing, reading, unmarked), np.diff(times), strict=True):
            kind.append(per_megapixel(seconds, pixels))
    print(
        f"4.3 megapixels: writing {statistics.median(writing):.0f}, reading {statistics.median(reading):.0f}, "
        f"unmarked {statistics.median(unmarked):.0f} ms per megapixel (median)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, help="folder of photos for half of the pictures")
    parser.add_argument(
        "--marked", type=int, default=200, help="number of pictures to mark (default: %(default)s)"
    )
    parser.add_argument(
        "--unmarked", type=int, default=2000, help="pictures to search (default: %(default)s)"
    )
    parser.add_argument("--quick", action="store_true", help="use only a tenth of the pictures")
    arguments = parser.parse_args()
    share = 10 if arguments.quick else 1
    photos = sorted(arguments.photos.rglob("*.jpg")) if arguments.photos else []
    survival(max(1, arguments.marked // share), photos)
    false_alarms(max(1, arguments.unmarked // share), photos)
    large()


if __name__ == "__main__":
    main()
