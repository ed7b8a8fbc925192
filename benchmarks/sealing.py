"""Measure what marking costs: milliseconds to save a portrait, layer by layer, and to verify it, in every format.

    python benchmarks/sealing.py [--side 1024] [--runs 7]

The portrait is from the package openpeople. The figures are medians of single runs, after a warm-up run.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from people import photo_of

from reliableswap.media import read_picture
from reliableswap.media.picture import Picture
from reliableswap.provenance import Record
from reliableswap.provenance.seal import seal
from reliableswap.provenance.verify import verify

FORMATS = ("png", "jpg", "webp", "tif", "avif")
STEPS: dict[str, tuple[str, ...]] = {
    "xmp": ("xmp",),
    "xmp, c2pa": ("xmp", "c2pa"),
    "all": ("xmp", "c2pa", "watermark"),
}


def median(run: Callable[[], object], runs: int) -> float:
    """Milliseconds of the median run."""
    run()
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--side", type=int, default=1024, help="side of the square picture in pixels (default: 1024)"
    )
    parser.add_argument("--runs", type=int, default=7, help="timed runs per format and kind (default: 7)")
    arguments = parser.parse_args()
    side = arguments.side
    portrait = read_picture(photo_of("P001", "studio_portrait")).to_pil()
    picture = read_picture(portrait.resize((side, side)))
    print("format", *STEPS, "verify", sep="\t")
    with tempfile.TemporaryDirectory() as folder:
        for form in FORMATS:
            path = Path(folder) / f"out.{form}"
            times = [_saving(picture, path, layers, arguments.runs) for layers in STEPS.values()]
            times.append(median(lambda path=path: verify(path), arguments.runs))
            print(form, *(f"{ms:.0f}" for ms in times), sep="\t")


def _saving(picture: Picture, path: Path, layers: tuple[str, ...], runs: int) -> float:
    target = picture.known_origin()
    return median(lambda: seal(picture, path, Record(target=target), overwrite=True, layers=layers), runs)


if __name__ == "__main__":
    main()
