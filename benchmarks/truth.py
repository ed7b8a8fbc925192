"""Render a set of swaps whose right answer is known, for `reliableswap evaluate --protocol pairs`.

python benchmarks/truth.py ict_face9409_fp16.npz -o truth --pairs 100 --seed 0
reliableswap evaluate --protocol pairs --faces truth --pipeline bundled --controls --judge dlib -o report
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.synthetic_heads.heads import HeadModel
from benchmarks.synthetic_heads.truth import make_set
from reliableswap.errors import ReliableSwapError


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="ICT FaceKit's face area, .npz (see evaluation/heads.py)")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--people", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    try:
        model = HeadModel.load(arguments.model)
        table = make_set(
            model,
            arguments.output,
            arguments.pairs,
            arguments.people,
            arguments.seed,
            lambda t: print(t, file=sys.stderr),
        )
    except ReliableSwapError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
