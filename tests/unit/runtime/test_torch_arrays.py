"""PyTorch networks, called with NumPy arrays."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reliableswap.models import (
    FaceDetector,
    GlassesNet,
    IdentityEncoder,
    LightGenerator,
    MeshNet,
    SimSwapGenerator,
)
from reliableswap.runtime.arrays import as_array_network
from reliableswap.runtime.torch_arrays import TorchArrayNetwork

RANDOM = np.random.default_rng(0)
SMALL = {"channels": (8, 8, 8, 8), "block_count": 1, "identity_dim": 16}


def test_one_answer_and_several_come_as_a_tuple_of_float32_arrays() -> None:
    picture = RANDOM.uniform(-1, 1, (2, 3, 128, 128)).astype(np.float32)
    network = MeshNet().eval()
    mesh, presence = TorchArrayNetwork(network)(picture)
    with torch.no_grad():
        wanted = network(torch.from_numpy(picture))
    np.testing.assert_allclose(mesh, wanted[0], rtol=1e-5)
    assert presence.shape == (2,)
    (logits,) = TorchArrayNetwork(GlassesNet(channels=(4, 8)).to(torch.bfloat16).eval())(picture[:, :, :64])
    assert logits.dtype == np.float32


def test_a_generators_guidance_may_be_missing_and_its_sizes_are_known() -> None:
    generator = TorchArrayNetwork(LightGenerator(**SMALL, sizes=(256, 128)).eval())
    image, mask = generator(np.zeros((1, 3, 128, 128), np.float32), np.ones((1, 16), np.float32), None)
    assert (image.shape, mask.shape) == ((1, 3, 128, 128), (1, 1, 128, 128))
    assert (list(generator.sizes), generator.guidance_channels, generator.adapter) == ([128, 256], 4, None)
    assert list(TorchArrayNetwork(SimSwapGenerator(channels=8, identity_dim=16)).sizes) == [128]


def test_a_layered_generator_answers_with_maps() -> None:
    generator = LightGenerator(**SMALL, layers=True).eval()
    target, guidance = (RANDOM.uniform(-1, 1, (1, n, 128, 128)).astype(np.float32) for n in (3, 4))
    identity = np.ones((1, 16), np.float32)
    with torch.no_grad():
        wanted = generator.maps(*map(torch.from_numpy, (target, identity, guidance)))
    for one, other in zip(TorchArrayNetwork(generator).maps(target, identity, guidance), wanted, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_detections_above_a_logit() -> None:
    detector = FaceDetector().eval()
    with torch.no_grad():
        detector.heads[1].bias[0] = 3.0
    found = as_array_network(detector).above(np.zeros((1, 3, 64, 96), np.float32), 0.0)
    assert found.shape == (4 * 6, 15)
    assert as_array_network(detector).above(np.zeros((1, 3, 64, 96), np.float32), 99.0).shape == (0, 15)


def test_a_checksum_follows_the_weights() -> None:
    encoder = IdentityEncoder(embedding_size=16).eval()
    running = TorchArrayNetwork(encoder)
    before = running.checksum()
    assert before == encoder.checksum() == TorchArrayNetwork(encoder).checksum()
    with torch.no_grad():
        next(encoder.parameters()).add_(1)
    assert running.checksum() == encoder.checksum() != before


def test_an_adapter_joins_as_by_torch() -> None:
    encoder = IdentityEncoder(embedding_size=16)
    settings = {name: encoder.config[name] for name in ("body", "embedding_size", "mean", "std")}
    network = LightGenerator(**SMALL, adapter_join="concat", adapter_encoder=settings).eval()
    adapter, window = TorchArrayNetwork(network).adapter, np.zeros((1, 3, 112, 112), np.float32)
    assert adapter is not None
    vector = np.ones((1, 16), np.float32)
    joined = adapter.join(vector, adapter(window))
    assert joined.shape == (1, 32)
    with torch.no_grad():
        wanted = network.adapter.join(torch.from_numpy(vector), network.adapter(torch.from_numpy(window)))
    np.testing.assert_allclose(joined, wanted, rtol=1e-4)


@pytest.mark.parametrize("given", [lambda *_: (), None])
def test_objects_other_than_torch_networks_are_called_directly(given: object) -> None:
    assert as_array_network(given) is given
