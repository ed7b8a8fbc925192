"""Measure the surrogates of a finished run of the triplet factory: identity, pose and expression.

    python benchmarks/triplet_quality.py DIR [--rows 300]

Faces are found again in the surrogates, and compared with those of the real photos.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from reliableswap.data.cells import decode_mesh, decode_picture
from reliableswap.data.shards import read_about, shards_of
from reliableswap.faces.analysers.bundled import BundledAnalyser
from reliableswap.geometry import regions
from reliableswap.jobs.units import one_thread
from reliableswap.triplets.card import mean_similarities
from reliableswap.triplets.quality import head_angles

PICTURES = ("c_a", "c_b", "c_ab")


@dataclass
class Found:
    """What was found in the surrogates. looks: of each picture of a row; errors: distances of C_ab's stored mesh to the
    found one, by face width; missed: rows without a face in one of the pictures."""

    looks: list[dict[str, tuple[float, ...]]] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    missed: int = 0


def find_again(shards: Sequence[Path], rows: int) -> Found:
    """Find the faces of about `rows` rows, spread over all shards."""
    analyser, found = BundledAnalyser(), Found()
    per_shard = -(-rows // len(shards))
    for shard in shards:
        table = pq.read_table(shard, columns=[*PICTURES, "mesh_ab"]).slice(0, per_shard)
        for row in table.to_pylist():
            faces = {name: analyser(decode_picture(row[name]["bytes"])) for name in PICTURES}
            if not all(faces.values()):
                found.missed += 1
                continue
            found.looks.append({name: looks(some[0].mesh) for name, some in faces.items()})
            goal = decode_mesh(row["mesh_ab"])
            apart = np.linalg.norm((faces["c_ab"][0].mesh - goal)[:, :2], axis=1).mean()
            found.errors.append(float(apart / regions.face_width(goal)))
    return found


def print_stored(shards: Sequence[Path]) -> None:
    """Print the counts and cosines that the shards store."""
    abouts = [read_about(path) for path in shards]
    drops: Counter[str] = Counter()
    for about in abouts:
        drops.update(about["drops"])
    kept, attempts = sum(a["kept"] for a in abouts), sum(a["attempts"] for a in abouts)
    print(f"{kept} pairs, {2 * kept} cycle triplets, of {attempts} pairs tried; dropped: {dict(drops)}")
    cosines = mean_similarities(shards)
    if cosines:
        print("mean cosines: " + ", ".join(f"{name} {value:.3f}" for name, value in cosines.items()))


def print_found(found: Found) -> None:
    """Print how far pose and expression of C_ab are from those of its target and of its source."""
    print(f"faces found again in all pictures of {len(found.looks)} rows, but not of {found.missed} others")
    print(
        f"stored mesh of C_ab to the mesh found on it: {100 * np.mean(found.errors):.1f} % of the face's width"
    )
    for k, name in enumerate(("yaw, degrees", "pitch, degrees", "mouth opening", "eye opening")):
        near = np.mean([abs(one["c_ab"][k] - one["c_a"][k]) for one in found.looks])
        far = np.mean([abs(one["c_ab"][k] - one["c_b"][k]) for one in found.looks])
        print(f"  {name}: C_ab to its target C_a {near:.3f}, to its source C_b {far:.3f}")


def looks(mesh: np.ndarray) -> tuple[float, ...]:
    """Yaw, pitch, and how far mouth and eyes are open, as a share of their width."""
    lids = [(159, 145, 33, 133), (386, 374, 362, 263)]
    eyes = [np.linalg.norm(mesh[a] - mesh[b]) / np.linalg.norm(mesh[c] - mesh[d]) for a, b, c, d in lids]
    return (*head_angles(mesh), regions.mouth_opening(mesh), float(np.mean(eyes)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder that `reliableswap triplets` wrote")
    parser.add_argument(
        "--rows", type=int, default=300, help="approximate number of rows to examine (default: 300)"
    )
    arguments = parser.parse_args()
    shards = shards_of(arguments.folder, "*")
    if not shards:
        parser.error(f"{arguments.folder} holds no triplets (no data/*.parquet)")
    print_stored(shards)
    with one_thread():
        print_found(find_again(shards, arguments.rows))


if __name__ == "__main__":
    main()
