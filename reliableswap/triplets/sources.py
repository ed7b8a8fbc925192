"""The source surrogates of a pair, drawn until they pass the filter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reliableswap.data.encoders import Encoder

from .pairing import Pair, Pairing
from .plan import Tally
from .run_plan import RunPlan
from .settings import TripletSettings
from .surrogates.source import SourceSurrogate, make_source_surrogate


@dataclass(frozen=True, eq=False)
class Source:
    """A source surrogate and the cosine of its identity with its photo's; None without an encoder."""

    surrogate: SourceSurrogate
    similarity: float | None


@dataclass(frozen=True)
class SourceMaker:
    """Makes the source surrogates of a split's pairs."""

    plan: RunPlan
    settings: TripletSettings
    pairing: Pairing
    encoder: Encoder | None

    def make(self, pair: Pair, slot: int, attempt: int, tally: Tally) -> dict[str, Source]:
        """Return the surrogates of a and b by side, without those of which no draw was good enough."""
        found = {}
        for number, (side, photo) in enumerate((("a", pair.a), ("b", pair.b))):
            source = self._draw(photo, self.pairing.rng(slot, attempt, purpose=3 + number))
            tally.source_counts["kept" if source else "failed"] += 1
            if source is not None:
                found[side] = source
                tally.source_cosine_sum += source.similarity or 0.0
        return found

    def _draw(self, photo: int, rng: np.random.Generator) -> Source | None:
        """Return the first draw that keeps the identity and folds little of the mesh, or None."""
        settings = self.settings
        face = self.plan.face(photo)
        for _ in range(settings.surrogates.source_tries):
            other = self.plan.face(self.pairing.another_photo(photo, rng))
            made = make_source_surrogate(face, other, settings.size, settings.sources, rng)
            if made.folded > settings.filter.max_folded:
                continue
            similarity = self._similarity(made, photo)
            if similarity is None or similarity >= settings.filter.min_source_kept:
                return Source(made, similarity)
        return None

    def _similarity(self, made: SourceSurrogate, photo: int) -> float | None:
        if self.encoder is None or self.plan.vectors is None:
            return None
        return float(self.encoder([made.face.crop])[0] @ self.plan.vectors[photo])
