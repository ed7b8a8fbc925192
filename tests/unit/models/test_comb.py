"""The comb autoencoder: levels, fade-in, decoders that are added later and shared alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from reliableswap.errors import ReliableSwapError, WeightsError
from reliableswap.models import CombAutoencoder, CombDecoder
from reliableswap.models.comb_decoder import channels_at, sides


def small(people: tuple[str, ...] = ("alice", "bob"), **more: Any) -> CombAutoencoder:
    torch.manual_seed(0)
    settings = {"size": 16, "latent": 12, "base_channels": 1, "max_channels": 8, **more}
    return CombAutoencoder(people, **settings).eval()


def pictures(side: int, count: int = 2) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(side)) * 2 - 1


def test_the_papers_widths() -> None:
    assert [channels_at(side, 16, 512) for side in (1024, 256, 64, 32, 4)] == [16, 64, 256, 512, 512]
    assert sides(1024) == (4, 8, 16, 32, 64, 128, 256, 512, 1024)
    for wrong in (2, 96, 2048):
        with pytest.raises(ReliableSwapError, match="power of two"):
            sides(wrong)


@pytest.mark.parametrize("norm", ["none", "batch", "group"])
@pytest.mark.parametrize("side", [4, 8, 16])
def test_every_level_answers_at_its_own_side(side: int, norm: str) -> None:
    network = small(norm=norm)
    made = network(pictures(side), "bob")
    assert made.shape == (2, 3, side, side)
    assert not torch.equal(made, network(pictures(side), "alice"))


def test_1024_pixels() -> None:
    network = CombAutoencoder(("one",), size=1024, latent=8, base_channels=1, max_channels=2).eval()
    with torch.inference_mode():
        assert network(pictures(1024, 1)).shape == (1, 3, 1024, 1024)


def test_a_level_fades_in_from_the_one_below() -> None:
    network = small()
    network.grow(8)
    below = network(torch.nn.functional.avg_pool2d(pictures(16), 2), "bob")
    network.grow(16, 0.0)
    unseen = network(pictures(16), "bob")
    assert torch.allclose(unseen, torch.nn.functional.interpolate(below, scale_factor=2.0), atol=1e-6)
    network.grow(16, 1.0)
    assert not torch.allclose(network(pictures(16), "bob"), unseen, atol=1e-3)


def test_what_was_trained_is_saved(tmp_path: Path) -> None:
    network = small()
    network.grow(8, 0.25, ["alice"])
    network.decoder("alice").portrait.keep(
        torch.full((128, 128, 3), 7, dtype=torch.uint8), torch.full((468, 3), 12.3456)
    )
    network.save_pretrained(tmp_path)
    loaded = CombAutoencoder.from_pretrained(tmp_path)
    assert loaded.people == ["alice", "bob"]
    assert (loaded.side_of("alice"), loaded.side_of("bob")) == (8, 4)
    assert float(loaded.encoder.stage.fade) == 0.25
    assert loaded.trained == ["alice"]
    assert torch.allclose(loaded.decoder("alice").portrait.mesh, torch.tensor(12.346))
    half = CombAutoencoder.from_pretrained(tmp_path, dtype=torch.bfloat16)
    assert torch.equal(half.decoder("alice").portrait.mesh, loaded.decoder("alice").portrait.mesh)


def test_a_decoder_is_shared_alone_and_added_later(tmp_path: Path) -> None:
    trained = small()
    trained.export_decoder("bob").save_pretrained(tmp_path)
    other = small(("carol",))
    other.encoder.load_state_dict(trained.encoder.state_dict())
    other.encoder.stage.grow(16, 0.5)  # how far a level has faded in is no other encoder
    trained.encoder.stage.grow(16, 0.5)
    other.add_decoder(CombDecoder.from_pretrained(tmp_path))
    assert other.people == ["carol", "bob"]
    trained.decoder("bob").stage.grow(16, 1.0)
    other.decoder("bob").stage.grow(16, 1.0)
    assert torch.equal(other(pictures(16), "bob"), trained(pictures(16), "bob"))
    other.save_pretrained(tmp_path / "both")
    assert CombAutoencoder.from_pretrained(tmp_path / "both").people == ["carol", "bob"]


def test_a_decoder_of_another_encoder_is_refused() -> None:
    network = small()
    stranger = small()
    torch.nn.init.ones_(stranger.encoder.last.weight)
    with pytest.raises(WeightsError, match="another encoder"):
        network.add_decoder(stranger.export_decoder("bob"))
    with pytest.raises(WeightsError, match="another size and latent"):
        network.add_decoder(small(size=8, latent=4).export_decoder("bob"))


def test_unknown_people_and_impossible_names() -> None:
    with pytest.raises(ReliableSwapError, match="no decoder of 'carol'; there are those of alice, bob"):
        small()(pictures(8), "carol")
    for name in ("", "a.b", "keys", "train", "-x"):
        with pytest.raises(ReliableSwapError, match="can't be called"):
            small((name,))
    with pytest.raises(ReliableSwapError, match="another name"):
        small(("alice", "alice"))
    with pytest.raises(ReliableSwapError, match="unknown norm"):
        small(norm="layer")
