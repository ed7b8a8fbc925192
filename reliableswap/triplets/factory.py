"""The run: photos -> records -> pairs -> shards -> card. Stopped at any moment and started again it goes on."""

from __future__ import annotations

import csv
import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import tqdm

from reliableswap import __version__
from reliableswap.data.jobs import Crew, Place
from reliableswap.data.photos import Photo, list_photos
from reliableswap.data.storage import sweep, write_whole
from reliableswap.errors import ReliableSwapError
from reliableswap.faces.analysers.base import FaceAnalyser
from reliableswap.faces.analysers.bundled import BundledAnalyser

from .card import write_card
from .encode import EncoderChoice
from .pairing import Choice, choose_photos, slots_by_split
from .records import RecordMaker, Records, analyser_label, into_buckets, recipe
from .settings import TripletSettings
from .shards import Shard, ShardMaker, Tally, plan

RUN_FILE, PHOTOS_FILE, DATA = "run.json", "photos.csv", "data"


@dataclass
class RunReport:
    """What this rank did: photos by the reason they were dropped for, its shards' tallies."""

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
    def seconds(self) -> dict[str, float]:
        """Processor seconds by step."""
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
    workers: int = 1,
    place: Place | None = None,
    licence: str = "other",
    preview: Path | None = None,
    progress: bool = True,
) -> RunReport:
    """Turn photos into shards of triplets below `output`; returns what this rank did.

    The shards follow from the settings and the photos: not from the workers, the ranks, or where an earlier run was
    stopped. `analyser` is called once in each process that looks at photos.
    """
    began = time.time()
    settings = settings or TripletSettings()
    crew: Crew[Any] = Crew(place or Place.from_environment(), workers)
    show = progress and crew.place.first
    listed = list_photos(photos, flat)
    analyser_name, encoder_name = analyser_label(analyser()), encoder.load().label if encoder else None
    names = {"analyser": analyser_name, "encoder": encoder_name}
    begin_run(output, settings, listed, names)

    maker = RecordMaker(
        cache=cache or output / "cache",
        size=settings.size,
        pad=settings.pad,
        analyser=analyser,
        encoder=encoder,
        recipe=recipe(settings.size, settings.pad, analyser_name, encoder_name),
        buckets=into_buckets(listed),
    )
    make_records(maker, crew, show)
    records = Records(maker, listed)
    choice = choose_photos(records, settings)
    if crew.place.first:
        write_photos(output / PHOTOS_FILE, records, choice, settings)
    shards = plan(slots_by_split(choice, settings), settings.shard_pairs)
    del records

    shard_maker = ShardMaker(output / DATA, settings, maker, listed, encoder, names)
    report = RunReport(len(shards), choice.counts)
    report.tallies = make_shards(shard_maker, shards, crew, show)
    if crew.place.first:
        sweep(output / DATA, began)
        sweep(maker.cache, began)
        sheets = [output / "contact_sheet.jpg", *([preview] if preview else [])]
        write_card(output, [shard_maker.path(s) for s in shards], choice.counts, len(listed), licence, sheets)
    return report


def begin_run(
    output: Path, settings: TripletSettings, photos: Sequence[Photo], names: Mapping[str, str | None]
) -> None:
    """Note what the folder is made of, or check that a run that goes on is still the same run."""
    text = "\n".join(f"{p.name}\t{p.identity}\t{p.bytes}" for p in photos)
    this = {
        "version": __version__,
        "settings": json.loads(settings.to_json()),
        "photos": {"count": len(photos), "sha256": hashlib.sha256(text.encode()).hexdigest()},
        **names,
    }
    path = output / RUN_FILE
    if not path.is_file():
        write_whole(path, lambda draft: draft.write_text(json.dumps(this, indent=1, sort_keys=True) + "\n"))
        return
    before = json.loads(path.read_text())
    changed = ", ".join(sorted(_differences(before, this)))
    if changed:
        raise ReliableSwapError(
            f"{output} was begun with other {changed}; give another output folder (--cache {output / 'cache'} keeps "
            "the work on the photos), or start again as before"
        )


def _differences(before: dict[str, Any], now: dict[str, Any]) -> Iterable[str]:
    for name in before.keys() | now.keys():
        a, b = before.get(name), now.get(name)
        if isinstance(a, dict) and isinstance(b, dict) and name != "photos":
            yield from _differences(a, b)
        elif a != b:
            yield name


def make_records(maker: RecordMaker, crew: Crew[int], show: bool) -> None:
    """Every photo's record, made by all ranks together."""
    todo = sum(len(maker.buckets[b]) for b in crew.mine(list(maker.buckets)) if not maker.done(b))
    with tqdm.tqdm(total=todo, desc="faces", unit=" photos", disable=not show or not todo) as bar:
        for photos in crew.complete(maker, list(maker.buckets), maker.done, wait=True):
            bar.update(photos)


def make_shards(maker: ShardMaker, shards: Sequence[Shard], crew: Crew[Shard], show: bool) -> list[Tally]:
    """This rank's shards; the first rank then waits for the others', since the card counts them all."""
    todo = sum(s.stop - s.start for s in crew.mine(shards) if not maker.done(s))
    tallies = []
    drops: Counter[str] = Counter()
    with tqdm.tqdm(total=todo, desc="pairs", unit=" pairs", disable=not show or not todo) as bar:
        for tally in crew.complete(maker, shards, maker.done, wait=crew.place.first):
            tallies.append(tally)
            drops.update(tally.drops)
            bar.set_postfix_str(", ".join(f"{reason} {n}" for reason, n in drops.most_common(3) if n))
            bar.update(tally.shard.stop - tally.shard.start)
    return tallies


def write_photos(path: Path, records: Records, choice: Choice, settings: TripletSettings) -> None:
    """A table of all photos: split, why one is not used and, for files that can't be read, what was said."""
    columns = ["path", "identity", "split", "dropped", "message", "quality"]
    measured = ["enlargement", "sharpness", "score", "yaw", "pitch", "clipped", "covered"]

    def write(draft: Path) -> None:
        with draft.open("w", newline="", encoding="utf-8") as stream:
            out = csv.writer(stream, lineterminator="\n")
            out.writerow([*columns, *measured])
            for i, photo in enumerate(records.photos):
                split = settings.split.of(photo.identity)
                about = [photo.name, photo.identity, split, choice.dropped.get(i, ""), records.messages[i]]
                measures = records.measures[i]
                values = asdict(measures) if measures else {}
                figures = [choice.quality[i] if measures else None, *(values.get(name) for name in measured)]
                out.writerow([*about, *("" if v is None else f"{v:.4g}" for v in figures)])

    write_whole(path, write)
