"""Encoders: unit vectors, normalisation, checksums, and which generator they belong to."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from reliableswap.errors import WeightsError
from reliableswap.models import FixerNet, IdentityEncoder, LightGenerator, check_encoder, load_network
from reliableswap.models.identity import face_body


def test_encoders_give_unit_vectors_and_the_published_fixer_does_not() -> None:
    faces = torch.rand(3, 3, 112, 112)
    encoder = IdentityEncoder().eval()
    assert torch.allclose(encoder(faces).norm(dim=1), torch.ones(3))
    assert torch.allclose(encoder(faces), torch.nn.functional.normalize(encoder.embed(faces)))
    raw = FixerNet(normalised=False, embedding_size=8).eval()
    assert not torch.allclose(raw(faces[..., ::2, ::2]).norm(dim=1), torch.ones(3), atol=0.01)
    with pytest.raises(ValueError, match=r"unknown body 'resnet'.*iresnet50"):
        face_body("resnet", 8, 112)


def test_normalisation_is_in_the_config_and_matters() -> None:
    torch.manual_seed(1)
    plain = IdentityEncoder(embedding_size=16).eval()
    other = IdentityEncoder(embedding_size=16, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)).eval()
    other.load_state_dict(plain.state_dict())
    faces = torch.rand(1, 3, 112, 112) * 2 - 1
    wanted = ((faces + 1) / 2 - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).view(3, 1, 1)
    assert torch.allclose(other(faces), plain(wanted), atol=1e-5)
    assert plain.checksum() != other.checksum()


def test_checksum_is_of_the_weights_and_not_of_their_dtype(tmp_path: Path) -> None:
    encoder = IdentityEncoder(embedding_size=16)
    whole = encoder.checksum()
    encoder.save_pretrained(tmp_path, variant="fp16")
    assert load_network(tmp_path, variant="fp16", dtype=torch.float16).checksum() == whole
    assert encoder.to(torch.float16).to(torch.float32).checksum() == whole
    with torch.no_grad():
        encoder.trunk.bn.running_mean += 0.01
    assert encoder.checksum() != whole


def test_a_generator_goes_only_with_its_encoder() -> None:
    encoder = IdentityEncoder(embedding_size=16, name="mine")
    stranger = IdentityEncoder(embedding_size=16, name="theirs")
    settings = {"channels": (8, 8, 8, 8), "block_count": 1, "identity_dim": 16}
    generator = LightGenerator(**settings, identity_encoder="mine", identity_checksum=encoder.checksum())
    check_encoder(generator, encoder)
    with pytest.raises(WeightsError, match=r"trained with mine \(16-d.*not with theirs \(16-d"):
        check_encoder(generator, stranger)
    with pytest.raises(WeightsError, match="no checksum"):
        check_encoder(LightGenerator(**settings), encoder)
    with pytest.raises(WeightsError, match="no fixer vector besides mine, but got a 128-d fixer vector"):
        check_encoder(generator, encoder, FixerNet())
    with_fixer = LightGenerator(
        **settings, fixer_dim=128, identity_encoder="mine", identity_checksum=encoder.checksum()
    )
    check_encoder(with_fixer, encoder, FixerNet())
    with pytest.raises(WeightsError, match="load its FixerNet too"):
        check_encoder(with_fixer, encoder)
