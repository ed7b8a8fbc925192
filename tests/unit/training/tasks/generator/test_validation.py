"""Validation of a generator, and training without it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from support.generator_tasks import SMALL, settings_for, task_for
from torch import Tensor

from reliableswap.data.complete import complete
from reliableswap.data.samples import collate
from reliableswap.errors import ReliableSwapError
from reliableswap.models import GeneratorOutput, LightGenerator


def test_a_network_that_copies_its_target_causes_a_warning(triplets: Path, encoders: Path) -> None:
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


def test_a_right_answer_counts_where_a_source_occurs_more_than_once(triplets: Path, encoders: Path) -> None:
    task = task_for(settings_for(triplets, validation_pairs=12), encoders)
    swaps = task.validation.swaps
    sources = complete(collate([swaps[i] for i in range(12)]))["source"]
    assert len(torch.unique(sources, dim=0)) < 12

    class Sources(LightGenerator):
        """Returns the source for a swap, and the target otherwise."""

        def forward(self, target: Tensor, identity: Tensor, guidance: Tensor | None = None) -> Any:
            image = sources if len(target) == 12 else target
            return GeneratorOutput(image=image, mask=torch.ones_like(target[:, :1]))

    figures = task.validate(Sources(channels=SMALL, block_count=1, identity_dim=16, fixer_dim=8))
    assert figures["identity"] == pytest.approx(1, abs=1e-5)
    assert figures["source_first"] == 1


@pytest.fixture
def no_validation(triplets: Path, tmp_path: Path) -> Path:
    """The triplets without their validation split, as made from a small folder of photos."""
    shutil.copytree(
        triplets / "data", tmp_path / "small" / "data", ignore=shutil.ignore_patterns("validation-*")
    )
    return tmp_path / "small"


def test_triplets_without_a_validation_split_are_an_error_that_says_what_to_do(
    no_validation: Path, encoders: Path
) -> None:
    with pytest.raises(ReliableSwapError, match=r"no validation triplets in .*small") as raised:
        task_for(settings_for(no_validation), encoders)
    assert "60/40/0" in str(raised.value)
    assert "--validation_pairs 0" in str(raised.value)


def test_training_without_validation_is_possible_when_asked_for(no_validation: Path, encoders: Path) -> None:
    task = task_for(settings_for(no_validation, validation_pairs=0), encoders)
    copy = LightGenerator(channels=SMALL, block_count=1, identity_dim=16, fixer_dim=8)
    task.start(0, torch.device("cpu"))
    assert task.validate(copy) == {}
    assert task.grid(copy) is None
    assert task.warnings({}) == []


@pytest.mark.slow
def test_the_first_folder_with_a_validation_split_validates(
    no_validation: Path, triplets: Path, encoders: Path
) -> None:
    task = task_for(settings_for(Path(f"{no_validation},{triplets}")), encoders)
    assert task.validation.swaps.shards[0].parent == triplets / "data"
