"""One shard: choose pairs, swap them both ways, judge the surrogates, and write what is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reliableswap import __version__
from reliableswap.data.encoders import Encoder, EncoderChoice
from reliableswap.data.shards import write_shard
from reliableswap.data.storage import FolderListing

from .candidate import Candidate, Identities
from .filter import reason_by_picture
from .pairing import Pairing
from .plan import Shard, Tally
from .row_store import RowStore
from .run_plan import RunPlan
from .settings import TripletSettings
from .sources import Source, SourceMaker
from .surrogates.generator_choice import GeneratorChoice
from .surrogates.target import draw_recipe, synthesise

if TYPE_CHECKING:
    from .surrogates.swapped import GeneratorSwap

# Candidates whose identities are judged together: an encoder takes batches of 16 faces, two for each candidate.
_ENCODED_TOGETHER = 8


@dataclass(frozen=True)
class ShardMaker:
    """Makes the shards of a run's plan, one per call. Few of its faces are in memory at a time.

    made_with: analyser, encoder and generator, for the shard's metadata. generator: makes the surrogates of a share of
    the pairs.
    """

    folder: Path
    settings: TripletSettings
    plan: RunPlan
    encoder: EncoderChoice | None
    made_with: Mapping[str, Any]
    generator: GeneratorChoice | None = None

    def path(self, shard: Shard) -> Path:
        return self.folder / shard.name

    def done(self, shard: Shard) -> bool:
        return shard.name in self._names

    def __call__(self, shard: Shard) -> Tally:
        tally = Tally(shard)
        with RowStore() as rows:
            pending: Sequence[int] = range(shard.start, shard.stop)
            for attempt in range(self.settings.pairing.tries):
                self._attempt(shard, pending, attempt, tally, rows)
                pending = [slot for slot in pending if slot not in rows]
                if not pending:
                    break
            tally.kept = len(rows)
            tally.drops["given up"] += len(pending)
            about = {
                "version": __version__,
                "settings": json.loads(self.settings.to_json()),
                **self.made_with,
            }
            with tally.step("store"):
                write_shard(self.path(shard), rows.rows(), {**about, **tally.about()})
        return tally

    def _attempt(
        self, shard: Shard, slots: Sequence[int], attempt: int, tally: Tally, rows: RowStore
    ) -> None:
        """Make a pair for each slot, and store the rows of those that pass the filter."""
        pairing = self._pairing(shard.split)
        good: list[Candidate] = []
        for slot in slots:
            one = self._candidate(pairing, slot, attempt, tally)
            tally.attempts += 1
            if one.reason is not None:
                tally.drops[one.reason] += 1
                continue
            good.append(one)
            if len(good) == _ENCODED_TOGETHER:
                self._keep(shard, pairing, good, tally, rows)
                good.clear()
        self._keep(shard, pairing, good, tally, rows)

    def _keep(
        self, shard: Shard, pairing: Pairing, candidates: Sequence[Candidate], tally: Tally, rows: RowStore
    ) -> None:
        """Judge the identities of some candidates, and store the rows of those that pass."""
        for one, identities in zip(candidates, self._identities(candidates, tally), strict=True):
            reason = identities.reason(self.settings.filter) if identities else None
            if reason is not None:
                tally.drops[reason] += 1
                continue
            tally.pairs_by_maker[one.ab.made_by] += 1
            with tally.step("source"):
                sources = self._sources(pairing, one, tally)
            with tally.step("store"):
                rows.add(one.slot, self._row(shard.split, one, identities, sources))

    def _candidate(self, pairing: Pairing, slot: int, attempt: int, tally: Tally) -> Candidate:
        settings, pad = self.settings, self.settings.pad
        with tally.step("pair"):
            pair = pairing.pair(slot, attempt)
            a, b = self.plan.face(pair.a), self.plan.face(pair.b)
            rng = pairing.rng(slot, attempt, purpose=1)
            girth_share = settings.surrogates.girth_share
            recipes = [draw_recipe(settings.variation, rng, girth_share) for _ in range(2)]
            make = self._swap if self._by_generator(pairing, slot, attempt) else synthesise
        with tally.step("synthesise"):
            ab, ba = make(a, b, recipes[0]).inner(pad), make(b, a, recipes[1]).inner(pad)
            a, b = a.inner(pad), b.inner(pad)
        with tally.step("filter"):
            reasons = (
                reason_by_picture(made, self._sharpness(photo), settings.filter)
                for made, photo in ((ab, pair.a), (ba, pair.b))
            )
            reason = next((reason for reason in reasons if reason), None)
        return Candidate(slot, attempt, pair, a, b, ab, ba, reason)

    def _by_generator(self, pairing: Pairing, slot: int, attempt: int) -> bool:
        """Whether the generator makes this pair's surrogates."""
        if self.generator is None:
            return False
        share = self.settings.surrogates.target_surrogate_share
        return bool(pairing.rng(slot, attempt, purpose=2).random() < share)

    def _identities(self, candidates: Sequence[Candidate], tally: Tally) -> list[Identities | None]:
        """Encode both surrogates of all candidates together: the encoder is faster on batches."""
        known = self.plan.vectors
        if self._encoder is None or known is None or not candidates:
            return [None] * len(candidates)
        with tally.step("encode"):
            found = self._encoder([made.face.crop for one in candidates for made in (one.ab, one.ba)])
        return [
            Identities(known[one.pair.a], known[one.pair.b], ab, ba)
            for one, ab, ba in zip(candidates, found[::2], found[1::2], strict=True)
        ]

    def _sources(self, pairing: Pairing, one: Candidate, tally: Tally) -> dict[str, Source]:
        """Make the source surrogates of a kept pair, if the settings ask for them."""
        if not self.settings.surrogates.makes_sources:
            return {}
        maker = SourceMaker(self.plan, self.settings, pairing, self._encoder)
        return maker.make(one.pair, one.slot, one.attempt, tally)

    def _row(
        self, split: str, candidate: Candidate, identities: Identities | None, sources: dict[str, Source]
    ) -> dict[str, Any]:
        pair = candidate.pair
        others = {
            name: self.plan.face(photo).inner(self.settings.pad)
            for name, photo in (("other_a", pair.other_a), ("other_b", pair.other_b))
            if photo is not None
        }
        return candidate.row(
            split,
            self.settings.format,
            self.plan.photos,
            self.plan.faces["quality"],
            others,
            identities,
            sources,
            self.settings.covers,
        )

    def _sharpness(self, photo: int) -> float:
        return float(self.plan.faces[photo]["sharpness"])

    def _pairing(self, split: str) -> Pairing:
        if split not in self._pairings:
            self._pairings[split] = self.plan.pairing(split, self.settings)
        return self._pairings[split]

    @cached_property
    def _names(self) -> FolderListing:
        return FolderListing(self.folder)

    @cached_property
    def _pairings(self) -> dict[str, Pairing]:
        return {}

    @cached_property
    def _encoder(self) -> Encoder | None:
        return self.encoder.load() if self.encoder else None

    @cached_property
    def _swap(self) -> GeneratorSwap:
        assert self.generator is not None  # only a generator makes surrogates by swapping
        return self.generator.load()

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the networks and caches: another process loads its own."""
        lazy = ("_names", "_pairings", "_encoder", "_swap")
        return {name: value for name, value in self.__dict__.items() if name not in lazy}
