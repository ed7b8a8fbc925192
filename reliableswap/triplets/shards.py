"""One shard: pairs chosen, swapped both ways, judged, and written. The slow inner loop of the factory."""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from reliableswap import __version__
from reliableswap.data.photos import Photo
from reliableswap.data.storage import encode_mesh, encode_picture, picture_cell, shard_name, write_shard

from .encode import Encoder, EncoderChoice
from .filter import Likeness, reason_by_identity, reason_by_picture
from .pairing import Pair, Pairing, choose_photos
from .records import RecordMaker, Records
from .settings import TripletSettings
from .surrogates import AlignedFace, Surrogate, draw_recipe, synthesise


@dataclass(frozen=True)
class Shard:
    """Number `number` of `count` shards of a split: slots from start to stop."""

    split: str
    number: int
    count: int
    start: int
    stop: int

    @property
    def name(self) -> str:
        return shard_name(self.split, self.number, self.count)


def plan(slots: Mapping[str, int], shard_pairs: int) -> list[Shard]:
    """All shards of a run."""
    shards = []
    for split, pairs in slots.items():
        count = -(-pairs // shard_pairs)
        for number in range(count):
            start = number * shard_pairs
            shards.append(Shard(split, number, count, start, min(start + shard_pairs, pairs)))
    return shards


@dataclass
class Tally:
    """What became of a shard's pairs, and the processor seconds each step took."""

    shard: Shard
    kept: int = 0
    attempts: int = 0
    drops: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        start = time.process_time()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - start

    def about(self) -> dict[str, Any]:
        """What the shard's file says; without times, which differ from run to run."""
        return {
            "split": self.shard.split,
            "slots": [self.shard.start, self.shard.stop],
            "kept": self.kept,
            "attempts": self.attempts,
            "drops": dict(sorted(self.drops.items())),
        }


@dataclass(frozen=True, eq=False)
class Draft:
    """A pair with both surrogates, without padding, that may still be dropped."""

    slot: int
    pair: Pair
    a: AlignedFace
    b: AlignedFace
    ab: Surrogate
    ba: Surrogate
    reason: str | None


@dataclass(frozen=True)
class Identities:
    """v_id (D,) of the four faces of a pair."""

    a: np.ndarray
    b: np.ndarray
    ab: np.ndarray
    ba: np.ndarray

    @property
    def of_ab(self) -> Likeness:
        return Likeness(float(self.ab @ self.b), float(self.ab @ self.a))

    @property
    def of_ba(self) -> Likeness:
        return Likeness(float(self.ba @ self.a), float(self.ba @ self.b))


@dataclass(frozen=True)
class ShardMaker:
    """Makes one shard from the records, which must be complete."""

    folder: Path
    settings: TripletSettings
    records_maker: RecordMaker
    photos: Sequence[Photo]
    encoder: EncoderChoice | None
    made_with: Mapping[str, Any]  # for the shard's metadata: analyser, encoder

    def path(self, shard: Shard) -> Path:
        return self.folder / shard.name

    def done(self, shard: Shard) -> bool:
        return self.path(shard).is_file()

    def __call__(self, shard: Shard) -> Tally:
        pairing = self._pairing(shard.split)
        tally = Tally(shard)
        rows: dict[int, dict[str, Any]] = {}
        pending = list(range(shard.start, shard.stop))
        for attempt in range(self.settings.pairing.tries):
            drafts = [self._draft(pairing, slot, attempt, tally) for slot in pending]
            tally.attempts += len(drafts)
            good = [draft for draft in drafts if draft.reason is None]
            found = self._identities(good, tally)
            reasons = {draft.slot: draft.reason for draft in drafts}
            for draft, identities in zip(good, found, strict=True):
                reason = self._judge(identities)
                reasons[draft.slot] = reason
                if reason is None:
                    with tally.step("store"):
                        rows[draft.slot] = self._row(shard, pairing, draft, attempt, identities)
            tally.drops.update(reason for reason in reasons.values() if reason is not None)
            pending = [slot for slot, reason in reasons.items() if reason is not None]
            if not pending:
                break
        tally.kept = len(rows)
        tally.drops["given up"] += len(pending)
        about = {"version": __version__, "settings": json.loads(self.settings.to_json()), **self.made_with}
        with tally.step("store"):
            write_shard(self.path(shard), [rows[slot] for slot in sorted(rows)], {**about, **tally.about()})
        return tally

    def __getstate__(self) -> dict[str, Any]:
        lazy = ("_records", "_choice", "_pairings", "_encoder")
        return {name: value for name, value in self.__dict__.items() if name not in lazy}

    @cached_property
    def _records(self) -> Records:
        return Records(self.records_maker, self.photos)

    @cached_property
    def _choice(self) -> Any:
        return choose_photos(self._records, self.settings)

    @cached_property
    def _pairings(self) -> dict[str, Pairing]:
        return {}

    @cached_property
    def _encoder(self) -> Encoder | None:
        return self.encoder.load() if self.encoder else None

    def _pairing(self, split: str) -> Pairing:
        if split not in self._pairings:
            self._pairings[split] = Pairing(self._records, self._choice, self.settings, split)
        return self._pairings[split]

    def _draft(self, pairing: Pairing, slot: int, attempt: int, tally: Tally) -> Draft:
        settings, pad = self.settings, self.settings.pad
        with tally.step("pair"):
            pair = pairing.pair(slot, attempt)
            a, b = self._records.face(pair.a), self._records.face(pair.b)
            rng = pairing.rng(slot, attempt, purpose=1)
            recipes = [draw_recipe(settings.variation, rng) for _ in range(2)]
        with tally.step("synthesise"):
            ab, ba = synthesise(a, b, recipes[0]).inner(pad), synthesise(b, a, recipes[1]).inner(pad)
            a, b = a.inner(pad), b.inner(pad)
        with tally.step("filter"):
            reasons = (
                reason_by_picture(made, self._sharpness(photo), settings.filter)
                for made, photo in ((ab, pair.a), (ba, pair.b))
            )
            reason = next((reason for reason in reasons if reason), None)
        return Draft(slot, pair, a, b, ab, ba, reason)

    def _sharpness(self, photo: int) -> float:
        measures = self._records.measures[photo]
        assert measures is not None
        return measures.sharpness

    def _identities(self, drafts: Sequence[Draft], tally: Tally) -> list[Identities | None]:
        """Of both surrogates of every draft, all in one go: the encoder is quicker with many."""
        known = self._records.embeddings
        if self._encoder is None or known is None or not drafts:
            return [None] * len(drafts)
        with tally.step("encode"):
            found = self._encoder([s.face.crop for draft in drafts for s in (draft.ab, draft.ba)])
        return [
            Identities(known[draft.pair.a], known[draft.pair.b], ab, ba)
            for draft, ab, ba in zip(drafts, found[::2], found[1::2], strict=True)
        ]

    def _judge(self, identities: Identities | None) -> str | None:
        if identities is None:
            return None
        limits = self.settings.filter
        return reason_by_identity(identities.of_ab, limits) or reason_by_identity(identities.of_ba, limits)

    def _row(
        self, shard: Shard, pairing: Pairing, draft: Draft, attempt: int, identities: Identities | None
    ) -> dict[str, Any]:
        pair, form = draft.pair, self.settings.format
        name = f"{shard.split}-{draft.slot:08d}"
        faces = {"c_a": draft.a, "c_b": draft.b, "c_ab": draft.ab.face, "c_ba": draft.ba.face}
        others = {"other_a": pair.other_a, "other_b": pair.other_b}
        row: dict[str, Any] = {"id": name, "attempt": attempt, "version": __version__}
        for key, other in others.items():
            row[f"photo_{key}"] = None if other is None else self.photos[other].name
            if other is not None:
                faces[key] = self._records.face(other).inner(self.settings.pad)
        for key, face in faces.items():
            row[key] = picture_cell(encode_picture(face.crop, form), f"{name}-{key}", form)
            row[f"mesh_{key.removeprefix('c_')}"] = encode_mesh(face.mesh)
        for side, photo in (("a", pair.a), ("b", pair.b)):
            row[f"photo_{side}"] = self.photos[photo].name
            row[f"identity_{side}"] = self.photos[photo].identity
            row[f"quality_{side}"] = float(self._choice.quality[photo])
        for side, surrogate in (("ab", draft.ab), ("ba", draft.ba)):
            row[f"shown_{side}"] = surrogate.shown
            row[f"settings_{side}"] = json.dumps(surrogate.recipe.to_dict())
        if identities is not None:
            row |= {f"v_id_{side}": getattr(identities, side) for side in ("a", "b", "ab", "ba")}
            ab, ba = identities.of_ab, identities.of_ba
            row |= {"ab_to_b": ab.to_source, "ab_to_a": ab.to_target}
            row |= {"ba_to_a": ba.to_source, "ba_to_b": ba.to_target}
        return row
