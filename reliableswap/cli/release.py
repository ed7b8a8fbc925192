"""Put trained networks among those that ship: `python -m reliableswap.cli.release detector=runs/detector ...`.

Each is written as float16 safetensors into `reliableswap/weights/NAME`, with the card its training wrote, and
model_index.json is made anew, so that the folder is itself a pipeline that `from_pretrained` loads. `glasses` lies
beside the pipeline: the blend room asks it, with any pipeline.

`generator=runs/second+runs/first` ships the mean of the weights of two runs, of which one started from the other, with
the card of the one named first: what one of them gained and the other lost, the mean often has (Wortsman et al. 2022).
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from reliableswap.bundled import WEIGHTS
from reliableswap.errors import ReliableSwapError
from reliableswap.models import load_network
from reliableswap.models.base import Network
from reliableswap.pipelines.image import ReliableSwapPipeline

COMPONENTS = ("detector", "landmarks", "identity", "fixer", "generator")
BESIDE = ("glasses",)
LICENSE_NAME = "non-commercial-research"  # as weights/LICENSE says: the photos' terms
LARGEST = 60 * 2**20  # all together, so that a clone stays a clone


def bundle(networks: Mapping[str, Path | Sequence[Path]], weights: Path = WEIGHTS) -> int:
    """Replace the named networks in the weights folder, each by that of a folder or by the mean of several; returns
    the bytes of all of them."""
    folders = {name: [given] if isinstance(given, Path) else [*given] for name, given in networks.items()}
    for name in networks:
        if name not in COMPONENTS + BESIDE:
            raise ReliableSwapError(f"no component {name!r}; choose from {', '.join(COMPONENTS + BESIDE)}")
    places = {
        name: [weights / name] for name in COMPONENTS + BESIDE if (weights / name / "config.json").is_file()
    }
    loaded = {name: mean(given).half() for name, given in (places | folders).items()}
    beside = {name: loaded.pop(name) for name in BESIDE if name in loaded}
    pipe = ReliableSwapPipeline(**loaded)
    with tempfile.TemporaryDirectory(dir=weights.parent) as part:
        pipe.save_pretrained(part)
        for name, network in beside.items():
            network.save_pretrained(Path(part) / name)
        Path(part, "README.md").unlink()  # model_card.md is the card of what ships
        size = sum(path.stat().st_size for path in Path(part).rglob("*.safetensors"))
        if size > LARGEST:
            raise ReliableSwapError(
                f"the networks take {size / 2**20:.0f} MB; at most {LARGEST >> 20} MB may ship"
            )
        for name, (folder, *_) in folders.items():
            card = folder / "README.md"
            if not card.is_file():
                raise ReliableSwapError(
                    f"{folder} has no README.md; what ships needs the card its training writes"
                )
            (Path(part) / name / card.name).write_text(_shipped(card.read_text("utf-8"), name), "utf-8")
        shutil.copytree(part, weights, dirs_exist_ok=True)
    return size


def mean(folders: Sequence[Path]) -> Network:
    """The network in the folder; of several, which have to be alike in all but their weights, the weights' mean."""
    network, *others = [load_network(folder) for folder in folders]
    if not others:  # bit by bit: a mean would take the sign off its zeros, and its checksum would be another
        return network
    settings = {name: value for name, value in network.config.items() if not name.startswith("_")}
    for other, folder in zip(others, folders[1:], strict=True):
        theirs = {name: value for name, value in other.config.items() if not name.startswith("_")}
        if type(other) is not type(network) or theirs != settings:
            raise ReliableSwapError(
                f"{folder} holds another network than {folders[0]}, or one with other settings"
            )
    states = [one.float().state_dict() for one in (network, *others)]
    network.load_state_dict(
        {
            name: torch.stack([state[name] for state in states]).mean(0)
            if value.is_floating_point()
            else value
            for name, value in states[0].items()
        }
    )
    return network


def _folders(given: str) -> list[Path]:
    """`runs/second+runs/first` is two folders, unless there is one of that name."""
    return [Path(given)] if Path(given).exists() else [Path(one) for one in given.split("+")]


def _shipped(card: str, name: str) -> str:
    """A training's card with the terms of what ships and the place it ships to."""
    if "\nlicense_name:" not in card:
        card = card.replace("\nlicense: other\n", f"\nlicense: other\nlicense_name: {LICENSE_NAME}\n", 1)
    card = re.sub(r'from_pretrained\("[^"]*"\)', f'from_pretrained(bundled("{name}"))', card)
    return card.replace("```python\n", "```python\nfrom reliableswap.bundled import bundled\n", 1)


def main(argv: list[str] | None = None) -> int:
    words = sys.argv[1:] if argv is None else argv
    try:
        pairs = [word.partition("=") for word in words]
        size = bundle({name: _folders(given) for name, _, given in pairs})
    except ReliableSwapError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{size / 2**20:.1f} MB of networks in {WEIGHTS}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
