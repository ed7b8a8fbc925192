"""The dataset card of described faces."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def card(
    rows: Mapping[str, int],
    dropped: Mapping[str, int],
    values: Mapping[str, Mapping[str, int]],
    about: Mapping[str, Any],
    licence: str,
) -> str:
    """The card's text: what the rows hold, how they were made, and how often each value occurs."""
    present = [name for name, count in rows.items() if count]
    files = "\n".join(f"  - split: {name}\n    path: data/{name}-*.parquet" for name in present)
    counts = "\n".join(f"| {name} | {rows[name]} |" for name in present)
    table = "\n".join(
        f"| {name} | {', '.join(f'{value} {count}' for value, count in own.items())} |"
        for name, own in values.items()
        if own
    )
    gone = ", ".join(f"{reason} {count}" for reason, count in dropped.items()) or "none"
    return f"""---
license: {licence}
task_categories:
- visual-question-answering
- image-to-text
- text-to-image
tags:
- faces
- reliableswap
configs:
- config_name: default
  data_files:
{files}
---

# Described faces

Crops of adults' faces with measured attributes, and captions, questions and answers that templates make of them. Every
text follows from the row's attributes and its `seed`. Nobody wrote or checked a text by hand, and the measures err.

| split | faces |
|---|---|
{counts}

Splits are by person: nobody is in two of them. Photos that were not used: {gone}.

## Values

An attribute that was not measured, or whose measure lies between two values, is left out. left and right are the
viewer's. Where `labelled` names an attribute, its value is the label that came with the photo; else our networks
measured it: age and gender by the age gate's network, glasses by their edges, pose, smile and mouth by the mesh,
hair and skin tone by their colour.

| attribute | values |
|---|---|
{table}

## Columns

- `picture`: the 128 px crop of the template head_512. `v_id`: the vector of the bundled identity encoder.
- one column per attribute; `labelled`: the attributes that came as labels; `measures`: the numbers, as JSON.
- `captions`: the first half states everything that is known, the others a part of it.
- `questions`: with the attribute that they are about, and the answer.
- `person`, `photo`, `id`.
- `seed`: the wording is drawn from it. It follows from the settings' seed and the photo's name.
  `reliableswap.data.describe.language.wording` repeats captions and questions.

## Settings

```json
{json.dumps(about, indent=1, sort_keys=True)}
```
"""
