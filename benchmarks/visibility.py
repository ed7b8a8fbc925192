"""Measure what is found in front of faces, by VisibilityNet and by rules of colour, on photos with label maps.

    python benchmarks/visibility.py PARSING --teachers TEACHERS --labels CACHE --occluders CUTOUTS [--network FOLDER]

The photos are those of people that `reliableswap train visibility` holds out. Every photo is judged as it is, with
glasses painted on it, and with a thing pasted in front; both methods see the same picture and the same mesh. Only
pixels inside the face's outline whose label is certain count.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from reliableswap.bundled import bundled
from reliableswap.faces.glasses import bundled_glasses
from reliableswap.faces.parts import Parts, find_parts
from reliableswap.faces.visibility import find_covers
from reliableswap.geometry import regions
from reliableswap.imaging.degrade import degrade
from reliableswap.imaging.occluders import Occluders, paste
from reliableswap.imaging.painted_glasses import paint_glasses
from reliableswap.models.face_classes import CLASSES
from reliableswap.models.visibility import VisibilityNet
from reliableswap.runtime.torch import inference_copy
from reliableswap.runtime.torch_arrays import TorchArrayNetwork
from reliableswap.training.tasks.faces.part_labels import BIT
from reliableswap.training.tasks.faces.part_records import PartsRecords, labelled_parts
from reliableswap.training.tasks.faces.visibility import COVERING, LabelledCrop

FOREIGN = sum(BIT[name] for name in (*COVERING, "background"))
ROWS = ("rules", "network", "rules, strict", "network, strict")


@dataclass
class Counts:
    """Numbers of pixels, by name: found, true, and both."""

    both: dict[str, int] = field(default_factory=dict)
    found: dict[str, int] = field(default_factory=dict)
    true: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, found: np.ndarray, true: np.ndarray) -> None:
        for table, where in ((self.both, found & true), (self.found, found), (self.true, true)):
            table[name] = table.get(name, 0) + int(np.count_nonzero(where))

    def overlap(self, name: str) -> float:
        """Intersection over union, in percent."""
        either = self.found[name] + self.true[name] - self.both[name]
        return 100 * self.both[name] / max(either, 1)

    def recall(self, name: str) -> float:
        """The share of what is there that was found, in percent."""
        return 100 * self.both[name] / max(self.true[name], 1)


def views(records: PartsRecords, occluders: Occluders, count: int) -> Iterator[tuple[str, LabelledCrop]]:
    """Yield every held-out photo as it is, with glasses, and with something pasted in front, slightly degraded."""
    for row in records.rows(training=False, labelled=True)[:count]:
        entry = records.entries[row]
        rng = np.random.default_rng([0, row])
        plain = LabelledCrop(np.array(entry["crop"]), np.array(entry["sets"]), np.array(entry["mesh"]))
        shown = [("photo", plain)]
        if records.glasses[row] < -1:
            picture, worn = paint_glasses(plain.crop, plain.mesh, rng)
            shown.append(("painted glasses", plain.with_over(picture, worn, "glasses")))
        thing = occluders.draw(plain.crop, plain.mesh, rng)
        over = plain.with_over(
            paste(plain.crop, thing, rng), thing.opacity, "hair" if thing.hair else "front"
        )
        shown.append(("pasted hair" if thing.hair else "pasted thing", over))
        for name, parts in shown:
            yield name, LabelledCrop(degrade(parts.crop, rng, strength=0.4), parts.sets, parts.mesh)


def measure(
    records: PartsRecords, occluders: Occluders, network: VisibilityNet, count: int
) -> dict[str, Counts]:
    """Count pixels for both methods, judging faces as targets and (strictly) as sources; for the network also by
    class."""
    glasses, tables = bundled_glasses(), {name: Counts() for name in (*ROWS, "classes")}
    for view, face in views(records, occluders, count):
        shape = face.crop.shape[:2]
        inside = regions.oval(face.mesh, shape) > 0
        seen = find_parts(face.crop, face.mesh, TorchArrayNetwork(network))
        likeliest = _on(seen, shape)
        for number, name in enumerate(CLASSES):
            sure = ((face.sets & (face.sets - 1)) == 0) & (likeliest >= 0)
            tables["classes"].add(name, sure & (likeliest == number), sure & (face.sets == BIT[name]))
        foreign = (face.sets & FOREIGN) != 0
        known = inside & (foreign != ((face.sets & ~np.uint16(FOREIGN)) != 0))
        for row in ROWS:
            strict, parts = row.endswith("strict"), seen if row.startswith("network") else None
            covers = find_covers(face.crop, face.mesh, glasses, strict=strict, parts=parts)
            hidden, bare = (plane > 0.5 for plane in covers.on(shape))
            table = tables[row]
            table.add("hidden", hidden & known, foreign & known)
            for name in ("hair", "glasses", "front", "background"):
                table.add(f"{view}: {name}", hidden & known, known & (face.sets == BIT[name]))
            for name in ("skin", "beard", "brows", "eyes", "lips", "inner mouth"):
                table.add(f"false on {name}", hidden & known, known & (face.sets == BIT[name]))
            single = known & ((face.sets & (face.sets - 1)) == 0)
            table.add("bare skin", bare & single, single & (face.sets == BIT["skin"]))
    return tables


def _on(parts: Parts, shape: tuple[int, int]) -> np.ndarray:
    """(H,W) the likeliest class of every pixel of the picture; -1 beyond the crop."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    probabilities = [
        cv2.warpAffine(plane, parts.matrix, shape[::-1], flags=flags) for plane in parts.probabilities
    ]
    return np.where(np.sum(probabilities, 0) > 0.99, np.argmax(probabilities, 0), -1)


def report(tables: dict[str, Counts]) -> str:
    """Markdown tables."""
    lines = ["| class | overlap, % | found, % |", "|---|---:|---:|"]
    classes = tables["classes"]
    lines += [f"| {name} | {classes.overlap(name):.1f} | {classes.recall(name):.1f} |" for name in CLASSES]
    first = tables[ROWS[0]]
    lines += ["", f"| pixels inside the outline, % | {' | '.join(ROWS)} |", "|---|" + "---:|" * len(ROWS)]

    def line(label: str, figure: Callable[[Counts], float]) -> str:
        return f"| {label} | " + " | ".join(f"{figure(tables[row]):.1f}" for row in ROWS) + " |"

    lines.append(line("what hides the face: overlap", lambda t: t.overlap("hidden")))
    lines.append(line("bare skin: overlap", lambda t: t.overlap("bare skin")))
    for name in first.true:
        if ": " in name and first.true[name] > 500:
            lines.append(line(f"{name}: found", lambda t, name=name: t.recall(name)))
    for name in first.true:
        if name.startswith("false"):
            lines.append(
                line(name.replace("false on", "wrongly hidden:"), lambda t, name=name: t.recall(name))
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parsing", type=Path)
    parser.add_argument("--teachers", type=Path, required=True)
    parser.add_argument(
        "--labels", type=Path, required=True, help="folder in which the labelled crops are kept"
    )
    parser.add_argument("--occluders", type=Path, help="folder of cut-outs (default: random shapes)")
    parser.add_argument("--network", type=Path, help="folder of a VisibilityNet (default: the bundled one)")
    parser.add_argument("--count", type=int, default=10_000, help="most photos to use (default: %(default)s)")
    options = parser.parse_args()
    records = labelled_parts(options.parsing, options.teachers, options.labels / "parsing", 1)
    network = VisibilityNet.from_pretrained(options.network or bundled("visibility")).eval()
    print(report(measure(records, Occluders(options.occluders), inference_copy(network), options.count)))


if __name__ == "__main__":
    main()
