"""The tokeniser of faces and its codebook."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.described import tiny_tokeniser
from torch.nn import functional as F

from reliableswap.bundled import bundled
from reliableswap.models import FaceTokeniser, UnifiedTransformer, load_network
from reliableswap.models.unified.quantiser import Quantiser
from reliableswap.models.unified.texture import TextureDiscriminator


def pictures(count: int = 2) -> torch.Tensor:
    return torch.rand(count, 3, 128, 128, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_tokens_give_the_picture_of_the_whole_network() -> None:
    network = tiny_tokeniser()
    with torch.no_grad():
        output = network(pictures())
        tokens = network.encode(pictures())
        made = network.decode(tokens)
    assert tokens.shape == (2, 64)
    assert torch.equal(tokens, output.tokens)
    assert torch.allclose(made, output.picture.clamp(-1, 1), atol=1e-5)


def test_it_comes_back_bit_equal(tmp_path: Path) -> None:
    network = tiny_tokeniser()
    network.save_pretrained(tmp_path)
    loaded = load_network(tmp_path)
    assert type(loaded) is type(network)
    with torch.no_grad():
        assert torch.equal(network(pictures()).picture, loaded(pictures()).picture)


def test_it_runs_in_bfloat16() -> None:
    network = tiny_tokeniser().to(torch.bfloat16)
    with torch.no_grad():
        tokens = network.encode(pictures().bfloat16())
        assert network.decode(tokens).dtype == torch.bfloat16


def test_the_gradient_reaches_the_encoder_through_the_codes() -> None:
    network = tiny_tokeniser().train()
    network(pictures()).picture.square().mean().backward()
    weight = network.encoder[1].weight
    assert weight.grad is not None
    assert float(weight.grad.abs().sum()) > 0


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ValueError, match=r"pictures has shape \(1, 3, 64, 64\)"):
        tiny_tokeniser()(torch.zeros(1, 3, 64, 64))
    with pytest.raises(ValueError, match="tokens has shape"):
        tiny_tokeniser().decode(torch.zeros(1, 9, dtype=torch.long))


def test_codes_move_to_the_vectors_they_stand_for() -> None:
    torch.manual_seed(0)
    quantiser = Quantiser(16, 2).train()
    centres = F.normalize(torch.tensor([[1.0, 0], [-1, 0], [0, 1], [0, -1]]), dim=1)
    for _ in range(300):
        chosen = centres[torch.randint(4, (64,))]
        noise = 0.05 * torch.randn(64, 2)
        found = quantiser((chosen + noise).t().reshape(1, 2, 8, 8))
    nearest = (centres @ quantiser.codes.t()).max(1).values
    assert float(nearest.min()) > 0.98
    assert float(found.commitment) < 0.05


def test_warm_up_passes_vectors_through_and_then_initialises_the_codes() -> None:
    torch.manual_seed(0)
    quantiser = Quantiser(16, 2, warm_up=2).train()
    x = torch.randn(1, 2, 8, 8)
    for _ in range(2):
        found = quantiser(x)
        assert torch.allclose(found.vectors, F.normalize(x, dim=1), atol=1e-6)
        assert float(found.commitment) == 0
    codes = quantiser.codes.clone()
    found = quantiser(x)
    assert not torch.equal(quantiser.codes, codes)
    assert not torch.allclose(found.vectors, F.normalize(x, dim=1), atol=1e-3)
    assert float(found.commitment) > 0


def test_codes_that_are_not_used_any_more_move() -> None:
    torch.manual_seed(0)
    quantiser = Quantiser(16, 2).train()
    for _ in range(400):  # all vectors are the same
        found = quantiser(torch.ones(1, 2, 8, 8))
    assert torch.allclose(quantiser.codes, torch.full((16, 2), 0.5**0.5), atol=0.2)
    assert found.tokens.unique().numel() == 1


def test_codes_stay_out_of_training() -> None:
    quantiser = Quantiser(8, 4).eval()
    before = quantiser.codes.clone()
    quantiser(torch.randn(2, 4, 8, 8))
    assert torch.equal(before, quantiser.codes)


def test_noise_replaces_codes_by_those_of_another_picture() -> None:
    torch.manual_seed(0)
    quantiser = Quantiser(16, 4, noise=0.2).train()
    quantiser(torch.randn(8, 4, 8, 8))
    given = torch.randn(8, 4, 8, 8)
    codes = quantiser.codes.clone()
    found = quantiser(given)
    own = codes[found.tokens].permute(0, 3, 1, 2)
    other = ((found.vectors - own).abs().sum(1) > 1e-4).float().mean((1, 2))
    assert 0.05 < float(other.mean()) < 0.35
    assert torch.allclose(
        quantiser.eval()(given).vectors, quantiser.look_up(quantiser(given).tokens), atol=1e-5
    )


def test_its_checksum_covers_encoder_and_codes_only() -> None:
    network = tiny_tokeniser()
    checksum = network.checksum()
    with torch.no_grad():
        network.decoder[0].weight.add_(1)
        network.quantiser.uses.add_(1)
    assert network.checksum() == checksum
    assert network.half().checksum() == checksum
    with torch.no_grad():
        network.encoder[1].weight.add_(1)
    assert network.checksum() != checksum
    other = tiny_tokeniser()
    other.quantiser.codes.mul_(-1)
    assert other.checksum() != checksum


def test_the_shipped_transformer_names_the_shipped_tokens() -> None:
    config = UnifiedTransformer.load_config(str(bundled("unified") / "transformer"))
    tokeniser = FaceTokeniser.from_pretrained(bundled("unified") / "tokeniser")
    assert config["tokeniser_checksum"] == tokeniser.checksum()


def test_training_keeps_tokens_if_asked() -> None:
    network = tiny_tokeniser()
    network.quantiser.noise = 0.2
    tokens, codes = network.encode(pictures(4)), network.quantiser.codes.clone()
    network.keep_tokens()
    network.train()
    network(pictures(4)).picture.square().mean().backward()
    assert all((one.grad is not None) == ("decoder" in name) for name, one in network.named_parameters())
    assert torch.equal(network.quantiser.codes, codes)
    assert float(network.quantiser.calls) == 0
    assert torch.equal(network(pictures(4)).tokens, tokens.view(4, 64))


def test_more_last_blocks_change_nothing_at_first(tmp_path: Path) -> None:
    network = tiny_tokeniser()
    with torch.no_grad():
        before = network(pictures()).picture
        made = network.with_last_blocks(3)
        assert torch.allclose(made(pictures()).picture, before, atol=1e-5)
    assert made.parameter_count > tiny_tokeniser().parameter_count
    made.save_pretrained(tmp_path)
    again = load_network(tmp_path)
    assert again.config["last_blocks"] == 3
    with torch.no_grad():
        assert torch.equal(again(pictures()).picture, made(pictures()).picture)
        assert made.with_last_blocks(4).parameter_count > made.parameter_count
    with pytest.raises(ValueError, match="last_blocks is 1"):
        made.with_last_blocks(1)


def test_the_texture_discriminator_judges_pixels_and_features() -> None:
    torch.manual_seed(0)
    judge = TextureDiscriminator(4, widths=(4, 5, 6))
    sizes = (32, 16, 8, 4)
    maps = [torch.rand(2, width, size, size) for width, size in zip((3, 4, 5, 6), sizes, strict=True)]
    judgement = judge(pictures(), maps)
    assert [one.shape[-1] for one in judgement.logits] == [16, 8, 8, 8, 4]
    assert len(judgement.features) == 5
    judge.requires_grad_(False).requires_grad_(True)
    assert not any(one.requires_grad for one in judge.mixing.parameters())
    assert all(one.requires_grad for one in judge.judges.parameters())
