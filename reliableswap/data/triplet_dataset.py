"""Shards -> training samples: target, source, guidance, ground truth. Sample i follows from the seed and i alone."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor
from torch.utils.data import Dataset

from reliableswap.errors import ReliableSwapError
from reliableswap.faces.glasses import bundled_glasses
from reliableswap.faces.visibility import find_glasses
from reliableswap.geometry import regions
from reliableswap.swap.guidance import carried_glasses, guidance_texture
from reliableswap.triplets.surrogates import AlignedFace

from .augment import Augmentation, Jitter, flipped, recoloured
from .storage import decode_mesh, decode_picture, read_about

KINDS = ("cycle", "naive", "real_source", "reconstruction", "vanilla")
_WINDOW = 4  # shards whose rows are mixed
_SWAPPED = {"a": "b", "b": "a", "ab": "ba", "ba": "ab", "other_a": "other_b", "other_b": "other_a"}


@dataclass(frozen=True)
class Mix:
    """How often each kind comes, relative to the others. C_ab has the attributes of a and the identity of b.

    cycle           target C_ab, source C_ba, truth C_a
    naive           target C_a, source C_b, truth C_ab: the ground truth is synthetic
    real_source     target C_ab, source another real photo of a, truth C_a; of a person with one photo only: cycle
    reconstruction  target C_a, source C_a or, half the time, another photo of a if there is one; truth C_a
    vanilla         target C_a, source C_b, no truth

    Partners were chosen alike in pose and light, so that their surrogates are good. That is not needed where there is
    no truth: `strangers` is how often a vanilla sample's source is a photo of another row.
    """

    cycle: float = 0.4
    naive: float = 0.0
    real_source: float = 0.2
    reconstruction: float = 0.1
    vanilla: float = 0.3
    strangers: float = 0.0

    @property
    def shares(self) -> np.ndarray:
        """(5,) in the order of KINDS, sum 1."""
        weights = np.array([getattr(self, kind) for kind in KINDS], np.float64)
        if weights.min() < 0 or weights.sum() <= 0:
            raise ReliableSwapError(
                f"the mix is {dataclasses.asdict(self)}; give weights of which one is above 0"
            )
        return np.asarray(weights / weights.sum())


@dataclass(frozen=True, eq=False)
class Sample:
    """The faces of one training sample, before they become tensors."""

    kind: str
    target: AlignedFace
    source: AlignedFace
    truth: AlignedFace | None


@dataclass(frozen=True, eq=False)
class _Order:
    """rows (N,2): shard and row by position. Those of one window, from bounds[k] to bounds[k+1], are read together."""

    rows: np.ndarray
    bounds: np.ndarray

    def at(self, position: int) -> tuple[int, int]:
        shard, row = self.rows[position]
        return int(shard), int(row)

    def neighbour(self, position: int, rng: np.random.Generator) -> int:
        """Any position of the same window."""
        window = int(np.searchsorted(self.bounds, position, side="right")) - 1
        return int(rng.integers(self.bounds[window], self.bounds[window + 1]))


class TripletDataset(Dataset[dict[str, Tensor]]):
    """Sample i: target, source, truth (3,S,S) in [-1,1]; guidance, glasses (4,S,S); face_mask (1,S,S); mesh; has_truth;
    kind.

    guidance is the source's texture on the target's mesh in [-1,1], and its validity in [0,1]. glasses is what is worn
    in front of the made face as one judges whose it is, a picture in [-1,1] and how much of it is seen in [0,1]: the
    target's glasses and, where the identity asked for is that of the source's photo, the source's. face_mask is one
    on the face of the target and of the truth. mesh (468,3) is the target's, in pixels. has_truth is 0 or 1, and truth
    is zero where there is none. kind is a position in KINDS.

    There is no end to i, so a training that goes on just asks for the next one. With `lanes` of `batch` samples, batch
    number k reads the shards of lane k mod lanes only: give ranks x workers, and every process streams its own.
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
    ) -> None:
        self.shards = sorted(Path(folder, "data").glob(f"{split}-*.parquet"))
        if not self.shards:
            raise ReliableSwapError(
                f"no shards of split {split} in {Path(folder, 'data')}; make triplets first"
            )
        self.size = int(read_about(self.shards[0])["settings"]["size"])
        self.counts = [pq.read_metadata(path).num_rows for path in self.shards]
        if not sum(self.counts):
            raise ReliableSwapError(
                f"the {len(self.shards)} shards of {folder} hold no rows; loosen the filter"
            )
        filled = sum(count > 0 for count in self.counts)
        if not 1 <= lanes <= filled or batch < 1:
            raise ReliableSwapError(
                f"{lanes} lanes of batches of {batch} can't share {filled} shards; use fewer lanes or smaller shards"
            )
        mix = mix or Mix()
        self.shares, self.strangers = mix.shares, mix.strangers
        if not 0 <= self.strangers <= 1:
            raise ReliableSwapError(f"strangers is {self.strangers}; choose a share from 0 to 1")
        self.augmentation = augmentation or Augmentation()
        self.seed, self.lanes, self.batch = seed, lanes, batch
        self._tables: OrderedDict[int, pa.Table] = OrderedDict()
        self._order = lru_cache(maxsize=2 * lanes)(self._new_order)

    def __len__(self) -> int:
        return 2**31

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([self.seed, 1, i])
        sample = self.sample(i, rng)
        if rng.random() < self.augmentation.flip:
            truth = flipped(sample.truth) if sample.truth else None
            sample = Sample(sample.kind, flipped(sample.target), flipped(sample.source), truth)
        theirs, ours = Jitter.draw(self.augmentation, rng), Jitter.draw(self.augmentation, rng)
        truth = recoloured(sample.truth, theirs) if sample.truth else None
        return self._tensors(
            Sample(sample.kind, recoloured(sample.target, theirs), recoloured(sample.source, ours), truth)
        )

    def place(self, i: int) -> tuple[int, int]:
        """Shard and row of sample i. Every row comes once an epoch of its lane."""
        order, position = self._position(i)
        return order.at(position)

    def _position(self, i: int) -> tuple[_Order, int]:
        block, offset = divmod(i, self.batch)
        turn, lane = divmod(block, self.lanes)
        rows = sum(self.counts[s] for s in self._lane_shards(lane))
        epoch, position = divmod(turn * self.batch + offset, rows)
        return self._order(lane, epoch), position

    def _lane_shards(self, lane: int) -> list[int]:
        filled = [s for s, count in enumerate(self.counts) if count]
        return filled[lane :: self.lanes]

    def _new_order(self, lane: int, epoch: int) -> _Order:
        """Shards in a new order, rows mixed among a few of them at a time."""
        rng = np.random.default_rng([self.seed, 0, lane, epoch])
        shards = rng.permutation(self._lane_shards(lane))
        windows = []
        for start in range(0, len(shards), _WINDOW):
            pieces = [
                np.column_stack([np.full(self.counts[s], s), np.arange(self.counts[s])])
                for s in shards[start : start + _WINDOW]
            ]
            windows.append(rng.permutation(np.concatenate(pieces)))
        return _Order(np.concatenate(windows), np.cumsum([0, *map(len, windows)]))

    def sample(self, i: int, rng: np.random.Generator) -> Sample:
        """The faces of sample i as they are stored."""
        kind = KINDS[int(rng.choice(len(KINDS), p=self.shares))]
        row = self._row(*self.place(i))
        swap = bool(rng.random() < 0.5)  # the mirror triplet: b's photo is the truth

        def face(name: str) -> AlignedFace:
            return _face(row, _SWAPPED[name] if swap else name)

        a, b, ab, ba = face("a"), face("b"), face("ab"), face("ba")
        has_other = row["other_b" if swap else "other_a"].is_valid
        if kind == "vanilla":
            return Sample(kind, a, self._stranger(i, row, rng) or b, None)
        if kind == "naive":
            return Sample(kind, a, b, ab)
        if kind == "reconstruction":
            return Sample(kind, a, face("other_a") if has_other and rng.random() < 0.5 else a, a)
        if kind == "real_source" and has_other:
            return Sample(kind, ab, face("other_a"), a)
        return Sample("cycle", ab, ba, a)

    def _stranger(self, i: int, row: dict[str, Any], rng: np.random.Generator) -> AlignedFace | None:
        """A real photo of another row, now and then, of neither of this one's people."""
        if not self.strangers or rng.random() >= self.strangers:
            return None
        order, position = self._position(i)
        other, side = self._row(*order.at(order.neighbour(position, rng))), "ab"[int(rng.integers(2))]
        if other[f"identity_{side}"].as_py() in {row["identity_a"].as_py(), row["identity_b"].as_py()}:
            return None
        return _face(other, side)

    def _row(self, shard: int, row: int) -> dict[str, Any]:
        if shard not in self._tables:
            columns = [f"{kind}{name}" for kind in ("c_", "mesh_") for name in ("a", "b", "ab", "ba")]
            columns += [f"{kind}_{side}" for kind in ("other", "mesh_other", "identity") for side in "ab"]
            self._tables[shard] = pq.read_table(self.shards[shard], columns=columns)
        self._tables.move_to_end(shard)
        while len(self._tables) > _WINDOW:
            self._tables.popitem(last=False)
        table = self._tables[shard]
        return {name: table.column(name)[row] for name in table.column_names}

    def __getstate__(self) -> dict[str, Any]:
        """Worker processes open their shards themselves."""
        state = {name: value for name, value in self.__dict__.items() if name != "_order"}
        return {**state, "_tables": OrderedDict()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._order = lru_cache(maxsize=2 * self.lanes)(self._new_order)

    def _tensors(self, sample: Sample) -> dict[str, Tensor]:
        shape = (self.size, self.size)
        source, target = sample.source, sample.target
        texture, validity = guidance_texture(
            source.crop, source.mesh, target.crop, target.mesh, bundled_glasses()
        )
        mask = regions.oval(sample.target.mesh, shape)
        truth = torch.zeros(3, *shape)
        if sample.truth is not None:
            mask = np.maximum(mask, regions.oval(sample.truth.mesh, shape))
            truth = _to_tensor(sample.truth.crop)
        return {
            "target": _to_tensor(sample.target.crop),
            "source": _to_tensor(sample.source.crop),
            "guidance": torch.cat([_to_tensor(texture), torch.from_numpy(validity)[None]]),
            "truth": truth,
            "has_truth": torch.tensor(float(sample.truth is not None)),
            "face_mask": torch.from_numpy(mask)[None],
            "glasses": _glasses(sample),
            "mesh": torch.from_numpy(sample.target.mesh.astype(np.float32)),
            "kind": torch.tensor(KINDS.index(sample.kind)),
        }


def _glasses(sample: Sample) -> Tensor:
    """(4,S,S) of a sample: what is worn in front of the made face."""
    target, source = sample.target, sample.source
    shape = target.crop.shape[:2]
    picture, worn = target.crop, find_glasses(target.crop, target.mesh, bundled_glasses())
    if sample.kind in ("vanilla", "naive"):  # otherwise a real photo without them says who the face is
        carried, theirs = carried_glasses(source.crop, source.mesh, target.mesh, shape, bundled_glasses())
        picture = np.where((theirs > worn)[..., None], carried, picture)
        worn = np.maximum(worn, theirs)
    return torch.cat([_to_tensor(picture), torch.from_numpy(worn)[None]])


def _face(row: dict[str, Any], name: str) -> AlignedFace:
    picture = row[name if name.startswith("other") else f"c_{name}"]
    mesh = decode_mesh(row[f"mesh_{name}"].values.to_numpy())
    return AlignedFace(decode_picture(picture["bytes"].as_buffer()), mesh)


def _to_tensor(picture: np.ndarray) -> Tensor:
    """(H,W,3) uint8 -> (3,H,W) float32 in [-1,1]."""
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1))).float().div_(127.5).sub_(1.0)
