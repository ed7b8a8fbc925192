"""What the triplet factory does here: speed by step, scaling, memory, resume, and how good its surrogates are.

    python benchmarks/triplets.py PHOTOS [--flat ffhq128] [--encoder PATH] [--photos 600] [--pairs 96]
    python benchmarks/triplets.py --measure DIR [--rows 300]     # figures of a finished run

The first makes small runs of a sample of the photos in a scratch folder. The second finds the faces of surrogates
again and compares pose and expression with the real photo's.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import hashlib
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from reliableswap.bundled import bundled
from reliableswap.data.cells import decode_mesh, decode_picture
from reliableswap.data.encoders import PRECISIONS, EncoderChoice
from reliableswap.data.jobs import one_thread
from reliableswap.data.photos import list_photos
from reliableswap.data.shards import read_about
from reliableswap.data.splits import Split
from reliableswap.data.triplet_dataset import TripletDataset
from reliableswap.faces.analysers.bundled import BundledAnalyser
from reliableswap.geometry import regions
from reliableswap.triplets.card import mean_similarities
from reliableswap.triplets.factory import RunReport, make_triplets
from reliableswap.triplets.quality import head_angles
from reliableswap.triplets.settings import QualitySettings, TripletSettings

SHARD = 16  # pairs: small ones, where shards are what is looked at
MEBI = 2**20


def sample_table(arguments: argparse.Namespace, folder: Path) -> Path:
    """A table of about as many photos as asked for, whole people at a time, spread over the folder."""
    photos = list_photos(arguments.photos_folder, [n for n in arguments.flat.split(",") if n])
    people: dict[str, list] = {}
    for photo in photos:
        people.setdefault(photo.identity, []).append(photo)
    step = max(1, len(photos) // arguments.photos)
    table = folder / "photos.csv"
    with table.open("w", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(["path", "identity"])
        for name in sorted(people, key=lambda n: hashlib.md5(n.encode()).digest())[::step]:
            out.writerows((photo.path.resolve(), photo.identity) for photo in people[name])
    return table


def settings_for(size: int, pairs: int, shard_pairs: int) -> TripletSettings:
    """One split, so that all shards are alike; at larger sizes small photos are let in, for their speed."""
    quality = QualitySettings(max_enlargement=np.inf, min_sharpness=0.0) if size > 128 else QualitySettings()
    return TripletSettings(
        size=size, pairs=pairs, shard_pairs=shard_pairs, split=Split(100, 0, 0), quality=quality
    )


@dataclasses.dataclass(frozen=True)
class Job:
    """One run in a process of its own."""

    table: Path
    output: Path
    cache: Path
    size: int
    pairs: int
    encoder: EncoderChoice | None
    workers: int = 1
    shard_pairs: int = SHARD

    def __call__(self) -> RunReport:
        return make_triplets(
            self.table,
            self.output,
            settings_for(self.size, self.pairs, self.shard_pairs),
            cache=self.cache,
            encoder=self.encoder,
            workers=self.workers,
            progress=False,
        )


def _run(job: Job, queue: Any) -> None:
    start = time.perf_counter()
    report = job()
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    queue.put((time.perf_counter() - start, peak * 1024, report))


def run(job: Job) -> tuple[float, int, RunReport]:
    """Wall seconds, peak bytes of its largest process, and the report."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    child = context.Process(target=_run, args=(job, queue))
    child.start()
    answer = queue.get()
    child.join()
    return answer


def speed(job: Job) -> None:
    """Surrogates a second of processor time in the long run, and where the time goes: what three times the pairs take
    longer than once, so that loading networks and reading records are not in it."""
    reports = [
        run(
            dataclasses.replace(
                job,
                pairs=times * job.pairs,
                output=job.output.with_name(f"{job.output.name}-{times}"),
                shard_pairs=TripletSettings().shard_pairs,  # what users get
            )
        )[2]
        for times in (1, 4)
    ]
    few, many = reports
    swaps = 2 * (many.attempts - few.attempts)
    seconds = {step: many.seconds[step] - few.seconds[step] for step in many.seconds}
    total = sum(seconds.values())
    rates = f"{swaps / total:.0f} surrogates a second a core"
    if "encode" in seconds:
        rates += f", {swaps / (total - seconds['encode']):.0f} without the identity filter"
    shares = ", ".join(f"{step} {value / total:.0%}" for step, value in seconds.items())
    first = 2 * few.attempts / sum(few.seconds.values())
    print(
        f"{job.size} px: {rates} ({swaps} made; {first:.0f} in the first {few.attempts} pairs, start-up included); "
        f"{shares}",
        flush=True,
    )
    if many.kept:
        with one_thread():
            dataset = TripletDataset(job.output.with_name(f"{job.output.name}-4"))
            dataset[0]
            start = time.process_time()
            for i in range(100):
                dataset[i]
        print(
            f"  training set: {100 / (time.process_time() - start):.0f} samples a second a core", flush=True
        )


def scaling_and_memory(job: Job) -> None:
    """Pairs a second with one and two processes, and the peak of memory."""
    rates, peaks = {}, {}
    for workers in (1, 2):
        for times in (1, 4):
            longer = dataclasses.replace(
                job,
                workers=workers,
                pairs=times * job.pairs,
                output=job.output.with_name(f"{job.output.name}-{workers}-{times}"),
            )
            _, peaks[workers, longer.pairs], _ = run(longer)
        rates[workers] = steady_rate(longer)
    print(
        f"{job.size} px: {rates[1]:.1f} pairs a second with one process, {rates[2]:.1f} with two: "
        f"{rates[2] / rates[1] / 2:.2f} of twice the speed"
    )
    for (workers, pairs), peak in peaks.items():
        print(f"  peak of a process, {workers} process(es), {pairs} pairs: {peak / MEBI:.0f} MiB")


def steady_rate(job: Job) -> float:
    """Pairs a second of a finished run, without start-up: from when every process had its second shard done."""
    times = sorted(path.stat().st_mtime for path in job.output.glob("data/*.parquet"))
    first = 2 * job.workers - 1
    return (len(times) - 1 - first) * job.shard_pairs / (times[-1] - times[first])


def kill_and_resume(job: Job) -> None:
    """SIGKILL in the middle, start again, compare with an uninterrupted run byte by byte."""
    whole = dataclasses.replace(job, output=job.output.with_name("whole"))
    run(whole)
    wanted = digests(whole.output)
    context = multiprocessing.get_context("spawn")
    child = context.Process(target=job)
    child.start()
    while len(digests(job.output)) < len(wanted) // 2 and child.is_alive():
        time.sleep(0.01)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    half = digests(job.output)
    run(job)
    same = digests(job.output) == wanted
    print(
        f"killed with {len(half)} of {len(wanted)} shards done, resumed: {'same bytes' if same else 'DIFFERENT'}"
    )
    if not same:
        sys.exit(1)


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.glob("data/[!.]*.parquet")}


def measure(folder: Path, rows: int) -> None:
    """Identity from the shards; pose and expression of surrogates by finding their faces again."""
    shards = sorted(folder.glob("data/*.parquet"))
    abouts = [read_about(path) for path in shards]
    drops: Counter[str] = Counter()
    for about in abouts:
        drops.update(about["drops"])
    kept, attempts = sum(a["kept"] for a in abouts), sum(a["attempts"] for a in abouts)
    print(f"{kept} pairs, {2 * kept} cycle triplets, of {attempts} pairs tried; dropped: {dict(drops)}")
    cosines = mean_similarities(shards)
    if cosines:
        print("mean cosines: " + ", ".join(f"{name} {value:.3f}" for name, value in cosines.items()))

    analyser = BundledAnalyser()
    columns = ["c_a", "c_b", "c_ab"]
    stored = ["mesh_ab"]
    found: list[dict[str, tuple[float, ...]]] = []
    missed = 0
    errors = []
    per_shard = -(-rows // len(shards))
    with one_thread():
        for path in shards:
            for row in pq.read_table(path, columns=columns + stored).slice(0, per_shard).to_pylist():
                meshes = {}
                for name in columns:
                    faces = analyser(decode_picture(row[name]["bytes"]))
                    if faces:
                        meshes[name] = faces[0].mesh
                if len(meshes) < len(columns):
                    missed += 1
                    continue
                found.append({name: looks(mesh) for name, mesh in meshes.items()})
                goal = decode_mesh(row["mesh_ab"])
                apart = np.linalg.norm((meshes["c_ab"] - goal)[:, :2], axis=1).mean()
                errors.append(apart / regions.face_width(goal))
    print(f"faces found again in {len(found)} rows; not in all pictures of {missed}")
    print(f"stored mesh of C_ab to the mesh found on it: {100 * np.mean(errors):.1f} % of the face's width")
    for k, name in enumerate(("yaw, degrees", "pitch, degrees", "mouth opening", "eye opening")):
        near = np.mean([abs(one["c_ab"][k] - one["c_a"][k]) for one in found])
        far = np.mean([abs(one["c_ab"][k] - one["c_b"][k]) for one in found])
        print(f"  {name}: C_ab to its target C_a {near:.3f}, to its source C_b {far:.3f}")


def looks(mesh: np.ndarray) -> tuple[float, ...]:
    """Yaw, pitch, and how far mouth and eyes are open, as a share of their width."""
    lids = [(159, 145, 33, 133), (386, 374, 362, 263)]
    eyes = [np.linalg.norm(mesh[a] - mesh[b]) / np.linalg.norm(mesh[c] - mesh[d]) for a, b, c, d in lids]
    return (*head_angles(mesh), regions.mouth_opening(mesh), float(np.mean(eyes)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos_folder", nargs="?", type=Path, metavar="PHOTOS")
    parser.add_argument("--flat", default="", help="sub-folders whose photos are all of different people")
    parser.add_argument("--photos", type=int, default=600, help="how many photos to sample, about")
    parser.add_argument("--pairs", type=int, default=400, help="pairs of the shortest run")
    parser.add_argument("--sizes", default="128,256")
    parser.add_argument(
        "--encoder",
        default="bundled",
        help="the filter's: a folder or ONNX file, bundled (the default) or none",
    )
    parser.add_argument("--precision", choices=PRECISIONS, default="auto")
    parser.add_argument("--device", default="cpu", help="the encoder's: cpu or openvino")
    parser.add_argument("--encoder-mean", default="0.485,0.456,0.406")
    parser.add_argument("--encoder-std", default="0.229,0.224,0.225")
    parser.add_argument("--skip-scaling", action="store_true", help="only speed, and kill and resume")
    parser.add_argument("--measure", type=Path, metavar="DIR", help="only figures of a finished run")
    parser.add_argument("--rows", type=int, default=300, help="rows that --measure looks at, about")
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.measure, arguments.rows)
        return
    if arguments.photos_folder is None:
        parser.error("give a folder of photos, or --measure DIR")
    mean, std = (
        tuple(map(float, text.split(","))) for text in (arguments.encoder_mean, arguments.encoder_std)
    )
    encoder = None
    if arguments.encoder != "none":
        place = bundled("identity") if arguments.encoder == "bundled" else Path(arguments.encoder)
        encoder = EncoderChoice(place, mean, std, arguments.device, arguments.precision)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        table = sample_table(arguments, folder)
        for size in map(int, arguments.sizes.split(",")):
            cache = folder / f"cache-{size}"
            job = Job(table, folder / f"first-{size}", cache, size, SHARD, encoder)
            run(job)  # finds the faces, which is not what is measured
            job = dataclasses.replace(job, pairs=arguments.pairs, output=folder / f"speed-{size}")
            speed(job)
            if not arguments.skip_scaling:
                scaling_and_memory(dataclasses.replace(job, output=folder / f"scale-{size}"))
        kill_and_resume(dataclasses.replace(job, output=folder / "killed"))


if __name__ == "__main__":
    main()
