"""The comb autoencoder: levels, fade-in, and decoders that are added later or shared separately."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from reliableswap.errors import ReliableSwapError, WeightsError
from reliableswap.models import CombAutoencoder, CombDecoder, GeneralAutoencoder, load_network
from reliableswap.models.comb_levels import channels_at, sides


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
@pytest.mark.parametrize(
    ("side", "blocks"), [(4, "paper"), (8, "paper"), (16, "paper"), (8, "light"), (16, "light")]
)
def test_every_level_answers_at_its_own_side(side: int, blocks: str, norm: str) -> None:
    network = small(norm=norm, blocks=blocks)
    made = network(pictures(side), "bob")
    assert made.shape == (2, 3, side, side)
    assert not torch.equal(made, network(pictures(side), "alice"))


def test_1024_pixels() -> None:
    network = CombAutoencoder(("one",), size=1024, latent=8, base_channels=1, max_channels=2).eval()
    with torch.inference_mode():
        assert network(pictures(1024, 1)).shape == (1, 3, 1024, 1024)


@pytest.mark.parametrize("blocks", ["paper", "light"])
def test_a_level_fades_in_from_the_one_below(blocks: str) -> None:
    network = small(blocks=blocks)
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


def test_a_decoder_can_be_exported_and_added_later(tmp_path: Path) -> None:
    trained = small()
    trained.export_decoder("bob").save_pretrained(tmp_path)
    other = small(("carol",))
    other.encoder.load_state_dict(trained.encoder.state_dict())
    other.encoder.stage.grow(16, 0.5)  # the state of a fade-in does not make it another encoder
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
    with pytest.raises(WeightsError, match="differs from this network in size and latent"):
        network.add_decoder(small(size=8, latent=4).export_decoder("bob"))


def test_unknown_people_and_impossible_names() -> None:
    with pytest.raises(ReliableSwapError, match="no decoder for 'carol'; available: alice, bob"):
        small()(pictures(8), "carol")
    for name in ("", "a.b", "keys", "train", "-x"):
        with pytest.raises(ReliableSwapError, match="invalid name for a person"):
            small((name,))
    with pytest.raises(ReliableSwapError, match="duplicate names in people: alice, alice"):
        small(("alice", "alice"))
    with pytest.raises(ReliableSwapError, match="unknown norm"):
        small(norm="layer")
    with pytest.raises(ReliableSwapError, match="unknown blocks"):
        small(blocks="heavy")


def test_light_levels_take_a_quarter_of_the_work() -> None:
    def work(blocks: str) -> int:
        network = CombAutoencoder(
            ("one",), size=64, latent=8, base_channels=2, max_channels=96, blocks=blocks
        )
        layers = [layer for layer in network.modules() if isinstance(layer, torch.nn.Conv2d)]
        done = []
        for layer in layers:
            layer.register_forward_hook(lambda at, _, out: done.append(at.weight.numel() * out[0, 0].numel()))
        with torch.no_grad():
            network(pictures(64, 1))
        return sum(done)

    assert 4 * work("light") < work("paper")


@pytest.mark.parametrize("blocks", ["paper", "light"])
def test_a_new_decoder_begins_with_a_colour(blocks: str) -> None:
    decoder = small(blocks=blocks).decoder("alice")
    decoder.init_colour(torch.tensor([0.5, -0.2, 0.1]))
    for layer in decoder.to_rgb.values():
        torch.nn.init.zeros_(layer.conv.weight)
    drawn = decoder(torch.randn(1, 12))
    assert torch.allclose(drawn[0].mean((1, 2)), torch.tensor([0.5, -0.2, 0.1]))
    assert drawn.std((2, 3)).max() < 1e-6


def test_a_persons_decoder_is_taken_out_of_the_general_one(tmp_path: Path) -> None:
    torch.manual_seed(0)
    general = GeneralAutoencoder(size=16, latent=12, max_channels=8, identity=5).eval()
    general.grow(16)
    torch.nn.init.normal_(general.decoder.to_rgb["16"].conv.weight)
    general.save_pretrained(tmp_path)
    again = load_network(tmp_path)
    assert isinstance(again, GeneralAutoencoder)
    who, other = torch.randn(2, 5, generator=torch.Generator().manual_seed(1))
    seen = pictures(16)
    drawn = again(seen, who.expand(2, -1))
    alone = again.decoder_of(3 * who)(again.encoder(seen), 16)  # the vector's length does not matter
    assert torch.allclose(alone, drawn, atol=1e-5)
    assert not torch.allclose(again(seen, other.expand(2, -1)), drawn, atol=1e-2)
    assert not torch.equal(again(seen, who.expand(2, -1), noise=0.5), drawn)
    with pytest.raises(ValueError, match="v_id has shape"):
        again(seen, who[None, :4].expand(2, -1))
