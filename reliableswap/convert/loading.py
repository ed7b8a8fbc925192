"""Load a checkpoint's tensors into our network, completely or not at all."""

from __future__ import annotations

from pathlib import Path

from reliableswap.errors import WeightsError
from reliableswap.models.base import Network

from .layout import Layout, Tensors


def load_tensors(network: Network, layout: Layout, tensors: Tensors, path: Path) -> None:
    """Load a checkpoint's tensors into our network; raise with all names that are unknown, missing or misshapen."""
    wanted = network.state_dict()
    ours = {layout.ours(key): key for key in tensors if not layout.is_unused(key)}
    unknown = tuple(theirs for name, theirs in ours.items() if name not in wanted)
    # Old files lack this counter, which does not affect the network's output.
    missing = tuple(
        layout.theirs(name)
        for name in wanted
        if name not in ours and not name.endswith("num_batches_tracked")
    )
    misshapen = tuple(
        f"{theirs} {tuple(tensors[theirs].shape)} instead of {tuple(wanted[name].shape)}"
        for name, theirs in ours.items()
        if name in wanted and tensors[theirs].shape != wanted[name].shape
    )
    problems = {"unknown": unknown, "missing": missing, "wrong shape": misshapen}
    if any(problems.values()):
        listed = "; ".join(f"{what}: {', '.join(keys)}" for what, keys in problems.items() if keys)
        raise WeightsError(f"{path} looks like {layout.variant}, but its tensors differ: {listed}")
    network.load_state_dict({name: tensors[theirs] for name, theirs in ours.items()}, strict=False)
    network.eval()
