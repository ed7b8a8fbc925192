"""Converted networks are cached, found again, and converted anew when anything they depend on changes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from huggingface_hub import constants

from reliableswap.models import FixerNet
from reliableswap.runtime import cache


@pytest.fixture
def network() -> FixerNet:
    torch.manual_seed(0)
    return FixerNet(embedding_size=8)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache's folder, new for every test."""

    def here(library: str, namespace: str) -> Path:
        folder = tmp_path / library / namespace
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    monkeypatch.setattr(cache, "cached_assets_path", here)
    return tmp_path / "reliableswap" / "some"


def write(folder: Path) -> None:
    (folder / "network").write_text("converted")


def never(folder: Path) -> None:
    raise AssertionError("converted again")


def test_a_network_is_converted_once(network: FixerNet, place: Path) -> None:
    for convert in (write, never):
        with cache.cached_conversion("some", "1", network, [torch.Size([1, 3, 56, 56])], convert) as folder:
            assert (folder / "network").read_text() == "converted"
            assert folder.parent == place
    assert len(list(place.iterdir())) == 1


def test_other_weights_shapes_settings_and_versions_are_other_entries(network: FixerNet) -> None:
    shapes = [torch.Size([1, 3, 56, 56]), None]
    keys = {cache.conversion_key("1", network, shapes)}
    assert cache.conversion_key("1", network, shapes) in keys
    keys |= {cache.conversion_key("2", network, shapes), cache.conversion_key("1", network, shapes[:1])}
    torch.manual_seed(0)
    keys.add(cache.conversion_key("1", FixerNet(embedding_size=9), shapes))
    with torch.no_grad():
        next(network.parameters()).flatten()[0] += 1e-3
    keys.add(cache.conversion_key("1", network, shapes))
    assert len(keys) == 5


def test_a_failed_conversion_leaves_nothing(network: FixerNet, place: Path) -> None:
    with (
        pytest.raises(AssertionError, match="converted again"),
        cache.cached_conversion("some", "1", network, [], never),
    ):
        pass
    assert not list(place.iterdir())


def test_a_conversion_error_is_not_taken_for_a_cache_error(network: FixerNet, place: Path) -> None:
    calls = []

    def broken(folder: Path) -> None:
        calls.append(folder)
        raise ValueError("no such operator")

    with (
        pytest.raises(ValueError, match="no such operator"),
        cache.cached_conversion("some", "1", network, [], broken),
    ):
        pass
    assert len(calls) == 1
    assert not list(place.iterdir())


def test_without_a_cache_the_network_still_runs(
    network: FixerNet, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(library: str, namespace: str) -> Path:
        raise OSError("No space left on device")

    monkeypatch.setattr(cache, "cached_assets_path", full)
    with cache.cached_conversion("some", "1", network, [], write) as folder:
        assert (folder / "network").read_text() == "converted"
    assert not folder.exists()
    assert "No space left on device" in caplog.text


def test_least_recently_used_entries_are_deleted(
    network: FixerNet, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "_MAX_ENTRIES", 2)
    for size in (1, 2, 3, 4):
        with cache.cached_conversion("some", "1", network, [torch.Size([size])], write):
            pass
    assert len(list(place.iterdir())) == 2
    with cache.cached_conversion("some", "1", network, [torch.Size([4])], never):
        pass


def test_tests_have_a_cache_of_their_own() -> None:
    assert "reliableswap-tests" in str(constants.HF_ASSETS_CACHE)
