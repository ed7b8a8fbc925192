"""Shared by the commands on photos: options, argument types, and loading of the pipeline."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from reliableswap.errors import ReliableSwapError
from reliableswap.lazy import gc_paused
from reliableswap.runtime.exported import is_exported

from .quick_start import import_diffusers

if TYPE_CHECKING:
    from reliableswap.jobs.units import Executor
    from reliableswap.pipelines.calls import SwapCalls
    from reliableswap.pipelines.exported import ExportedPipeline
    from reliableswap.pipelines.image import ReliableSwapPipeline


def say(text: str) -> None:
    """Print progress and facts to stderr; stdout is for the answer alone."""
    print(text, file=sys.stderr, flush=True)


def add_photo_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of every command that works on photos with a pipeline."""
    parser.add_argument(
        "--pipeline",
        metavar="DIR",
        help="a pipeline folder, an exported folder or a Hub id (default: the bundled pipeline)",
    )
    parser.add_argument(
        "--analyser",
        choices=("bundled", "insightface"),
        default="bundled",
        help="face detector and mesh network (default: bundled); insightface needs the extra of that name",
    )
    parser.add_argument(
        "--insightface-pack",
        default="buffalo_l",
        metavar="NAME",
        help="InsightFace's model pack, a name or a folder (default: buffalo_l)",
    )
    parser.add_argument(
        "--insightface-root",
        default="~/.insightface",
        metavar="DIR",
        help="where InsightFace keeps its packs (default: ~/.insightface)",
    )
    parser.add_argument("--device", help="cpu, openvino, onnx, cuda, cuda:1 or mps (default: cpu)")
    parser.add_argument(
        "--max-megapixels",
        type=megapixels,
        default=100.0,
        metavar="N",
        help="refuse larger pictures (default: 100)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing output")
    parser.add_argument("--json", action="store_true", help="print a report as JSON")


def add_person_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --person and --trained: a person with a decoder of their own, in place of a source."""
    parser.add_argument(
        "--person",
        metavar="NAME",
        help="in place of SOURCE: a person trained with `reliableswap train person`",
    )
    add_trained_argument(parser)


def add_trained_argument(parser: argparse.ArgumentParser) -> None:
    """Add --trained: the training that holds people with decoders of their own."""
    parser.add_argument(
        "--trained",
        metavar="DIR",
        help="folder or Hub id of the trained network that knows the person by name (default: the pipeline's)",
    )


def add_signer_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --cert and --key, which sign the results."""
    parser.add_argument(
        "--cert",
        metavar="PEM",
        help="certificate that signs the results (default: $RELIABLESWAP_CERT or a local one)",
    )
    parser.add_argument(
        "--key", metavar="PEM", help="the certificate's private key (default: $RELIABLESWAP_KEY)"
    )


def add_executor_arguments(
    parser: argparse._ActionsContainer, units: str, here: str = "in this process"
) -> None:
    """Add --executor and --address. units: what one unit of work is; here: where the work runs without a cluster."""
    parser.add_argument(
        "--executor",
        choices=("processes", "ray"),
        default="processes",
        help=f"where the work runs: {here}, or on a Ray cluster, where each {units} is one unit of work and all nodes "
        "must see the files under the same paths (extra `ray`; default: processes)",
    )
    parser.add_argument(
        "--address",
        default="auto",
        help="HOST:PORT of the Ray cluster; auto: the one on this machine (default: auto)",
    )


def executor_of(arguments: argparse.Namespace) -> Executor | None:
    """Return the executor of --executor, None for this machine. Raise before any work if there is no cluster."""
    if arguments.executor == "processes":
        return None
    from reliableswap.jobs.ray_cluster import RayCluster, connect

    connect(arguments.address)
    return RayCluster(arguments.address)


def load_pipeline(arguments: argparse.Namespace) -> SwapCalls:
    """Load the pipeline of --pipeline, or the bundled one, on --device and with --analyser."""
    exported = is_exported(arguments.pipeline)
    pipe: SwapCalls = _load_exported_pipeline(arguments) if exported else _load_torch_pipeline(arguments)
    if arguments.analyser != "bundled":
        from reliableswap.faces.analysers.insightface import InsightFaceAnalyser

        pipe.analyser = InsightFaceAnalyser(
            arguments.insightface_pack, root=arguments.insightface_root, landmarks=pipe.networks().landmarks
        )
    return pipe


def on_a_node(arguments: argparse.Namespace) -> argparse.Namespace:
    """Return the arguments for loading the pipeline on a cluster node: no quick start, as its process is not ours."""
    return argparse.Namespace(**{**vars(arguments), "quick": False})


@contextmanager
def _importing(arguments: argparse.Namespace) -> Iterator[bool]:
    """Pause the garbage collector during imports in a process that is a command of ours. Yield whether it is one."""
    quick = bool(getattr(arguments, "quick", False))
    with gc_paused() if quick else nullcontext():
        yield quick


def _load_exported_pipeline(arguments: argparse.Namespace) -> ExportedPipeline:
    """Load the pipeline of an exported folder."""
    with _importing(arguments):
        from reliableswap.pipelines.exported import ExportedPipeline

    pipe = ExportedPipeline.from_pretrained(arguments.pipeline)
    if arguments.device not in (None, pipe.form):
        raise ReliableSwapError(
            f"--device {arguments.device} needs torch, but {arguments.pipeline} is an exported folder of the format "
            f"{pipe.form}; leave --device out, or give the pipeline that was exported"
        )
    if getattr(arguments, "trained", None):
        raise ReliableSwapError(
            f"--trained needs torch, but {arguments.pipeline} is an exported folder; give the pipeline that was "
            "exported"
        )
    return pipe


def _load_torch_pipeline(arguments: argparse.Namespace) -> ReliableSwapPipeline:
    """Load the pipeline of a save_pretrained folder or of the Hub, or the bundled one."""
    with _importing(arguments) as quick:
        if quick:
            import_diffusers()
        from reliableswap.pipelines.image import ReliableSwapPipeline

    if arguments.pipeline is None:
        pipe = ReliableSwapPipeline.bundled()
    else:
        pipe = ReliableSwapPipeline.from_pretrained(arguments.pipeline)
    if getattr(arguments, "trained", None):
        from reliableswap.models.comb_autoencoder import CombAutoencoder

        pipe.people = CombAutoencoder.from_pretrained(arguments.trained)
    if arguments.device:
        pipe.on(arguments.device)
    return pipe


def is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def quality(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and 100")
    return value


def fraction(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def megapixels(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text} is not a number of megapixels above 0")
    return value
