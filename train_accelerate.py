"""`reliableswap train` as a script for launchers: `accelerate launch train_accelerate.py generator --help`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from reliableswap.cli.main import main as reliableswap


def main(argv: Sequence[str] | None = None) -> int:
    return reliableswap(["train", *(sys.argv[1:] if argv is None else argv)])


if __name__ == "__main__":
    sys.exit(main())
