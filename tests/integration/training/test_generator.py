"""Training generators: what files a run leaves, and that it learns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image
from support.generator_tasks import ALL_KINDS, EVERY_LOSS, SIZE, batch_of, resized, settings_for, task_for
from torch import nn

from reliableswap.cli.main import main
from reliableswap.models import LightGenerator, SimSwapGenerator
from reliableswap.training.core.state import checkpoints


def options(triplets: Path, encoders: Path, output: Path, *more: str) -> list[str]:
    return [
        "train", "generator", "--triplets", str(triplets), "--identity", str(encoders / "identity"),
        "--output_dir", str(output),
        "--train_batch_size", "2", "--dataloader_num_workers", "0", "--validation_pairs", "4", "--mixed_precision",
        "no", "--lr_warmup_steps", "0", "--perceptual_weight", "0", "--report_to", "none", "--logging_steps", "1",
        *more,
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "kind"),
    [
        (
            ("--fixer", "{fixer}", "--adversarial_weight", "0.1", "--discriminator_channels", "4"),
            LightGenerator,
        ),
        (("--preset", "simswap", "--channels", "8", "--gradient_accumulation_steps", "2"), SimSwapGenerator),
    ],
)
def test_two_steps_give_a_folder_that_loads_with_figures_grid_card_and_settings(
    more: tuple[str, ...], kind: type, triplets: Path, encoders: Path, tmp_path: Path
) -> None:
    given = [word.format(fixer=encoders / "fixer") for word in more]
    assert main(options(triplets, encoders, tmp_path, *given, "--max_train_steps", "2")) == 0
    loaded = kind.from_pretrained(tmp_path)
    assert all(torch.isfinite(p).all() for p in loaded.parameters())
    assert loaded.config["identity_encoder"] == "tiny"
    figures = json.loads((tmp_path / "figures.jsonl").read_text().splitlines()[-1])
    assert {"identity", "target", "l1_truth", "expression", "pose", "copied"} <= set(figures)
    grid = Image.open(tmp_path / "grids" / "step-0000002.png")
    assert grid.width == 5 * SIZE
    card = (tmp_path / "README.md").read_text()
    for words in (kind.__name__, "l1_truth", "2 of 2 steps", "tiny, checksum", "Training command"):
        assert words in card
    written = yaml.safe_load((tmp_path / "settings.yaml").read_text())
    assert written["base"] == ("simswap" if kind is SimSwapGenerator else "light")
    assert (checkpoints(tmp_path)[-1] / "discriminator" / "config.json").is_file()


@pytest.mark.slow
def test_a_generator_can_overfit_eight_triplets(triplets: Path, encoders: Path) -> None:
    values = dict.fromkeys(EVERY_LOSS, 0.0) | {"l1_weight": 1.0}
    shares = dict.fromkeys(ALL_KINDS, 0.0) | {"cycle_share": 1.0}
    task = task_for(settings_for(triplets, **values, **shares, guidance_corruption=0.0), encoders)
    # A fast encoder.
    task.frozen.identity = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, 16))
    task.frozen.identity.embedding_size = 16
    torch.manual_seed(0)
    network = LightGenerator(channels=(16, 24, 32, 48), block_count=2, identity_dim=16)
    batch = batch_of(task, range(8))
    batch = resized(batch, 32, mode="area")
    optimizer = torch.optim.Adam(network.parameters(), 8e-3)
    steps, trace = 120, []
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 8e-3 * (1 - step / steps)
        optimizer.zero_grad()
        loss = task.losses(network, batch)["l1"]
        loss.backward()
        optimizer.step()
        trace.append(float(loss.detach()))
    assert trace[-1] < trace[0] / 4


@pytest.mark.slow
def test_a_run_without_validation_has_no_figures(triplets: Path, encoders: Path, tmp_path: Path) -> None:
    more = ("--validation_pairs", "0", "--max_train_steps", "1")
    assert main(options(triplets, encoders, tmp_path, *more)) == 0
    assert not (tmp_path / "figures.jsonl").exists()
    assert not (tmp_path / "grids").exists()
    assert LightGenerator.from_pretrained(tmp_path).config["held_out"] == 40
