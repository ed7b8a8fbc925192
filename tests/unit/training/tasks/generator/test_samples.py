"""A generator's samples: supervision, shares and painted glasses."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from support.generator_tasks import SIZE, settings_for, task_for

from reliableswap.data.samples import collate
from reliableswap.errors import ReliableSwapError
from reliableswap.training.tasks.generator.samples import SUPERVISION, GeneratorSamples, completed


def test_supervision_is_a_mix_and_shares_change_it(triplets: Path) -> None:
    assert settings_for(triplets, supervision="naive", strangers=0.0).mix == SUPERVISION["naive"]
    assert settings_for(triplets, strangers=0.3).mix.strangers == 0.3
    changed = settings_for(triplets, supervision="cycle", vanilla_share=0.0, strangers=0.0).mix
    assert changed == dataclasses.replace(SUPERVISION["cycle"], vanilla=0.0)
    with pytest.raises(ReliableSwapError, match="unknown --supervision"):
        settings_for(triplets, supervision="magic").mix  # noqa: B018


def test_a_run_resumes_with_the_same_cutouts_only(triplets: Path, encoders: Path, tmp_path: Path) -> None:
    def fingerprint(**more: object) -> dict[str, str]:
        settings = settings_for(triplets, validation_pairs=0, occluders=tmp_path, **more)
        return task_for(settings, encoders).fingerprint()

    (tmp_path / "hand.png").write_bytes(b"1234")
    before = fingerprint(occluded=0.3)
    assert fingerprint(occluded=0.3) == before
    unused = fingerprint(occluded=0.0)
    (tmp_path / "hand.png").write_bytes(b"12345")
    assert fingerprint(occluded=0.3) != before
    assert fingerprint(occluded=0.0) == unused


def one(samples: GeneratorSamples, i: int) -> dict[str, torch.Tensor]:
    """A sample as the losses get it."""
    return {
        name: value[0] for name, value in completed(collate([samples[i]])).items() if name != "truth_rows"
    }


@pytest.mark.slow
def test_targets_without_truth_get_glasses_as_often_as_asked(triplets: Path) -> None:
    mix, count = settings_for(triplets, vanilla_share=0.7).mix, 40
    plain, painted = (GeneratorSamples([triplets], mix, 2, 0, painted=share) for share in (0.0, 0.6))
    worn = []
    for i in range(count):
        before, after = one(plain, i), one(painted, i)
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
        assert torch.equal(one(painted, i)["target"], after["target"])
    assert len(worn) > 10
    assert 0.3 < np.mean(worn) < 0.9
    with pytest.raises(ReliableSwapError, match="--painted_glasses"):
        GeneratorSamples([triplets], mix, 2, 0, painted=1.2)
