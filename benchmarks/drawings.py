"""Make the picture of docs/unified.md: faces that the bundled networks draw from eight descriptions, a column each.

python benchmarks/drawings.py -o docs/drawings.jpg
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from reliableswap import UnifiedFacePipeline
from reliableswap.media import Picture
from reliableswap.provenance.metadata import GENERATED
from reliableswap.provenance.record import Record
from reliableswap.provenance.seal import seal

DESCRIPTIONS = (
    "a young woman, smiling, with brown hair", "a bearded man with glasses, smiling",
    "an old man with grey hair", "a young man with black hair, serious",
    "a middle-aged woman with blond hair", "a woman with dark skin, smiling",
    "a man, his head turned left", "a bald man, smiling",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--count", type=int, default=3, help="faces per description (default: 3)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    pipe = UnifiedFacePipeline.bundled()
    columns = []
    for text in DESCRIPTIONS:
        drawn = pipe.draw(text, seed=options.seed, count=options.count)
        columns.append(np.concatenate([one.pixels for one in drawn.pictures]))
    sheet = Picture(np.concatenate(columns, 1), name="drawings")
    record = Record(
        "faces drawn side by side", engine="unified", networks=pipe.checksums(), source_type=GENERATED
    )
    seal(sheet, options.output, record, quality=78, overwrite=True)


if __name__ == "__main__":
    main()
