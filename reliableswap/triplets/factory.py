"""A run of the factory: photos -> records -> plan -> shards -> card. A stopped run resumes where it was."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from reliableswap.data.encoders import EncoderChoice
from reliableswap.data.photo_list import PhotoList, scan_photos
from reliableswap.data.records import RecordCache, analyser_label
from reliableswap.data.shards import read_about
from reliableswap.data.storage import as_path, remove_stale_drafts
from reliableswap.faces.analysers.base import FaceAnalyser
from reliableswap.faces.analysers.bundled import BundledAnalyser
from reliableswap.jobs.units import Crew, Executor, Rank

from .card import write_card
from .choice import reuse_warning
from .empty_splits import empty_splits
from .plan import Shard, Tally, list_shards
from .planning import Planner
from .records import FaceKind, recipe
from .run_file import begin_run
from .settings import TripletSettings
from .shards import ShardMaker
from .surrogates.generator_choice import GeneratorChoice

logger = logging.getLogger(__name__)

PLAN = "plan"  # folder of what a run decides before it makes shards


@dataclass
class RunReport:
    """What this rank did. photos: number of dropped photos by reason; tallies: those of the shards that it made."""

    shards: int = 0
    photos: Counter[str] = field(default_factory=Counter)
    tallies: list[Tally] = field(default_factory=list)

    @property
    def kept(self) -> int:
        return sum(tally.kept for tally in self.tallies)

    @property
    def attempts(self) -> int:
        return sum(tally.attempts for tally in self.tallies)

    @property
    def drops(self) -> Counter[str]:
        return sum((tally.drops for tally in self.tallies), Counter())

    @property
    def pairs_by_maker(self) -> Counter[str]:
        """Number of kept pairs by the maker of their surrogates."""
        return sum((tally.pairs_by_maker for tally in self.tallies), Counter())

    @property
    def source_counts(self) -> Counter[str]:
        """Number of source surrogates kept, and of those given up because no draw was good enough."""
        return sum((tally.source_counts for tally in self.tallies), Counter())

    @property
    def source_likeness(self) -> float:
        """The mean cosine of the kept source surrogates with their photos; 0 without an encoder."""
        return sum(tally.source_cosine_sum for tally in self.tallies) / max(self.source_counts["kept"], 1)

    @property
    def seconds(self) -> dict[str, float]:
        """CPU seconds by step."""
        steps = dict.fromkeys(step for tally in self.tallies for step in tally.seconds)
        return {step: sum(tally.seconds.get(step, 0.0) for tally in self.tallies) for step in steps}


def make_triplets(
    photos: Path,
    output: Path,
    settings: TripletSettings | None = None,
    *,
    flat: Collection[str] = (),
    cache: Path | None = None,
    analyser: Callable[[], FaceAnalyser] = BundledAnalyser,
    encoder: EncoderChoice | None = None,
    generator: GeneratorChoice | None = None,
    workers: int = 1,
    rank: Rank | None = None,
    executor: Executor | None = None,
    licence: str = "other",
    preview: Path | None = None,
    patience: float = 60.0,
    progress: bool = True,
) -> RunReport:
    """Turn photos into shards of triplets below `output`, and return what this rank did.

    The same settings and photos give the same shards, whatever the number of workers and ranks and wherever an earlier
    run was stopped. `analyser` is called once in each process that analyses photos.

    `photos`, `output`, `cache` and `preview` may be URLs (s3://, gs://, hf://). Every rank must be able to reach photos
    and output.

    Args:
        executor: makes this rank's units of work (default: `workers` local processes).
        flat: names of sub-folders in which every photo shows a different person.
        cache: folder of the photos' records (default: `cache` in `output`).
        encoder: without one, the filter ignores identity.
        generator: makes the surrogates of a share of the pairs (default: the blend makes all).
        preview: also write the contact sheet to this file.
        patience: seconds without progress after which this rank takes over other ranks' work; see Crew.
    """
    began = time.time()
    settings = settings or TripletSettings()
    output = as_path(output)
    crew: Crew[Any] = Crew(rank or Rank.from_environment(), workers, patience, executor=executor)
    show = progress and crew.rank.first
    analyser_name, encoder_name = analyser_label(analyser()), encoder.load().label if encoder else None
    made_with = {"analyser": analyser_name, "encoder": encoder_name}
    if generator is not None:
        made_with["generator"] = generator.load().label
    listed = _list_once(
        photos, flat, output, crew, lambda found: begin_run(output, settings, found, made_with)
    )

    kind = FaceKind(
        recipe(settings.size, settings.pad, analyser_name, encoder_name),
        settings.size,
        settings.pad,
        analyser,
        encoder,
    )
    records = RecordCache(as_path(cache) if cache else output / "cache", kind, listed)
    records.complete(crew, progress=show)
    planner = Planner(output / PLAN, listed, records, settings)
    crew.once(planner, planner.done)
    plan = planner.plan
    few = reuse_warning(plan.members, plan.slots)
    if few and crew.rank.first:
        logger.warning(few)
    shards = list_shards(plan.slots, settings.shard_pairs)

    maker = ShardMaker(output / "data", settings, plan, encoder, made_with, generator)
    report = RunReport(len(shards), plan.dropped)
    report.tallies = _make_shards(maker, shards, crew, show)
    if crew.rank.first:
        for folder in (maker.folder, records.folder, planner.folder):
            remove_stale_drafts(folder, began)
        sheets = [output / "contact_sheet.jpg", *([as_path(preview)] if preview else [])]
        paths = [maker.path(shard) for shard in shards]
        write_card(output, paths, plan.dropped, len(listed), licence, sheets)
        warning = empty_splits(plan.people, settings.split, plan.slots, _rows_by_split(paths), records.folder)
        if warning:
            logger.warning(warning)
    return report


def _list_once(
    photos: Path, flat: Collection[str], output: Path, crew: Crew[Any], check: Callable[[PhotoList], None]
) -> PhotoList:
    """Return the list of photos, which rank 0 makes and checks at every start.

    All ranks use the list that the run began with, so that they agree on the photos' stamps.
    """
    file = output / PLAN / "photos.arrow"

    def make() -> None:
        listed = scan_photos(photos, flat)
        check(listed)
        if not file.is_file() or PhotoList.open(file).digest != listed.digest:
            listed.save(file)

    if crew.rank.first:
        make()
    else:
        crew.once(make, file.is_file)
    listed = PhotoList.open(file)
    check(listed)
    return listed


def _make_shards(maker: ShardMaker, shards: Sequence[Shard], crew: Crew[Shard], show: bool) -> list[Tally]:
    """Make this rank's shards; the first rank then waits for the others', since the card counts them all."""
    todo = sum(s.stop - s.start for s in crew.mine(shards) if not maker.done(s))
    tallies = []
    drops: Counter[str] = Counter()
    with tqdm(total=todo, desc="pairs", unit=" pairs", disable=not show or not todo) as bar:
        for tally in crew.make_own(maker, shards, maker.done):
            tallies.append(tally)
            drops.update(tally.drops)
            bar.set_postfix_str(", ".join(f"{reason} {n}" for reason, n in drops.most_common(3) if n))
            bar.update(tally.shard.stop - tally.shard.start)
    if crew.rank.first:
        tallies += crew.wait_for_others(maker, shards, maker.done)
    return tallies


def _rows_by_split(shards: Sequence[Path]) -> Counter[str]:
    rows: Counter[str] = Counter()
    for about in map(read_about, shards):
        rows[about["split"]] += about["kept"]
    return rows
