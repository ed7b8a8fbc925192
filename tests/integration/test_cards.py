"""Every Python example in the model cards that we ship or generate runs unchanged."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from PIL import Image
from support.people import person

from reliableswap import ReliableSwapPipeline
from reliableswap.bundled import WEIGHTS
from reliableswap.cli.release import bundle
from reliableswap.models import (
    FaceDetector,
    FaceShifterGenerator,
    FixerNet,
    GlassesNet,
    IdentityEncoder,
    LightGenerator,
    MeshNet,
    Network,
    SimSwapGenerator,
)
from reliableswap.training.core.publish import publish
from reliableswap.training.core.task import Task

MODEL_CARD = Path(__file__).parents[2] / "model_card.md"
TRAINED = [
    FaceDetector(blocks=(1, 1, 1)),
    MeshNet(),
    IdentityEncoder(embedding_size=8),
    FixerNet(embedding_size=8),
    GlassesNet(channels=(4, 8)),
    LightGenerator(channels=(8, 8, 8, 8), block_count=1),
    SimSwapGenerator(channels=4, block_count=1),
    FaceShifterGenerator(channels=32),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with the two photos that the examples open."""
    monkeypatch.chdir(tmp_path)
    for name, number in (("alice", 1), ("photo", 2)):
        with Image.open(person(number)) as image:
            image.draft("RGB", (256, 256))
            image.thumbnail((256, 256))
            image.save(tmp_path / f"{name}.jpg")
    return tmp_path


def run_examples(card: Path) -> dict[str, Any]:
    """Run each Python block of a card as a program of its own; return the last one's names."""
    blocks = re.findall(r"^```python\n(.*?)^```", card.read_text("utf-8"), re.M | re.S)
    assert blocks, f"{card} shows no example"
    names: dict[str, Any] = {}
    for block in blocks:
        names = {}
        exec(compile(block, str(card), "exec"), names)
    return names


def header(card: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(card.read_text("utf-8").split("---\n")[1])
    return content


@pytest.mark.parametrize(
    "card",
    [*sorted(path.with_name("README.md") for path in WEIGHTS.rglob("config.json")), MODEL_CARD],
    ids=lambda p: p.parent.name,
)
def test_shipped_cards(card: Path, folder: Path) -> None:
    # With `library_name: diffusers` the Hub would show a DiffusionPipeline example, which fails for these.
    assert header(card)["library_name"] == "reliableswap"
    names = run_examples(card)
    if card == MODEL_CARD:
        assert (folder / "swapped.png").is_file()
    else:
        assert isinstance(names["network"], Network)


@pytest.mark.parametrize("network", TRAINED, ids=lambda network: type(network).__name__)
def test_a_trainings_card(network: Network, folder: Path) -> None:
    settings = SimpleNamespace(
        output_dir=folder / "run",
        hub_model_id=None,
        push_to_hub=False,
        max_train_steps=2,
        train_batch_size=4,
        gradient_accumulation_steps=1,
    )
    publish(network, Task(), settings, 2)
    card = folder / "run" / "README.md"
    assert header(card)["library_name"] == "reliableswap"
    assert type(run_examples(card)["network"]) is type(network)


@pytest.mark.slow
def test_a_card_that_ships_after_a_training(folder: Path) -> None:
    glasses = GlassesNet(channels=(4, 8))
    glasses.save_pretrained(folder / "run")
    block = '```python\nfrom reliableswap.models import GlassesNet\n\nnetwork = GlassesNet.from_pretrained("run")\n```'
    (folder / "run" / "README.md").write_text(f"---\nlicense: other\n---\n{block}\n")
    ReliableSwapPipeline.bundled().save_pretrained(folder / "weights")
    bundle({"glasses": [folder / "run"]}, folder / "weights")
    names = run_examples(folder / "weights" / "glasses" / "README.md")
    assert isinstance(names["network"], GlassesNet)  # the package's own: `bundled` looks only there


@pytest.mark.slow
def test_a_pipelines_card(folder: Path) -> None:
    ReliableSwapPipeline.bundled().save_pretrained(folder / "mine")
    card = folder / "mine" / "README.md"
    assert header(card)["library_name"] == "reliableswap"
    run_examples(card)
    assert (folder / "swapped.png").is_file()
