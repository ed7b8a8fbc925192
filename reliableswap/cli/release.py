"""`reliableswap release NAME=FOLDER ...`: put trained networks among those that ship with the package.

Each network is written as float16 safetensors into `reliableswap/weights/NAME`, with the card of its training.
model_index.json is rewritten, so that the weights folder is a pipeline that `from_pretrained` loads.

`generator=runs/second+runs/first` ships the mean of two runs' weights, where one run started from the other, with the
card of the folder named first. A mean often keeps the gains of both runs (Wortsman et al. 2022, Model soups).

`tokeniser=` and `transformer=` are the networks of UnifiedFacePipeline, which lies in `reliableswap/weights/unified`.

Last, CHECKSUMS.json is written and signed (RELIABLESWAP_CERT, RELIABLESWAP_KEY, or this user's local key);
`reliableswap verify reliableswap/weights` checks it. Without NAME=FOLDER, nothing else is done.
"""

from __future__ import annotations

import argparse
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from reliableswap.bundled import WEIGHTS
from reliableswap.errors import ReliableSwapError
from reliableswap.models import load_network
from reliableswap.models.base import Network
from reliableswap.pipelines.image import ReliableSwapPipeline
from reliableswap.pipelines.unified import UnifiedFacePipeline
from reliableswap.provenance.checksums import write_checksums

from .common import say

COMPONENTS = ("detector", "landmarks", "identity", "fixer", "generator", "glasses", "visibility")
STARTS = ("person",)  # networks that training starts from; not part of the pipeline
UNIFIED = ("tokeniser", "transformer")  # a pipeline of its own
KNOWN = COMPONENTS + STARTS + UNIFIED
LICENSE_NAME = "non-commercial-research"  # as in weights/LICENSE, because of the training photos' terms
MAX_BYTES = 60 * 2**20  # for all networks together, so that a clone stays small


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add NAME=FOLDER, the networks to release."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = __doc__
    parser.add_argument("networks", nargs="*", metavar="NAME=FOLDER", help=f"NAME: one of {', '.join(KNOWN)}")


def run(arguments: argparse.Namespace) -> int:
    if arguments.networks:
        size = bundle(parse(arguments.networks))
        say(f"{size / 2**20:.1f} MB of networks in {WEIGHTS}")
    say(f"signed {write_checksums(WEIGHTS)}")
    return 0


def parse(words: Sequence[str]) -> dict[str, list[Path]]:
    """Parse `NAME=FOLDER` and `NAME=FOLDER+FOLDER` to folders by name. An existing folder may have a + in its name."""
    folders = {}
    for word in words:
        name, equals, given = word.partition("=")
        if not equals or not given:
            raise ReliableSwapError(f"{word!r} names no folder; write it as NAME=FOLDER")
        folders[name] = (
            [Path(given)] if Path(given).exists() else [Path(folder) for folder in given.split("+")]
        )
    return folders


def bundle(folders: Mapping[str, Sequence[Path]], weights: Path = WEIGHTS) -> int:
    """Replace networks in the weights folder, each with one folder's or the mean of several; return the total bytes.

    Nothing is replaced unless the networks fit together and every new one has a card.
    """
    for name in folders:
        if name not in KNOWN:
            raise ReliableSwapError(f"no network {name!r}; choose from {', '.join(KNOWN)}")
    places = {name: shipped_place(name) for name in KNOWN}
    kept = {
        name: [weights / place]
        for name, place in places.items()
        if (weights / place / "config.json").is_file()
    }
    networks = {name: mean(given).half() for name, given in (kept | {**folders}).items()}
    pipe = ReliableSwapPipeline(**{name: networks[name] for name in COMPONENTS if name in networks})
    with tempfile.TemporaryDirectory(dir=weights.parent) as temporary:
        pipe.save_pretrained(temporary)
        for name in (one for one in STARTS if one in networks):
            networks[name].save_pretrained(Path(temporary, name))
        if any(name in networks for name in UNIFIED):
            save_unified(networks, Path(temporary, "unified"))
        Path(temporary, "README.md").unlink()  # model_card.md is the card of the bundled pipeline
        size = sum(path.stat().st_size for path in Path(temporary).rglob("*.safetensors"))
        if size > MAX_BYTES:
            raise ReliableSwapError(
                f"the networks take {size / 2**20:.0f} MB; at most {MAX_BYTES >> 20} MB may ship"
            )
        for name, (folder, *_) in folders.items():
            card = folder / "README.md"
            if not card.is_file():
                raise ReliableSwapError(
                    f"{folder} has no README.md; only a network with the card of its training may ship"
                )
            (Path(temporary) / places[name] / card.name).write_text(
                shipped_card(card.read_text("utf-8"), places[name]), "utf-8"
            )
        shutil.copytree(temporary, weights, dirs_exist_ok=True)
    return size


def shipped_place(name: str) -> str:
    """Return a network's place in the weights folder."""
    return f"unified/{name}" if name in UNIFIED else name


def save_unified(networks: Mapping[str, Network], folder: Path) -> None:
    """Write the UnifiedFacePipeline; its other networks are the bundled ones."""
    missing = [name for name in UNIFIED if name not in networks]
    if missing:
        raise ReliableSwapError(
            f"no {missing[0]} among the networks; release tokeniser= and transformer= together"
        )
    UnifiedFacePipeline(**{name: networks[name] for name in UNIFIED}).save_pretrained(folder)
    (folder / "README.md").unlink()


def mean(folders: Sequence[Path]) -> Network:
    """Load the network of a folder, or average several networks that differ only in their weights."""
    network, *others = [load_network(folder) for folder in folders]
    if not others:  # a mean of one would turn -0.0 into 0.0 and so change its checksum
        return network
    settings = _settings(network)
    for other, folder in zip(others, folders[1:], strict=True):
        if type(other) is not type(network) or _settings(other) != settings:
            raise ReliableSwapError(
                f"{folder} holds a different network from {folders[0]}, or one with different settings"
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


def _settings(network: Network) -> dict[str, object]:
    return {name: value for name, value in network.config.items() if not name.startswith("_")}


def shipped_card(card: str, place: str) -> str:
    """Return a training's card with the licence of what ships and an example that loads the bundled network."""
    if "\nlicense_name:" not in card:
        card = card.replace("\nlicense: other\n", f"\nlicense: other\nlicense_name: {LICENSE_NAME}\n", 1)
    card = re.sub(r'from_pretrained\("[^"]*"\)', f'from_pretrained(bundled("{place}"))', card)
    return card.replace("```python\n", "```python\nfrom reliableswap.bundled import bundled\n", 1)
