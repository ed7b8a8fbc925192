"""Check that our networks give the same outputs as the published ones.

    python benchmarks/parity.py REFERENCE

REFERENCE holds layouts.json (parameter names and shapes of nine published networks, and their inputs) and NAME.npz
(their outputs for weights and inputs made by a fixed rule). Each layout is written as a checkpoint, converted by
`reliableswap.convert`, loaded by `load_network`, and run. One network at a time is in memory.
"""

from __future__ import annotations

import argparse
import gc
import json
import re
import sys
import tempfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from reliableswap.convert.checkpoints import convert
from reliableswap.models import load_network

TOLERANCE = 1e-4  # relative to the output's largest absolute value
KINDS = {
    "simswap": "simswap",
    "aei": "faceshifter",
    "hear": "hear",
    "iresnet50_fixer": "fixer",
    "iresnet": "arcface",
}


def kind_of(name: str) -> str:
    """The converter's kind for a layout."""
    return next(kind for start, kind in KINDS.items() if name.startswith(start))


def ruled_weights(shapes: Iterable[tuple[str, list[int]]]) -> dict[str, Tensor]:
    """Make weights by the reference's rule: noise seeded by each parameter's name."""
    return {name: torch.from_numpy(np.array(ruled(name, tuple(shape)))) for name, shape in shapes}


def ruled(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Make one parameter or buffer by the reference's rule."""
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    r = np.random.RandomState(zlib.crc32(name.encode())).randn(*shape)
    if name.endswith("running_var"):
        r = 0.5 + np.abs(r)
    elif name.endswith("running_mean"):
        r = 0.1 * r
    elif len(shape) == 1:
        r = (1.0 if name.endswith("weight") else 0.0) + 0.1 * r
    else:
        r = r / np.sqrt(np.prod(shape[1:]))
    return r.astype(np.float32)


def ruled_input(rule: str) -> Tensor:
    """Make an input from its line in layouts.json: `image(seed=0, 3, 256, 256)` or `unit vector(seed=1, 512)`."""
    seed, *shape = (int(number) for number in re.findall(r"\d+", rule))
    random = np.random.RandomState(seed)
    if rule.startswith("image"):
        made = random.uniform(-1, 1, (1, *shape))
    else:
        made = random.randn(1, *shape)
        made = made / np.linalg.norm(made)
    return torch.from_numpy(made.astype(np.float32))


@torch.inference_mode()
def run(network: Any, inputs: list[Tensor]) -> np.ndarray:
    """Run a network -> (1,3,H,W) or (1,D), as the published network returns it."""
    made = type(network).__name__
    if made == "IdentityEncoder":
        return network.embed(*inputs).numpy()
    if made == "HearNet":
        return network(*inputs[0].split(3, dim=1)).numpy()
    if made == "FixerNet":
        return network(*inputs).numpy()
    return network(*inputs).image.numpy()


def difference(made: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference relative to the largest expected value; pictures are stored at every fourth pixel."""
    if made.ndim == 4:
        made = made[..., ::4, ::4]
    if made.shape != expected.shape:
        raise ValueError(f"output of shape {made.shape}; the reference has {expected.shape}")
    return float(np.abs(made - expected).max() / np.abs(expected).max())


def check(name: str, layout: dict[str, Any], expected: np.ndarray, workplace: Path) -> tuple[float, str]:
    """Return the relative difference of one converted layout, and the variant that the converter recognised."""
    checkpoint, folder = workplace / f"{name}.safetensors", workplace / name
    save_file(ruled_weights(layout["parameters"]), checkpoint)
    gc.collect()
    converted = convert(kind_of(name), checkpoint, folder)
    checkpoint.unlink()
    network = load_network(folder)
    made = run(network, [ruled_input(rule) for rule in layout["inputs"].values()])
    return difference(made, expected), converted.variant


def check_mobilefacenet(weights: Path, graph: Path, workplace: Path) -> float:
    """Return the relative difference of MobileFaceNet from its ONNX graph, on four noise pictures."""
    import onnxruntime

    convert("mobilefacenet", weights, workplace / "mobilefacenet")
    network = load_network(workplace / "mobilefacenet")
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    mean, std = (torch.tensor(network.config[name]).view(1, 3, 1, 1) for name in ("mean", "std"))
    made, expected = [], []
    for seed in range(4):
        faces = ruled_input(f"image(seed={seed}, 3, 112, 112)")
        made.append(run(network, [faces]))
        graph_input = ((faces + 1) / 2 - mean) / std
        expected += session.run(None, {session.get_inputs()[0].name: graph_input.numpy()})
    return difference(np.concatenate(made), np.concatenate(expected))


def report(relative: float, name: str, variant: str) -> bool:
    """Print one line, and return whether the difference is small enough."""
    good = relative <= TOLERANCE
    print(f"{'ok  ' if good else 'FAIL'}  {relative:8.1e}  {name:18}  {variant}", flush=True)
    return good


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("reference", type=Path, help="folder with layouts.json and the outputs")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="check only these layouts")
    parser.add_argument(
        "--mobilefacenet",
        type=Path,
        nargs=2,
        metavar=("SAFETENSORS", "ONNX"),
        help="check this encoder as well",
    )
    arguments = parser.parse_args()
    layouts = json.loads((arguments.reference / "layouts.json").read_text())
    failed = []
    for name in arguments.only or layouts:
        outputs = np.load(arguments.reference / f"{name}.npz")
        with tempfile.TemporaryDirectory() as workplace:
            relative, variant = check(name, layouts[name], outputs["out"], Path(workplace))
        if not report(relative, name, variant):
            failed.append(name)
        gc.collect()
    if arguments.mobilefacenet:
        with tempfile.TemporaryDirectory() as workplace:
            weights, graph = arguments.mobilefacenet
            relative = check_mobilefacenet(weights, graph, Path(workplace))
        if not report(relative, "mobilefacenet", "against its ONNX graph"):
            failed.append("mobilefacenet")
    if failed:
        print(f"{len(failed)} of the layouts differ by more than {TOLERANCE}: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
