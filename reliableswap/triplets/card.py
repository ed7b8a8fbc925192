"""The dataset card of a finished run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from reliableswap.data.shards import read_about
from reliableswap.data.splits import NAMES
from reliableswap.data.storage import readable, write_atomic_named, write_text
from reliableswap.media.picture import Picture
from reliableswap.provenance.record import TRIPLET_SWAP, Record
from reliableswap.provenance.seal import seal

from .contact_sheet import contact_sheet

_SIMILARITY = ("ab_to_b", "ab_to_a", "ba_to_a", "ba_to_b")


def write_card(
    folder: Path,
    shards: Sequence[Path],
    photos: Counter[str],
    listed: int,
    licence: str,
    sheets: Sequence[Path],
) -> None:
    """Write README.md and the contact sheets. photos: number of dropped photos by reason; listed: of all photos."""
    about = [read_about(path) for path in shards]
    sheet = Picture(contact_sheet(shards))
    for path in sheets:
        write_atomic_named(path, partial(_write_sheet, sheet))
    text = card_text(about, mean_similarities(shards), photos, listed, licence)
    write_text(folder / "README.md", text)


def _write_sheet(sheet: Picture, file: Path) -> None:
    seal(sheet, file, Record(action=TRIPLET_SWAP), overwrite=True, quality=92)


def mean_similarities(shards: Sequence[Path]) -> dict[str, float]:
    """Return the mean of each cosine column; empty without an encoder."""
    sums, count = np.zeros(len(_SIMILARITY)), 0
    for path in shards:
        columns = pq.read_table(readable(path), columns=list(_SIMILARITY)).drop_null()
        if columns.num_rows:
            sums += [float(np.sum(columns[name].to_numpy())) for name in _SIMILARITY]
            count += columns.num_rows
    return {name: float(total) / count for name, total in zip(_SIMILARITY, sums, strict=True) if count}


def card_text(
    about: Sequence[Mapping[str, Any]],
    similarity: Mapping[str, float],
    photos: Counter[str],
    listed: int,
    licence: str,
) -> str:
    """Return the text of README.md with the Hub's front matter. about: the metadata of each shard."""
    first = about[0]
    rows = {name: sum(one["kept"] for one in about if one["split"] == name) for name in NAMES}
    rows = {name: count for name, count in rows.items() if any(one["split"] == name for one in about)}
    drops: Counter[str] = Counter()
    for one in about:
        drops.update(one["drops"])
    given_up = drops.pop("given up", 0)
    total, attempts = sum(rows.values()), sum(one["attempts"] for one in about)
    files = "\n".join(f"  - split: {name}\n    path: data/{name}-*.parquet" for name in rows)
    counts = "\n".join(f"| {name} | {count} | {2 * count} |" for name, count in rows.items())
    settings = first["settings"]
    return f"""---
license: {licence}
task_categories:
- image-to-image
tags:
- face-swapping
- synthetic
- reliableswap
size_categories:
- {_size_category(total)}
configs:
- config_name: default
  data_files:
{files}
---

# Cycle triplets

Pairs of real photos of two people, C_a and C_b, with two synthetic pictures each: C_ab has the attributes of a and
the identity of b, C_ba the reverse. Training takes C_ab as target and C_ba as source; the real photo C_a is
the ground truth. So a row gives two cycle triplets.

**C_ab, C_ba and source surrogates are made by software and show nobody as they were. Do not publish them as
photos.** Their files carry the mark of AI-made pictures (IPTC digital source type, in XMP); those of real photos don't.

![some rows: C_a, C_b, C_ab, C_ba, source surrogates](contact_sheet.jpg)

| split | rows | cycle triplets |
|---|---|---|
{counts}

Splits are by person: nobody is in two of them.

## How it was made

ReliableSwap {first["version"]}, {settings["size"]} px crops of the `arcface_128` template, seed {settings["seed"]}.
Faces were found by the analyser `{first["analyser"]}`. {_identity_text(first["encoder"], similarity)}

{_makers_text(about)}

Photos: {listed}, of which {listed - sum(photos.values())} were used.{_reasons(photos, "Dropped")}

Pairs tried: {attempts}, of which {total} were kept.{_reasons(drops, "Dropped")} {given_up} of the pairs asked for were
given up after {settings["pairing"]["tries"]} partners.

## Columns

- `c_a`, `c_b`, `c_ab`, `c_ba`: the pictures. `other_a`, `other_b`: another real photo of the same person, or null.
- `source_a`, `source_b`: another picture of the same person, made from the photo itself, or null. `source_to_*`: the
  cosine of its identity with the photo's. `settings_source_*`: what was changed.
- `mesh_a`, ... `mesh_source_b`: 468 points x, y, z of the picture of that name, in 1/32 pixels.
- `v_id_*`: identity vectors; `ab_to_b` and its like: cosines of identities. Null without an encoder.
- `identity_*`, `photo_*`: the person's name and the photo's path.
- `shown_*`: the share of the face that the source's photo shows. `quality_*`: 0 to 1.
- `surrogate_*`: what made each synthetic picture, the blend or a generator. `settings_*`: with which settings.
- `attempt`: how many partners had been dropped before.

`cache/` and `plan/`, if present, hold the faces found in the photos, for making more triplets; they need not be
published.

## Settings

```json
{json.dumps(settings, indent=1, sort_keys=True)}
```
"""


def _identity_text(encoder: str | None, similarity: Mapping[str, float]) -> str:
    if encoder is None:
        return "No identity encoder was given, so **the filter on identity was off**."
    if not similarity:
        return f"Identity was judged by `{encoder}`."
    toward = (similarity["ab_to_b"] + similarity["ba_to_a"]) / 2
    away = (similarity["ab_to_a"] + similarity["ba_to_b"]) / 2
    return (
        f"Identity was judged by `{encoder}`: the mean cosine of a synthetic face is {toward:.3f} with the person it "
        f"should show and {away:.3f} with the person in whose photo it is."
    )


def _makers_text(about: Sequence[Mapping[str, Any]]) -> str:
    by_maker: Counter[str] = Counter()
    for one in about:
        by_maker.update(one.get("made_by", {}))
    makers = ", ".join(f"{name} {n}" for name, n in by_maker.most_common())
    text = f"Pairs by what made C_ab and C_ba: {makers or 'none'}."
    kept, failed, likeness = (
        sum(one.get("sources", {}).get(name, 0) for one in about) for name in ("kept", "failed", "likeness")
    )
    if kept + failed:
        text += f"\n\nSource surrogates: {kept} kept, {failed} given up."
        if likeness:
            text += f" Their mean cosine with the photo that they were made from is {likeness / kept:.3f}."
    return text


def _reasons(counts: Counter[str], word: str) -> str:
    if not counts:
        return ""
    return f" {word}: " + ", ".join(f"{reason} {n}" for reason, n in counts.most_common()) + "."


def _size_category(rows: int) -> str:
    for limit, name in (
        (1_000, "n<1K"),
        (10_000, "1K<n<10K"),
        (100_000, "10K<n<100K"),
        (1_000_000, "100K<n<1M"),
    ):
        if rows < limit:
            return name
    return "1M<n<10M"
