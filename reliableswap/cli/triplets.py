"""`reliableswap triplets`: make training triplets from photos."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from reliableswap.bundled import bundled
from reliableswap.data.cells import EXTENSIONS
from reliableswap.data.encoders import PRECISIONS, EncoderChoice
from reliableswap.data.splits import Split
from reliableswap.errors import ReliableSwapError
from reliableswap.triplets.settings import (
    FilterSettings,
    PairSettings,
    QualitySettings,
    SurrogateSettings,
    TripletSettings,
    Variation,
)

from .common import add_executor_arguments, executor_of, say

_GROUPS = {
    "quality": ("which photos are good enough", QualitySettings),
    "pairing": ("which photos are paired", PairSettings),
    "filter": ("which synthetic faces are good enough", FilterSettings),
    "surrogates": ("how synthetic faces are made, and how often", SurrogateSettings),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options; their defaults are those of TripletSettings."""
    parser.add_argument(
        "photos",
        type=Path,
        metavar="PHOTOS",
        help="a folder or URL (s3://, gs://, hf://) with one sub-folder per person, or a .csv or .parquet table with "
        "columns path and identity",
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="folder or URL for the shards"
    )
    parser.add_argument(
        "--size",
        type=int,
        default=128,
        help="side of the crops in pixels, a multiple of 32, at least 64 (default: 128)",
    )
    parser.add_argument("--pairs", type=int, default=1000, metavar="N", help="pairs to make (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    parser.add_argument(
        "--split", default="90/5/5", help="shares of people in train/validation/test (default: 90/5/5)"
    )
    parser.add_argument(
        "--shard-pairs", type=int, default=256, metavar="N", help="pairs per shard (default: 256)"
    )
    parser.add_argument(
        "--format",
        choices=list(EXTENSIONS),
        default="jpeg",
        help="format of the stored pictures (default: jpeg)",
    )
    parser.add_argument(
        "--no-covers",
        dest="covers",
        action="store_false",
        help="do not store what covers each face: faster, but each training run must detect the covers again",
    )
    parser.add_argument(
        "--girth", type=float, default=0.0, metavar="SHARE",
        help="make jaws thinner or chubbier by up to this share of their width (default: 0)",
    )  # fmt: skip
    parser.add_argument(
        "--target-surrogate",
        default="blend",
        metavar="DIR",
        help="what makes C_ab and C_ba: blend, or the folder of a generator or pipeline, which makes a share of the "
        "pairs (default: blend)",
    )
    parser.add_argument(
        "--flat",
        default="",
        metavar="NAMES",
        help="comma-separated names of sub-folders in which every photo shows a different person",
    )
    parser.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        help="folder in which found faces are cached (default: cache in the output folder)",
    )
    parser.add_argument(
        "--encoder",
        default="bundled",
        metavar="PATH",
        help="encoder of the filter: a from_pretrained folder, an ONNX file, bundled or none (default: bundled)",
    )
    parser.add_argument(
        "--encoder-mean",
        default="0.5",
        metavar="R,G,B",
        help="input mean of an ONNX encoder, for pixels in 0..1 (default: 0.5)",
    )
    parser.add_argument(
        "--encoder-std",
        default="0.5",
        metavar="R,G,B",
        help="input standard deviation of an ONNX encoder, for pixels in 0..1 (default: 0.5)",
    )
    parser.add_argument(
        "--device",
        default="cpu",
        help="device of an encoder loaded from a folder: cpu, cuda or openvino (faster than cpu; default: cpu)",
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="auto",
        help="precision of an encoder loaded from a folder; auto: bfloat16 on CPUs with native bfloat16, else float32",
    )
    parser.add_argument(
        "--workers", type=int, default=1, metavar="N", help="number of processes (default: 1)"
    )
    add_executor_arguments(parser, "bucket of photos and each shard", "in processes on this machine")
    parser.add_argument(
        "--license", default="other", metavar="ID", help="licence in the dataset card (default: other)"
    )
    parser.add_argument(
        "--preview", type=Path, metavar="FILE", help="also write the contact sheet to this file"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    for title, kind in _GROUPS.values():
        group = parser.add_argument_group(title)
        for one in dataclasses.fields(kind):
            if one.type == "bool":
                group.add_argument(_option(one.name), action="store_true", help=one.metadata["help"])
                continue
            group.add_argument(
                _option(one.name),
                type=type(one.default),
                default=one.default,
                metavar="N",
                help=f"{one.metadata['help']} (default: {one.default})",
            )


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def settings_of(arguments: argparse.Namespace) -> TripletSettings:
    """Turn the parsed options into settings."""
    groups: dict[str, Any] = {
        name: kind(**{one.name: getattr(arguments, one.name) for one in dataclasses.fields(kind)})
        for name, (_, kind) in _GROUPS.items()
    }
    girth = abs(arguments.girth)
    return TripletSettings(
        size=arguments.size,
        pairs=arguments.pairs,
        seed=arguments.seed,
        split=Split.parse(arguments.split),
        shard_pairs=arguments.shard_pairs,
        format=arguments.format,
        covers=arguments.covers,
        variation=Variation(girth=(-girth, girth)),
        **groups,
    )


def run(arguments: argparse.Namespace) -> int:
    """Make the triplets, and report what became of the pairs on stderr."""
    try:
        from reliableswap.triplets.factory import make_triplets
        from reliableswap.triplets.surrogates.generator_choice import GeneratorChoice
    except ImportError as error:
        if error.name not in {"pyarrow", "tqdm"}:
            raise
        raise ReliableSwapError(
            f"triplets need {error.name}; run: pip install -e '.[train]' in the repository"
        ) from error
    encoder = None
    if arguments.encoder != "none":
        place = bundled("identity") if arguments.encoder == "bundled" else Path(arguments.encoder)
        mean, std = _three(arguments.encoder_mean), _three(arguments.encoder_std)
        encoder = EncoderChoice(place, mean, std, arguments.device, arguments.precision)
    generator = None
    if arguments.target_surrogate != "blend":
        generator = GeneratorChoice(Path(arguments.target_surrogate), arguments.device)
    report = make_triplets(
        arguments.photos,
        arguments.output,
        settings_of(arguments),
        flat=[name for name in arguments.flat.split(",") if name],
        cache=arguments.cache,
        encoder=encoder,
        generator=generator,
        workers=arguments.workers,
        executor=executor_of(arguments),
        licence=arguments.license,
        preview=arguments.preview,
        progress=not arguments.quiet,
    )
    drops = ", ".join(f"{reason} {n}" for reason, n in report.drops.most_common() if n) or "none"
    photos = ", ".join(f"{reason} {n}" for reason, n in report.photos.most_common()) or "none"
    makers = ", ".join(f"{name} {n}" for name, n in report.pairs_by_maker.most_common()) or "none"
    sources = ""
    if report.source_counts:
        kept, failed = report.source_counts["kept"], report.source_counts["failed"]
        alike = f" with a mean cosine of {report.source_likeness:.3f} to their photos" if encoder else ""
        sources = f"; source surrogates: {kept} kept{alike}, {failed} given up"
    say(
        f"made {len(report.tallies)} of {report.shards} shards: kept {report.kept} pairs of "
        f"{report.attempts} tried (dropped: {drops}; made by: {makers}{sources}); photos not used: {photos}; "
        f"see {arguments.output / 'README.md'}"
    )
    return 0


def _three(text: str) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) not in (1, 3):
        raise ReliableSwapError(
            f"{text} is neither one number nor three separated by commas, such as 0.485,0.456,0.406"
        )
    return values * (3 // len(values))
