"""Render a set of swaps whose correct result is known, for `reliableswap evaluate --protocol pairs`.

python -m benchmarks.synthetic_heads ict_face9409_fp16.npz -o truth --pairs 100 --seed 0
reliableswap evaluate --protocol pairs --faces truth --pipeline bundled --controls --judge dlib -o report
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from reliableswap.errors import ReliableSwapError

from .model import HeadModel
from .render import SIZE
from .truth_set import make_set


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.synthetic_heads",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "model",
        type=Path,
        help="ICT FaceKit's face area as .npz (benchmarks/synthetic_heads/model.py describes it)",
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FOLDER", help="new or empty output folder"
    )
    parser.add_argument("--pairs", type=int, default=100, help="default: %(default)s")
    parser.add_argument("--people", type=int, default=40, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--size", type=int, default=SIZE, help="pixels on each side (default: %(default)s)")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        model = HeadModel.load(arguments.model)
        options = (arguments.pairs, arguments.people, arguments.seed, arguments.size)
        table = make_set(model, arguments.output, *options)
    except ReliableSwapError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
