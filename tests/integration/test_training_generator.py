"""Training generators: samples as they should be, exact resume, and runs from nothing."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[2]))
from support.generator_tasks import ALL_KINDS, EVERY_LOSS, SIZE, SMALL, settings_for, task_for

import train_accelerate
from reliableswap.errors import ReliableSwapError
from reliableswap.models import GeneratorOutput, IdentityEncoder, LightGenerator, SimSwapGenerator
from reliableswap.training.core.batches import Positions
from reliableswap.training.core.state import checkpoints
from reliableswap.training.tasks.generator.samples import SUPERVISION, GeneratorSamples
from reliableswap.training.tasks.generator.task import build


def test_eight_triplets_can_be_learnt_by_heart(triplets: Path, encoders: Path) -> None:
    values = dict.fromkeys(EVERY_LOSS, 0.0) | {"l1_weight": 1.0}
    shares = dict.fromkeys(ALL_KINDS, 0.0) | {"cycle_share": 1.0}
    task = task_for(settings_for(triplets, **values, **shares, spoiled_guidance=0.0), encoders)
    torch.manual_seed(0)
    network = LightGenerator(channels=(16, 24, 32, 48), block_count=2, identity_dim=16)
    batch = torch.utils.data.default_collate([task.samples[i] for i in range(8)])
    for name in (
        "target",
        "plain",
        "source",
        "truth",
        "guidance",
        "face_mask",
        "glasses",
    ):  # as small as shows it
        batch[name] = nn.functional.interpolate(batch[name], size=(32, 32), mode="area")
    known = task.vectors(batch["source"])
    task.vectors = lambda _: known  # they never change
    optimizer = torch.optim.Adam(network.parameters(), 8e-3)
    steps, trace = 250, []
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 8e-3 * (1 - step / steps)
        optimizer.zero_grad()
        loss = task.losses(network, batch)["l1"]
        loss.backward()
        optimizer.step()
        trace.append(float(loss.detach()))
    assert trace[-1] < trace[0] / 5


def options(triplets: Path, encoders: Path, output: Path, *more: str) -> list[str]:
    return [
        "generator", "--triplets", str(triplets), "--identity", str(encoders / "identity"), "--output_dir", str(output),
        "--train_batch_size", "2", "--dataloader_num_workers", "0", "--validation_pairs", "4", "--mixed_precision",
        "no", "--lr_warmup_steps", "0", "--perceptual_weight", "0", "--report_to", "none", "--logging_steps", "1",
        *more,
    ]  # fmt: skip


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
def test_two_steps_from_nothing_give_a_folder_that_loads_with_all_that_belongs_to_it(
    more: tuple[str, ...], kind: type, triplets: Path, encoders: Path, tmp_path: Path
) -> None:
    given = [word.format(fixer=encoders / "fixer") for word in more]
    assert train_accelerate.main(options(triplets, encoders, tmp_path, *given, "--max_train_steps", "2")) == 0
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


def test_a_network_that_copies_its_target_is_warned_of(triplets: Path, encoders: Path) -> None:
    task = task_for(settings_for(triplets), encoders)

    class Copy(LightGenerator):
        def forward(self, target: Tensor, identity: Tensor, guidance: Tensor | None = None) -> Any:
            return GeneratorOutput(image=target, mask=torch.ones_like(target[:, :1]))

    copy = Copy(channels=SMALL, block_count=1, identity_dim=16, fixer_dim=8)
    figures = task.validate(copy)
    assert figures["copied"] == 1
    assert figures["l1_target"] == 0
    assert figures["expression"] == pytest.approx(0, abs=1e-5)
    said = " ".join(task.warnings(figures))
    assert "copies its target" in said
    assert "ignores the source" in said
    good = figures | {"l1_target": 0.2, "l1_truth": 0.1, "identity": 0.6, "before": 0.1}
    assert task.warnings(good) == []


def test_all_ranks_take_a_step_from_the_same_folder_as_often_as_asked(triplets: Path) -> None:
    batch, ranks = 2, 3
    mix = settings_for(triplets).mix
    folders = [triplets, triplets]
    samples = GeneratorSamples(folders, mix, batch, 1, 0, None, shares=[3, 1], ranks=ranks)
    asked: list[tuple[int, int]] = []
    samples.triplets = [  # type: ignore[assignment]
        type("Folder", (), {"__getitem__": lambda self, i, n=n: asked.append((n, i)) or {"target": None}})()
        for n in range(len(folders))
    ]
    for step in range(200):
        for rank in range(ranks):
            for position in next(iter(Positions(step, step + 1, batch, rank, ranks))):
                samples[position]
    turns = np.array([folder for folder, _ in asked]).reshape(200, ranks * batch)
    assert (turns == turns[:, :1]).all()
    assert 0.65 < (turns[:, 0] == 0).mean() < 0.85
    assert [i for _, i in asked] == list(range(200 * ranks * batch))


@pytest.mark.parametrize("shares", ["1", "1,-1", "1,0", "nan,1", "inf,1", "much,1"])
def test_shares_that_fit_no_folders_are_one_line(triplets: Path, shares: str) -> None:
    chosen = settings_for(triplets, triplet_shares=shares)
    folders = [triplets, triplets]
    with pytest.raises(ReliableSwapError, match="--triplet_shares"):
        GeneratorSamples(folders, chosen.mix, 2, 1, 0, None, chosen.shares)


def test_targets_without_truth_get_glasses_as_often_as_asked(triplets: Path) -> None:
    mix, count = settings_for(triplets, vanilla_share=0.7).mix, 40
    plain, painted = (GeneratorSamples([triplets], mix, 2, 1, 0, None, painted=share) for share in (0.0, 0.6))
    worn = []
    for i in range(count):
        before, after = plain[i], painted[i]
        for name in before.keys() - {"target", "glasses"}:
            assert torch.equal(before[name], after[name]), name
        changed = (before["target"] != after["target"]).any(0)
        if before["has_truth"] or before["glasses"][3].any():
            assert not changed.any()
            continue
        worn.append(bool(changed.any()))
        if not worn[-1]:
            assert torch.equal(before["glasses"], after["glasses"])
            continue
        assert torch.equal(after["plain"], before["target"])
        picture, over = after["glasses"].split([3, 1])
        assert torch.equal(picture, after["target"])
        assert over.max() > 0.5
        eyes = before["mesh"][[33, 133, 362, 263], 1].mean()
        assert abs((over[0].sum(1) * torch.arange(SIZE)).sum() / over.sum() - eyes) < 0.12 * SIZE
        assert changed[over[0] > 0.8].float().mean() > 0.8
        assert torch.equal(painted[i]["target"], after["target"])
    assert len(worn) > 10
    assert 0.3 < np.mean(worn) < 0.9
    with pytest.raises(ReliableSwapError, match="--painted_glasses"):
        GeneratorSamples([triplets], mix, 2, 1, 0, None, painted=1.2)


def test_a_generator_knows_the_sizes_it_learnt_at(triplets: Path, encoders: Path, tmp_path: Path) -> None:
    identity = IdentityEncoder.from_pretrained(encoders / "identity")
    fresh = build(settings_for(triplets), identity, None, [256, SIZE, 256])
    assert fresh.config["sizes"] == [SIZE, 256]
    fresh.save_pretrained(tmp_path)
    assert LightGenerator.from_pretrained(tmp_path).config["sizes"] == [SIZE, 256]
    further = build(settings_for(triplets, initial=tmp_path), identity, None, [128])
    assert further.config["sizes"] == [SIZE, 128, 256]


def test_supervision_is_a_mix_and_shares_change_it(triplets: Path) -> None:
    assert settings_for(triplets, supervision="naive", strangers=0.0).mix == SUPERVISION["naive"]
    assert settings_for(triplets, strangers=0.3).mix.strangers == 0.3
    changed = settings_for(triplets, supervision="cycle", vanilla_share=0.0, strangers=0.0).mix
    assert changed == dataclasses.replace(SUPERVISION["cycle"], vanilla=0.0)
    with pytest.raises(ReliableSwapError, match="unknown --supervision"):
        settings_for(triplets, supervision="magic").mix  # noqa: B018


def test_a_start_from_another_encoder_is_refused(triplets: Path, encoders: Path, tmp_path: Path) -> None:
    identity = IdentityEncoder.from_pretrained(encoders / "identity")
    LightGenerator(channels=SMALL, block_count=1, identity_dim=16).save_pretrained(tmp_path)
    with pytest.raises(ReliableSwapError, match="identity_checksum"):
        build(settings_for(triplets, initial=tmp_path), identity, None, [SIZE])
    fresh = build(settings_for(triplets), identity, None, [SIZE])
    assert fresh.config["identity_checksum"] == identity.checksum()
