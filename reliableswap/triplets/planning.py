"""Plan a run before its shards are made: which photos are used, and which of them is `a` in each pair."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reliableswap.data.photo_list import PhotoList
from reliableswap.data.records import RecordCache
from reliableswap.data.splits import NAMES
from reliableswap.data.storage import draft_beside, put_draft, write_array, write_text

from .choice import Choice, choose_photos, slots_by_split, split_indices
from .pairing import Members
from .photo_table import write_photo_table
from .records import MEASURES
from .run_plan import FACE, RunPlan
from .settings import TripletSettings


@dataclass(frozen=True)
class Planner:
    """Writes the plan of a run, from complete records, to `folder`, and the table of photos beside it."""

    folder: Path
    photos: PhotoList
    records: RecordCache
    settings: TripletSettings

    @property
    def plan(self) -> RunPlan:
        text = f"{self.records.kind.recipe}\n{self.photos.digest}\n{self.settings.to_json()}"
        return RunPlan(self.folder, hashlib.sha256(text.encode()).hexdigest()[:16], self.records.folder)

    def done(self, _: object = None) -> bool:
        return self.plan.marker.is_file()

    def __call__(self, _: object = None) -> None:
        plan, settings = self.plan, self.settings
        with draft_beside(plan.array("faces")) as draft, draft_beside(plan.array("vectors")) as vectors:
            faces = np.lib.format.open_memmap(draft, "w+", FACE, (len(self.photos),))
            reasons, messages, some = self._read(faces, vectors)
            part = split_indices(settings.split, self.photos.people.to_pylist())
            choice = choose_photos(faces.view(np.recarray), reasons, part[self.photos.person], settings)
            people = {n: len(np.unique(self.photos.person[m])) for n, m in choice.members.items()}
            slots = slots_by_split(people, choice.counts, settings)
            for split, pairs in slots.items():
                self._write_members(plan, split, choice, faces, pairs)
            faces.flush()
            put_draft(draft, plan.array("faces"))
            if some:
                put_draft(vectors, plan.array("vectors"))
        splits = [NAMES[k] for k in part]
        write_photo_table(
            self.folder.parent / "photos.csv", self.photos, faces, choice.reasons, messages, splits
        )
        about = {
            "vectors": some,
            "slots": slots,
            "members": {name: len(members) for name, members in choice.members.items()},
            "dropped": choice.counts,
            "arrays": [self.records.array(bucket).name for bucket in self.records.buckets],
        }
        write_text(plan.marker, json.dumps(about))

    def _write_members(
        self, plan: RunPlan, split: str, choice: Choice, faces: np.ndarray, pairs: int
    ) -> None:
        members = Members.of(
            choice.members[split], faces, self.photos.person, pairs, self.settings.seed, split
        )
        arrays = {"photos": members.photos, "by-person": members.by_person, "first": members.first}
        for name, array in arrays.items():
            write_array(plan.array(f"{split}-{name}"), array)

    def _read(self, faces: np.ndarray, vectors: Path) -> tuple[list[str], list[str], bool]:
        """Fill in the measures of all faces, and write their identity vectors, if any, to the file `vectors`.

        Return the distinct reasons why photos have no face, a message for each photo, and whether there are vectors.
        """
        reasons, messages = [""], [""] * len(self.photos)
        kept: np.memmap | None = None
        for number, (bucket, table) in enumerate(self.records.columns()):
            rows = np.zeros(len(bucket), FACE)
            row = table["row"].to_numpy()
            found = row >= 0
            rows["place"][:, 0], rows["place"][:, 1] = np.where(found, number, -1), row
            if found.any():
                for name in MEASURES:
                    rows[name][found] = table[name].filter(pa.array(found)).to_numpy()
                rows["light"][found] = _vectors(table["light"], found)
                hashes = b"".join(table["hash"].filter(pa.array(found)).to_pylist())
                rows["hash"][found] = np.frombuffer(hashes, np.uint64).reshape(-1, 4)
            for k in np.flatnonzero(~found):
                reason = table["reason"][int(k)].as_py()
                if reason not in reasons:
                    reasons.append(reason)
                rows["why"][k] = reasons.index(reason)
                messages[bucket.photos[k]] = table["message"][int(k)].as_py()
            faces[bucket.photos] = rows
            if table["embedding"].null_count < len(table):
                own = _vectors(table["embedding"], found)
                if kept is None:
                    shape = (len(self.photos), own.shape[1])
                    kept = np.lib.format.open_memmap(vectors, "w+", np.float32, shape)
                kept[bucket.photos[found]] = own
        if kept is not None:
            kept.flush()
        return reasons, messages, kept is not None


def _vectors(column: pa.ChunkedArray, found: np.ndarray) -> np.ndarray:
    """(M,D) the lists of a column in the rows that have a face."""
    lists = column.filter(pa.array(found)).combine_chunks()
    return np.asarray(pc.list_flatten(lists).to_numpy(zero_copy_only=False)).reshape(len(lists), -1)
