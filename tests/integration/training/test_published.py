"""Converted published checkpoints can be trained further, on cycle triplets."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from support import published
from support.generator_tasks import settings_for
from support.resized_triplets import resized

from reliableswap.cli.main import main
from reliableswap.models import (
    FaceShifterGenerator,
    FixerNet,
    IdentityEncoder,
    SimSwapGenerator,
    load_network,
)
from reliableswap.training.tasks.generator.build import build_generator
from reliableswap.training.tasks.generator.running import generate

parity = published.load_benchmark("parity")
CLASSES = {"simswap": SimSwapGenerator, "faceshifter": FaceShifterGenerator}


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """arcface, simswap and faceshifter as `reliableswap convert` writes them, but narrow and with random weights."""
    folder = tmp_path_factory.mktemp("converted")
    shapes = {
        "arcface": published.iresnet((2, 2, 2, 2)),
        "simswap": published.simswap(width=4, blocks=1),
        "faceshifter": published.faceshifter(width=32, vector=512),
    }
    for kind, layout in shapes.items():
        file = folder / f"{kind}.safetensors"
        save_file(parity.ruled_weights(layout), file)
        encoder = () if kind == "arcface" else ("--encoder", str(folder / "arcface"))
        assert main(["convert", kind, str(file), "-o", str(folder / kind), *encoder]) == 0
    assert (
        main(["convert", "simswap", str(folder / "simswap.safetensors"), "-o", str(folder / "unknown")]) == 0
    )
    return folder


@pytest.fixture(scope="module")
def large(triplets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Triplets of 256 px."""
    return resized(triplets, tmp_path_factory.mktemp("large") / "triplets", 256)


def options(base: str, converted: Path, triplets: Path, output: Path, *more: str) -> list[str]:
    return [
        "train", "generator", "--preset", base, "--initial", str(converted / base), "--supervision", "cycle",
        "--triplets", str(triplets), "--identity", str(converted / "arcface"), "--output_dir", str(output),
        "--train_batch_size", "1", "--dataloader_num_workers", "0", "--validation_pairs", "2",
        "--mixed_precision", "no", "--lr_warmup_steps", "0", "--perceptual_weight", "0", "--report_to", "none",
        "--discriminator_channels", "4",
        "--logging_steps", "1", "--max_train_steps", "2", "--learning_rate", "1e-4", *more,
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("base", list(CLASSES))
def test_a_converted_checkpoint_learns_from_cycle_triplets(
    base: str, converted: Path, large: Path, encoders: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fixer = ("--fixer", str(encoders / "fixer")) if base == "simswap" else ()
    assert main(options(base, converted, large, tmp_path / "tuned", *fixer)) == 0
    before, after = load_network(converted / base), CLASSES[base].from_pretrained(tmp_path / "tuned")
    assert before.config["template"] == "arcface_112_v1"
    assert after.config["template"] == "arcface_128"
    assert "trained on crops with the template arcface_112_v1" in caplog.text
    assert after.config["value_range"] == before.config["value_range"]
    assert (
        after.config["identity_checksum"] == IdentityEncoder.from_pretrained(converted / "arcface").checksum()
    )
    assert after.config["held_out"] == before.config["held_out"]
    if base == "simswap":
        assert after.config["sizes"] == [224, 256]
        assert after.config["fixer_checksum"] == FixerNet.from_pretrained(encoders / "fixer").checksum()
        assert after.blocks[0].style1.weight[:, 512:].abs().max() > 0  # v_fix has an effect
    theirs = before.state_dict()
    assert any(
        one.shape == theirs[name].shape and not torch.equal(one, theirs[name])
        for name, one in after.named_parameters()
    )
    figures = json.loads((tmp_path / "tuned" / "figures.jsonl").read_text().splitlines()[-1])
    assert {"identity", "l1_truth"} <= set(figures)


@pytest.mark.slow
def test_the_loss_of_a_converted_checkpoint_falls(converted: Path, large: Path, tmp_path: Path) -> None:
    weights = ("--adversarial_weight", "0", "--feature_matching_weight", "0", "--identity_weight", "0")
    more = (
        "--max_train_steps",
        "8",
        "--validation_steps",
        "4",
        "--learning_rate",
        "3e-3",
        "--ema_decay",
        "0",
    )
    assert main(options("simswap", converted, large, tmp_path, *weights, *more)) == 0
    lines = [json.loads(line) for line in (tmp_path / "figures.jsonl").read_text().splitlines()]
    assert lines[-1]["l1_truth"] < lines[0]["l1_truth"]


def wanted(converted: Path, triplets: Path, **values: Any) -> Any:
    settings = settings_for(triplets, initial=converted / "simswap", identity=converted / "arcface")
    return replace(settings, **{"base": "simswap", **values})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("values", "sizes", "expected"),
    [
        (
            {"initial": "unknown"},
            [256],
            "no identity_checksum .* convert the checkpoint again with --encoder",
        ),
        ({"base": "faceshifter"}, [256], "holds a SimSwapGenerator, but --base is faceshifter"),
        ({"channels": 8}, [256], "leave out --channels"),
        (
            {"initial": "faceshifter", "base": "faceshifter"},
            [64],
            "make triplets with `reliableswap triplets --size 256`",
        ),
        ({"adapter": "add"}, [256], "--adapter works only with the light generator"),
        ({"initial": "arcface"}, [256], "holds a IdentityEncoder"),
    ],
)
def test_mismatched_checkpoints_are_refused(
    values: dict[str, Any], sizes: list[int], expected: str, converted: Path, large: Path
) -> None:
    if "initial" in values:
        values = values | {"initial": converted / values["initial"]}
    identity = IdentityEncoder.from_pretrained(converted / "arcface")
    with pytest.raises(Exception, match=expected):
        build_generator(wanted(converted, large, **values), identity, None, sizes, 10.0)


def test_another_encoder_than_the_checkpoints_is_refused(
    converted: Path, large: Path, encoders: Path
) -> None:
    other = IdentityEncoder.from_pretrained(encoders / "identity")
    with pytest.raises(Exception, match=r"trained with arcface_iresnet18 \(512-d, .* is tiny \(16-d"):
        build_generator(wanted(converted, large), other, None, [256], 10.0)


@pytest.mark.parametrize("base", list(CLASSES))
def test_an_added_fixer_changes_nothing_at_first(
    base: str, converted: Path, large: Path, encoders: Path
) -> None:
    settings = wanted(converted, large, base=base, initial=converted / base)
    identity = IdentityEncoder.from_pretrained(converted / "arcface")
    fixer = FixerNet.from_pretrained(encoders / "fixer")
    plain = build_generator(settings, identity, None, [256], 10.0).eval()
    wide = build_generator(settings, identity, fixer, [256], 10.0).eval()
    assert wide.config["fixer_dim"] == 8
    target, vector = torch.rand(1, 3, 256, 256) * 2 - 1, torch.randn(1, 512)
    with torch.no_grad():
        image = wide(target, torch.cat([vector, torch.randn(1, 8)], 1)).image
        assert torch.allclose(image, plain(target, vector).image, atol=1e-4)


def test_a_generator_of_another_value_range_sees_and_answers_in_it(converted: Path, large: Path) -> None:
    identity = IdentityEncoder.from_pretrained(converted / "arcface")
    network = build_generator(wanted(converted, large), identity, None, [256], 10.0).eval()
    assert list(network.config["value_range"]) == [0, 1]
    target, vector = torch.rand(1, 3, 64, 64), torch.randn(1, 512)
    with torch.no_grad():
        theirs = network(target, vector).image
        ours = generate(network, target * 2 - 1, vector, None, target).image
    assert torch.allclose(ours, theirs * 2 - 1, atol=1e-5)
