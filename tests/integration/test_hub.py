"""Folders and the Hub: variants, shards, revisions, uploads, and errors that come quickly and say what to do."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from reliableswap import models
from reliableswap.errors import WeightsError
from reliableswap.models import FixerNet, HearNet, IdentityEncoder, LightGenerator, load_network

REPO = "someone/light"
TINY = {"channels": (4, 4, 8, 8), "block_count": 1, "identity_dim": 8}
WEIGHTS = "diffusion_pytorch_model.safetensors"


def same(one: Any, other: Any) -> bool:
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.fixture
def light() -> LightGenerator:
    torch.manual_seed(0)
    return LightGenerator(**TINY, identity_encoder="mine", identity_checksum="0123")


@pytest.fixture
def cached_hub(tmp_path: Path, light: LightGenerator) -> Path:
    """A Hub cache as a download leaves it: two commits of one repository, the newer with a subfolder."""
    root = tmp_path / "cache" / "models--someone--light"
    for branch, commit in (("v1", "1" * 40), ("main", "2" * 40)):
        snapshot = root / "snapshots" / commit
        with torch.no_grad():
            light.head.bias.fill_(float(commit[0]))
        light.save_pretrained(snapshot)
        light.save_pretrained(snapshot / "generator")
        (root / "refs").mkdir(exist_ok=True)
        (root / "refs" / branch).write_text(commit)
    return tmp_path / "cache"


def test_config_keeps_what_the_generator_was_trained_with(light: LightGenerator, tmp_path: Path) -> None:
    light.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["_class_name"] == "LightGenerator"
    assert config["template"] == "arcface_128"
    assert config["value_range"] == [-1.0, 1.0]
    assert config["identity_encoder"] == "mine"
    assert config["identity_checksum"] == "0123"
    loaded = load_network(tmp_path)
    loaded.save_pretrained(tmp_path / "again")
    assert (tmp_path / "again" / "config.json").read_text() == (tmp_path / "config.json").read_text()


def test_subfolder_and_dtype(light: LightGenerator, tmp_path: Path) -> None:
    light.save_pretrained(tmp_path / "generator")
    loaded = load_network(tmp_path, subfolder="generator", dtype=torch.bfloat16)
    assert {p.dtype for p in loaded.parameters()} == {torch.bfloat16}
    assert torch.equal(loaded.stem.weight, light.stem.weight.to(torch.bfloat16))
    assert same(LightGenerator.from_pretrained(tmp_path, subfolder="generator"), light)


def test_variant_is_a_file_of_its_own(light: LightGenerator, tmp_path: Path) -> None:
    light.save_pretrained(tmp_path)
    light.to(torch.float16).save_pretrained(tmp_path, variant="fp16")
    assert (tmp_path / "diffusion_pytorch_model.fp16.safetensors").is_file()
    half = load_network(tmp_path, variant="fp16", dtype=torch.float16)
    assert {p.dtype for p in half.parameters()} == {torch.float16}
    with pytest.raises(WeightsError, match=r"no safetensors weights of variant 'ema'.*fp16"):
        load_network(tmp_path, variant="ema")


@pytest.mark.parametrize("low_cpu_mem_usage", [False, True])
def test_shards(low_cpu_mem_usage: bool, light: LightGenerator, tmp_path: Path) -> None:
    if low_cpu_mem_usage:
        pytest.importorskip("accelerate")
    light.save_pretrained(tmp_path, max_shard_size="100KB")
    assert len(list(tmp_path.glob("*-of-*.safetensors"))) > 1
    loaded = load_network(tmp_path, low_cpu_mem_usage=low_cpu_mem_usage)
    assert same(loaded, light)
    target, identity = torch.rand(1, 3, 16, 16), torch.rand(1, 8)
    assert torch.equal(loaded(target, identity).image, light(target, identity).image)


def test_weights_in_channels_last_are_saved_all_the_same(light: LightGenerator, tmp_path: Path) -> None:
    light.to(memory_format=torch.channels_last).save_pretrained(tmp_path)
    assert same(load_network(tmp_path), light)


def test_a_loaded_network_outlives_its_folder(light: LightGenerator, tmp_path: Path) -> None:
    light.save_pretrained(tmp_path)
    loaded = load_network(tmp_path)
    (tmp_path / WEIGHTS).write_bytes(bytes((tmp_path / WEIGHTS).stat().st_size))
    assert same(loaded, light)


def test_revision_from_the_cache(cached_hub: Path) -> None:
    where = {"cache_dir": cached_hub, "local_files_only": True}
    assert load_network(REPO, **where).head.bias[0] == 2
    assert load_network(REPO, revision="v1", **where).head.bias[0] == 1
    assert load_network(REPO, subfolder="generator", revision="v1", **where).head.bias[0] == 1
    assert LightGenerator.from_pretrained(REPO, **where).head.bias[0] == 2


def test_push_uploads_what_loads_again(
    light: LightGenerator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import diffusers.utils.hub_utils as hub

    uploads: list[dict[str, Any]] = []

    class Url(str):
        repo_id = REPO

    class Card:
        def save(self, path: str) -> None:
            Path(path).write_text("# light")

    def upload(**given: Any) -> str:
        uploads.append(given)
        for file in Path(given["folder_path"]).iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes())
        return "done"

    monkeypatch.setattr(hub, "create_repo", lambda repo_id, **_: Url(f"https://hub/{repo_id}"))
    monkeypatch.setattr(hub, "load_or_create_model_card", lambda *_, **__: Card())
    monkeypatch.setattr(hub, "populate_model_card", lambda card: card)
    monkeypatch.setattr(hub, "upload_folder", upload)
    light.push_to_hub(REPO, commit_message="first")
    assert uploads[0]["repo_id"] == REPO
    assert uploads[0]["commit_message"] == "first"
    assert same(load_network(tmp_path), light)
    assert not list(tmp_path.glob("*.bin"))


@pytest.mark.parametrize("load", [load_network, IdentityEncoder.from_pretrained], ids=["any", "class"])
def test_offline_fails_at_once_with_a_clear_error(
    load: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    start = time.perf_counter()
    with pytest.raises(WeightsError, match=r"someone/nothing.*offline.*HF_HUB_OFFLINE") as caught:
        load("someone/nothing", cache_dir=tmp_path)
    assert time.perf_counter() - start < 3  # a request to the Hub would be retried for longer
    assert "\n" not in str(caught.value)


def test_errors_name_what_is_wrong_with_a_folder(light: LightGenerator, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no config\.json in"):
        load_network(tmp_path)
    light.save_pretrained(tmp_path / "no_weights")
    (tmp_path / "no_weights" / WEIGHTS).unlink()
    with pytest.raises(WeightsError, match="no safetensors weights for LightGenerator"):
        load_network(tmp_path / "no_weights")
    with pytest.raises(WeightsError, match="not/a/repo/at all"):
        load_network("not/a/repo/at all")


def test_pickled_weights_are_never_opened(light: LightGenerator, tmp_path: Path) -> None:
    light.save_pretrained(tmp_path)
    (tmp_path / WEIGHTS).unlink()
    torch.save(light.state_dict(), tmp_path / "diffusion_pytorch_model.bin")
    with pytest.raises(WeightsError, match=r"diffusion_pytorch_model\.bin.*pickled weights are never loaded"):
        load_network(tmp_path)
    with pytest.raises(WeightsError, match="never loaded"):
        LightGenerator.from_pretrained(tmp_path, use_safetensors=False)
    with pytest.raises(WeightsError, match="saved as safetensors only"):
        light.save_pretrained(tmp_path, safe_serialization=False)


@pytest.mark.parametrize("low_cpu_mem_usage", [False, True])
@pytest.mark.parametrize("change", ["missing", "unknown", "reshaped"])
def test_incomplete_or_mismatched_weights_are_refused(
    change: str, low_cpu_mem_usage: bool, light: LightGenerator, tmp_path: Path
) -> None:
    if low_cpu_mem_usage:
        pytest.importorskip("accelerate")
    light.save_pretrained(tmp_path)
    tensors = load_file(tmp_path / WEIGHTS)
    if change == "missing":
        del tensors["stem.weight"]
    elif change == "unknown":
        tensors["stem.extra"] = torch.zeros(1)
    else:
        tensors["stem.weight"] = torch.zeros(4, 5, 3, 3)
    save_file(tensors, tmp_path / WEIGHTS, metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=r"stem\.(weight|extra)") as caught:
        load_network(tmp_path, low_cpu_mem_usage=low_cpu_mem_usage)
    assert "\n" not in str(caught.value)


def test_only_our_classes_are_looked_up(light: LightGenerator, tmp_path: Path) -> None:
    light.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text()) | {"_class_name": "Module"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match=r"'Module', not one of our networks.*LightGenerator"):
        load_network(tmp_path)


def test_the_wrong_class_is_refused(tmp_path: Path) -> None:
    FixerNet(embedding_size=8).save_pretrained(tmp_path)
    with pytest.raises(WeightsError, match="HearNet"):
        HearNet.from_pretrained(tmp_path)


def test_every_public_name_loads() -> None:
    for name in models.__all__:
        assert getattr(models, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        models.Nothing  # noqa: B018
