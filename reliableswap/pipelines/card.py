"""The model card that goes with a saved pipeline: what it holds, and what was measured of it, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reliableswap import __version__

_HEAD = """---
license: other
library_name: diffusers
pipeline_tag: image-to-image
tags: [face-swap, reliableswap]
---

# ReliableSwap pipeline

Saved by ReliableSwap {version}. For adults who agreed, and for people who do not exist; results that are saved as below
are marked as made by AI in their metadata.

```python
from reliableswap import ReliableSwapPipeline

pipe = ReliableSwapPipeline.from_pretrained("{place}")
pipe("alice.jpg", "photo.jpg").save("swapped.png")
```

| component | class | parameters | checksum |
|---|---|---|---|
"""


_LICENCE = (
    "The networks that come with ReliableSwap are for non-commercial research, because of the photos they learnt from; "
    "networks of your own are under the terms of yours."
)


def pipeline_card(
    components: Mapping[str, Any], place: str, figures: Mapping[str, float | str] | None
) -> str:
    """The card's text; `figures` are measured values by name, and without any the card says so."""
    lines = []
    for name, network in components.items():
        if network is not None:
            checksum = network.checksum() if hasattr(network, "checksum") else "-"
            lines.append(
                f"| `{name}` | {type(network).__name__} | {network.parameter_count:,} | {checksum} |"
            )
    lines += ["", "## Measured", ""]
    if figures:
        lines += [
            "| figure | value |",
            "|---|---|",
            *(f"| {name} | {value} |" for name, value in figures.items()),
        ]
    else:
        lines.append("Nothing has been measured of this pipeline yet; `reliableswap evaluate` does.")
    lines += ["", "## Licence", "", _LICENCE]
    return _HEAD.format(version=__version__, place=place) + "\n".join(lines) + "\n"
