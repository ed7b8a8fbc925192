"""The model card of a saved pipeline: its components and measured figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reliableswap import __version__

_HEAD = """---
license: other
library_name: reliableswap
pipeline_tag: image-to-image
tags: [face-swap, reliableswap]
---

# ReliableSwap pipeline

Saved with ReliableSwap {version}. Use it for adults who agreed, or for people who do not exist. Pictures saved as below
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
    "The networks that come with ReliableSwap are for non-commercial research, because of the terms of the photos that "
    "they were trained on. Networks that you trained have the terms that you give them."
)


def pipeline_card(
    components: Mapping[str, Any], place: str, figures: Mapping[str, float | str] | None
) -> str:
    """Return the card's text. `place` is what its example loads; `figures` are measured values by name."""
    rows = []
    for name, network in components.items():
        if network is not None:
            checksum = network.checksum() if hasattr(network, "checksum") else "-"
            rows.append(f"| `{name}` | {type(network).__name__} | {network.parameter_count:,} | {checksum} |")
    if figures:
        measured = ["| figure | value |", "|---|---|"]
        measured += [f"| {name} | {value} |" for name, value in figures.items()]
    else:
        measured = ["This pipeline has not been measured yet; `reliableswap evaluate` measures one."]
    lines = [*rows, "", "## Measured", "", *measured, "", "## Licence", "", _LICENCE, ""]
    return _HEAD.format(version=__version__, place=place) + "\n".join(lines)
