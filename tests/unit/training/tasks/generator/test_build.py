"""A generator's config says what it was trained with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support.generator_tasks import SIZE, SMALL, settings_for, task_for

from reliableswap.errors import ReliableSwapError
from reliableswap.models import IdentityEncoder, LightGenerator
from reliableswap.training.tasks.generator.build import build_generator


def test_a_generator_knows_the_sizes_it_learnt_at(triplets: Path, encoders: Path, tmp_path: Path) -> None:
    identity = IdentityEncoder.from_pretrained(encoders / "identity")
    fresh = build_generator(settings_for(triplets), identity, None, [256, SIZE, 256], 10.0)
    assert fresh.config["sizes"] == [SIZE, 256]
    fresh.save_pretrained(tmp_path)
    assert LightGenerator.from_pretrained(tmp_path).config["sizes"] == [SIZE, 256]
    further = build_generator(settings_for(triplets, initial=tmp_path), identity, None, [128], 10.0)
    assert further.config["sizes"] == [SIZE, 128, 256]


def test_a_start_from_another_encoder_is_refused(triplets: Path, encoders: Path, tmp_path: Path) -> None:
    identity = IdentityEncoder.from_pretrained(encoders / "identity")
    LightGenerator(channels=SMALL, block_count=1, identity_dim=16).save_pretrained(tmp_path)
    with pytest.raises(ReliableSwapError, match="identity_checksum"):
        build_generator(settings_for(triplets, initial=tmp_path), identity, None, [SIZE], 10.0)
    fresh = build_generator(settings_for(triplets), identity, None, [SIZE], 10.0)
    assert fresh.config["identity_checksum"] == identity.checksum()


def test_a_generator_knows_which_people_no_training_saw(
    triplets: Path, encoders: Path, tmp_path: Path
) -> None:
    identity = IdentityEncoder.from_pretrained(encoders / "identity")
    task = task_for(settings_for(triplets, lower_face_weight=0.0), encoders)
    assert task.held_out == 40  # of the split 60/40/0
    build_generator(settings_for(triplets), identity, None, [SIZE], 2.0).save_pretrained(tmp_path)
    assert LightGenerator.from_pretrained(tmp_path).config["held_out"] == 2
    settings = settings_for(triplets, initial=tmp_path)
    for percent, known in ((40.0, 2.0), (1.0, 1.0)):
        further = build_generator(settings, identity, None, [SIZE], percent)
        assert further.config["held_out"] == known


def test_layers_can_be_added_to_a_generator_without(triplets: Path, encoders: Path, tmp_path: Path) -> None:
    identity = IdentityEncoder.from_pretrained(encoders / "identity")
    plain = build_generator(settings_for(triplets), identity, None, [SIZE], 10.0)
    plain.save_pretrained(tmp_path / "plain")
    settings = settings_for(triplets, initial=tmp_path / "plain", layers=True)
    layered = build_generator(settings, identity, None, [128, 256], 10.0)
    assert layered.config["layers"]
    assert layered.config["sizes"] == [SIZE, 128, 256, 512, 1024]
    kept = layered.state_dict()
    assert all((kept[name] == value).all() for name, value in plain.state_dict().items())
    layered.save_pretrained(tmp_path / "layered")
    again = build_generator(
        settings_for(triplets, initial=tmp_path / "layered", layers=True), identity, None, [128], 10.0
    )
    assert (again.layer_head.bias == layered.layer_head.bias).all()


@pytest.mark.slow
@pytest.mark.parametrize("join", ["add", "concat", "replace"])
def test_an_adapter_can_be_added_and_changes_nothing_at_first(
    triplets: Path, encoders: Path, tmp_path: Path, join: Any
) -> None:
    identity = IdentityEncoder.from_pretrained(encoders / "identity")
    plain = build_generator(settings_for(triplets), identity, None, [SIZE], 10.0).eval()
    plain.save_pretrained(tmp_path / "plain")
    settings = settings_for(triplets, initial=tmp_path / "plain", adapter=join)
    adapted = build_generator(settings, identity, None, [SIZE], 10.0).eval()
    source, target = torch.rand(1, 3, 112, 112) * 2 - 1, torch.rand(1, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        v_id = identity(source)
        assert torch.allclose(adapted(target, v_id, None, source).image, plain(target, v_id).image, atol=1e-4)
    adapted.save_pretrained(tmp_path / "adapted")
    again = build_generator(
        settings_for(triplets, initial=tmp_path / "adapted", adapter=join), identity, None, [SIZE], 10.0
    )
    assert all(torch.equal(v, adapted.state_dict()[n]) for n, v in again.state_dict().items())
    other = "add" if join != "add" else "concat"
    with pytest.raises(ReliableSwapError, match=f"joined by {join}, but --adapter is {other}"):
        build_generator(
            settings_for(triplets, initial=tmp_path / "adapted", adapter=other), identity, None, [SIZE], 10.0
        )
    with pytest.raises(ReliableSwapError, match="--adapter works only with the light generator"):
        build_generator(settings_for(triplets, base="simswap", adapter=join), identity, None, [SIZE], 10.0)


def test_small_bases_take_the_triplets_size(triplets: Path, encoders: Path) -> None:
    identity = IdentityEncoder.from_pretrained(encoders / "identity")

    def build(sizes: list[int], **values: Any) -> Any:
        return build_generator(settings_for(triplets, **values), identity, None, sizes, 10.0)

    small = build([96], base="faceshifter", channels=16, coarse_heads=1)
    assert (small.size, small.config["channels"], len(small.coarse)) == (96, 16, 1)
    assert build([64, 96], base="simswap", channels=4).config["sizes"] == [64, 96]
    narrow = build([64], channels=48)
    assert (narrow.config["channels"], narrow.config["sizes"]) == ([6, 12, 24, 48], [64])
    for sizes, values, expected in (
        ([224], {"base": "faceshifter"}, "no variant for 224 px"),
        ([64, 96], {"base": "faceshifter"}, "takes crops of 64 px only, but the triplets have 96"),
        ([64], {"base": "faceshifter", "channels": 12}, "choose a multiple of 8"),
        ([64], {"base": "simswap", "coarse_heads": 3}, "allow 0 to 2"),
        ([64], {"coarse_heads": 1}, "the light generator has none"),
        ([64], {"channels": 100}, "--channels 100.*choose a multiple of 48"),
    ):
        with pytest.raises(ReliableSwapError, match=expected):
            build(sizes, **values)
