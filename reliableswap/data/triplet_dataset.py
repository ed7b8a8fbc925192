"""Shards of triplets -> training samples."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from torch import Tensor
from torch.utils.data import Dataset

from reliableswap.errors import ReliableSwapError
from reliableswap.imaging.light import Light
from reliableswap.imaging.occluders import Occluders, cast

from .aligned import AlignedFace
from .augment import Augmentation, Jitter, flipped
from .cells import decode_mesh, decode_picture
from .mix import Mix
from .row_order import WINDOW, RowOrder
from .samples import Change, Sample, sample_tensors
from .shards import read_about, shards_of, split_of_folder
from .splits import NAMES
from .stored_covers import StoredCovers

_COLUMNS = [f"{kind}{name}" for kind in ("c_", "mesh_") for name in ("a", "b", "ab", "ba")]
_COLUMNS += [f"{kind}_{side}" for kind in ("other", "mesh_other", "identity") for side in "ab"]
_SOURCES = [f"{kind}_{side}" for kind in ("source", "mesh_source") for side in "ab"]  # not in older shards
_SEEN = [
    f"seen_{name}" for name in ("a", "b", "ab", "ba", "other_a", "other_b", "source_a", "source_b")
]  # likewise
_MIRROR = {"a": "b", "ab": "ba", "other_a": "other_b", "source_a": "source_b"}
_MIRROR |= {mirrored: name for name, mirrored in _MIRROR.items()}


class TripletDataset(Dataset[dict[str, Tensor]]):
    """Sample i depends only on the seed and i. There is no last sample: training asks for as many as it needs.

    A sample is what `samples.sample_tensors` describes. `samples.collate` and `complete.complete` make a batch of
    samples, which is listed here without its first dimension:

    target, source, truth (3,S,S) in [-1,1]; truth is zero if has_truth is 0
    guidance (4,S,S): the source's texture on the target's mesh in [-1,1], and its validity in [0,1]
    identity_face (3,S,S): the face whose identity is wanted, with nothing pasted on: the truth if it is a photo, else
        the source
    front (1,S,S): the opacity in [0,1] of what was pasted in front of target and truth, which has to stay there
    glasses (4,S,S): what is in front of the generated face when its identity is judged, as a picture in [-1,1] and its
        opacity in [0,1]: what was pasted, the target's glasses, if the wanted identity is that of the source's photo
        the source's glasses and, with `covers` and without truth, what hides the target's face
    face_mask (1,S,S): 1 on the face of the target and of the truth, where nothing was pasted
    mesh (468,3): the target's, in pixels
    has_truth: 0 or 1; kind: an index into KINDS; truth_rows: the samples that have a truth

    mix: how often each kind of sample comes. lanes, batch: see RowOrder; there are fewer lanes if each would have less
    than a batch's rows. alternate: the number of samples in a round; in one round all samples have a truth, in another
    none has, and each lane has both in turn; 0: kinds are mixed. guidance: False leaves it zero, for networks that take
    none. glasses: False leaves out those that are worn, if guidance is left out too. covers: see `glasses` above.
    """

    def __init__(
        self,
        folder: Path | str,
        split: str = "train",
        *,
        mix: Mix | None = None,
        augmentation: Augmentation | None = None,
        seed: int = 0,
        lanes: int = 1,
        batch: int = 1,
        alternate: int = 0,
        guidance: bool = True,
        glasses: bool = True,
        covers: bool = False,
    ) -> None:
        folder = Path(folder)
        self.shards = shards_of(folder, split)
        self.counts = [pq.read_metadata(path).num_rows for path in self.shards]
        if not sum(self.counts):
            raise ReliableSwapError(_no_rows(folder, split))
        self.size = int(read_about(self.shards[0])["settings"]["size"])
        self.mix, self.augmentation = mix or Mix(), augmentation or Augmentation()
        self.seed, self.batch = seed, batch
        # With a batch's rows in each lane, a batch has no row twice unless a new epoch begins within it.
        self.lanes = min(lanes, max(1, sum(self.counts) // max(1, batch)))
        self.alternate, self.guidance, self.glasses, self.covers = alternate, guidance, glasses, covers
        if alternate:
            self.mix.check_alternation()
        self.order = RowOrder(self.counts, seed, self.lanes, batch)
        self._tables: OrderedDict[int, dict[str, pa.ChunkedArray]] = OrderedDict()

    def __len__(self) -> int:
        return 2**31

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([self.seed, 1, i])
        sample = self._augmented(self.sample(i, rng), rng)
        return sample_tensors(sample, self.guidance, self.glasses, self.covers)

    def place(self, i: int) -> tuple[int, int]:
        """Shard and row of sample i."""
        return self.order.place(i)

    def sample(self, i: int, rng: np.random.Generator) -> Sample:
        """Read the faces of sample i as they are stored."""
        kind = self.mix.draw(rng, self._with_truth(i))
        row = self._row(*self.place(i))
        mirrored = bool(rng.random() < 0.5)  # the row's other triplet, whose truth is b's photo

        def face(name: str) -> AlignedFace:
            return _face(row, _MIRROR[name] if mirrored else name)

        has_other = row["other_b" if mirrored else "other_a"].is_valid
        if kind == "vanilla":
            return Sample(kind, face("a"), self._stranger(i, row, rng) or face("b"), None)
        if kind == "naive":
            return Sample(kind, face("a"), face("b"), face("ab"))
        if kind == "reconstruction":
            a = face("a")
            return Sample(kind, a, face("other_a") if has_other and rng.random() < 0.5 else a, a)
        if kind == "real_source" and has_other:
            return Sample(kind, face("ab"), face("other_a"), face("a"))
        made = row.get("source_b" if mirrored else "source_a")
        if kind == "surrogate_source" and made is not None and made.is_valid:
            return Sample(kind, face("ab"), face("source_a"), face("a"))
        return Sample("cycle", face("ab"), face("ba"), face("a"))

    def _with_truth(self, i: int) -> bool | None:
        """Whether sample i has a truth, None if the mix decides.

        Each lane comes again after `period` rounds. If `period` is even, the rounds of a lane are all odd or all even,
        so the order is reversed with each cycle of lanes.
        """
        if not self.alternate:
            return None
        round_ = i // self.alternate
        period = self.lanes // math.gcd(self.lanes, self.alternate // self.batch)
        return (round_ if period % 2 else round_ + round_ // period) % 2 == 1

    def _stranger(self, i: int, row: _Row, rng: np.random.Generator) -> AlignedFace | None:
        """With the mix's probability, return a real photo of another row that shows neither of this row's people."""
        if not self.mix.strangers or rng.random() >= self.mix.strangers:
            return None
        other = self._row(*self.order.neighbour(i, rng))
        side = "ab"[int(rng.integers(2))]
        if other[f"identity_{side}"].as_py() in {row["identity_a"].as_py(), row["identity_b"].as_py()}:
            return None
        return _face(other, side)

    def _augmented(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Mirror all faces or none. Target and truth get the same colours, light and occluder, the source others."""
        target, source, truth = sample.target, sample.source, sample.truth
        if rng.random() < self.augmentation.flip:
            target, source, truth = flipped(target), flipped(source), truth and flipped(truth)
        theirs, ours = Jitter.draw(self.augmentation, rng), Jitter.draw(self.augmentation, rng)
        lights = [Light.draw(rng) if rng.random() < self.augmentation.light else None for _ in range(2)]
        changes = [
            self._occluded(face, Change(jitter, light), rng)
            for face, jitter, light in ((target, theirs, lights[0]), (source, ours, lights[1]))
        ]
        return Sample(sample.kind, target, source, truth, *changes)

    def _occluded(self, face: AlignedFace, change: Change, rng: np.random.Generator) -> Change:
        """Put something in front at the rate `occluded`; it has the picture's colours but not its uneven light."""
        if rng.random() >= self.augmentation.occluded:
            return change
        occluder = self.occluders.draw(change.jitter(face.crop), face.mesh, rng)
        seed = int(rng.integers(2**31))
        return replace(change, overlay=cast(occluder, np.random.default_rng(seed)))

    @cached_property
    def occluders(self) -> Occluders:
        """What augmentation puts in front of faces."""
        return Occluders(self.augmentation.occluders)

    def _columns(self, shard: int) -> list[str]:
        """The columns to read of a shard, if it has them: source surrogates only if the mix uses them."""
        there = set(pq.read_schema(self.shards[shard]).names)
        wanted = [*_SEEN, *(_SOURCES if self.mix.surrogate_source else ())]
        return [*_COLUMNS, *(name for name in wanted if name in there)]

    @cached_property
    def knows_covers(self) -> bool:
        """Whether what covers a face is stored with it. If not, finding it takes most of a sample's time."""
        first = next(shard for shard, count in zip(self.shards, self.counts, strict=True) if count)
        if "seen_a" not in pq.read_schema(first).names:
            return False
        column = pq.read_table(first, columns=["seen_a"]).column(0)
        return column.null_count < len(column)

    def _row(self, shard: int, row: int) -> _Row:
        if shard not in self._tables:
            table = pq.read_table(self.shards[shard], columns=self._columns(shard))
            self._tables[shard] = dict(zip(table.column_names, table.columns, strict=True))
        self._tables.move_to_end(shard)
        while len(self._tables) > WINDOW:
            self._tables.popitem(last=False)
        return _Row(self._tables[shard], row)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the open shards: worker processes open their own."""
        return {**self.__dict__, "_tables": OrderedDict()}


@dataclass(frozen=True, eq=False)
class _Row:
    """One row of a shard, whose cells are read on access."""

    columns: Mapping[str, pa.ChunkedArray]
    number: int

    def __getitem__(self, name: str) -> Any:
        return self.columns[name][self.number]

    def get(self, name: str) -> Any:
        """Return the cell, or None if there is no such column."""
        return self[name] if name in self.columns else None


def _face(row: _Row, name: str) -> AlignedFace:
    picture = row[name if name.startswith(("other", "source")) else f"c_{name}"]
    mesh = decode_mesh(row[f"mesh_{name}"].values.to_numpy())
    seen = row.get(f"seen_{name}")
    return AlignedFace(
        decode_picture(picture["bytes"].as_buffer()),
        mesh,
        stored_covers=StoredCovers(seen["bytes"].as_buffer()) if seen is not None and seen.is_valid else None,
    )


def _no_rows(folder: Path, split: str) -> str:
    """Explain why there is nothing to learn from, and what to do."""
    shares = split_of_folder(folder)
    rows = {name: sum(pq.read_metadata(s).num_rows for s in shards_of(folder, name)) for name in NAMES}
    found = ", ".join(f"{name} {count}" for name, count in rows.items())
    what = f"no rows of split {split} in {folder}, which was made with --split {shares} (rows: {found})"
    if shards_of(folder, split):
        return f"{what}: the filter dropped all of its pairs; make triplets with looser limits or from more photos"
    return (
        f"{what}: a split needs two people, and too few fell into this one; make triplets of more people or with a "
        "larger share for it, for example --split 80/20/0, or do without this split"
    )
