"""A table of pairs, as `reliableswap evaluate` writes it."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

PAIRS = 40


def write_pairs(path: Path, values: Mapping[str, float]) -> None:
    """Write forty pairs per method, whose cosine to the source is the method's value plus a hundredth of the number."""
    lines = [
        {
            "method": method,
            "pair": str(pair),
            "cos_source": str(pair / 100 + value),
            "source_person": f"s{pair % 7}",
            "target_person": f"t{pair % 5}",
        }
        for method, value in values.items()
        for pair in range(PAIRS)
    ]
    with path.open("w", newline="") as stream:
        table = csv.DictWriter(stream, list(lines[0]))
        table.writeheader()
        table.writerows(lines)
