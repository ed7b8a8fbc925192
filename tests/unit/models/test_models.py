"""Every network: save and load, half precision, compile, odd batches, wrong shapes, gradients."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from reliableswap.errors import WeightsError
from reliableswap.models import (
    FaceShifterGenerator,
    FixerNet,
    HearNet,
    IdentityEncoder,
    LightGenerator,
    PatchDiscriminator,
    PerceptualFeatures,
    ProjectedDiscriminator,
    SimSwapGenerator,
    check_encoder,
    load_network,
)
from reliableswap.models.colours import expected_colours, with_coarse_colours
from reliableswap.models.generator import GeneratorOutput
from reliableswap.models.identity import face_body
from reliableswap.models.norms import modulated_norm, per_channel_norm
from reliableswap.runtime.torch import frozen_copy
from reliableswap.training.tasks.generator.corruption import corrupt_guidance


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


@dataclass(frozen=True)
class Case:
    """A small network of its class, and its inputs' shapes without the batch."""

    build: Callable[[], Any]
    shapes: tuple[tuple[int, ...], ...]
    wrong: tuple[int, ...]  # a first input of this shape is refused
    expected: str  # … with these words

    def inputs(self, batch: int, dtype: torch.dtype = torch.float32) -> list[Tensor]:
        return [torch.rand(batch, *shape, dtype=dtype) * 2 - 1 for shape in self.shapes]


CASES = {
    "mobilefacenet": Case(
        lambda: IdentityEncoder(), ((3, 112, 112),), (1, 3, 128, 128), r"\(any, 3, 112, 112\)"
    ),
    "iresnet18": Case(
        lambda: IdentityEncoder(body="iresnet18", embedding_size=16),
        ((3, 112, 112),),
        (1, 112, 112, 3),
        "112",
    ),
    "fixer": Case(
        lambda: FixerNet(embedding_size=32), ((3, 56, 56),), (1, 3, 112, 112), r"\(any, 3, 56, 56\)"
    ),
    "simswap": Case(
        lambda: SimSwapGenerator(channels=4, block_count=2, identity_dim=16),
        ((3, 64, 64), (16,)),
        (1, 3, 60, 60),
        "divisible by 8",
    ),
    "simswap_deep": Case(
        lambda: SimSwapGenerator(channels=4, levels=4, block_count=1, identity_dim=16, fixer_dim=8),
        ((3, 64, 64), (24,)),
        (1, 3, 72, 72),
        "divisible by 16",
    ),
    "faceshifter": Case(
        lambda: FaceShifterGenerator(channels=32, identity_dim=16),
        ((3, 256, 256), (16,)),
        (1, 3, 128, 128),
        r"\(any, 3, 256, 256\)",
    ),
    "faceshifter_512": Case(
        lambda: FaceShifterGenerator(size=512, channels=64, identity_dim=16, fixer_dim=8),
        ((3, 512, 512), (24,)),
        (1, 3, 256, 256),
        r"\(any, 3, 512, 512\)",
    ),
    "hear": Case(lambda: HearNet(channels=4), ((3, 64, 64), (3, 64, 64)), (1, 3, 48, 48), "divisible by 32"),
    "light": Case(
        lambda: LightGenerator(channels=(8, 12, 16, 24), block_count=2, identity_dim=16, fixer_dim=8),
        ((3, 64, 64), (24,), (4, 64, 64)),
        (1, 3, 60, 60),
        "divisible by 8",
    ),
    "light_without_guidance": Case(
        lambda: LightGenerator(channels=(8, 12, 16, 24), block_count=1, guidance_channels=0, identity_dim=16),
        ((3, 40, 64), (16,)),
        (1, 4, 64, 64),
        r"\(any, 3, any, any\)",
    ),
    "patches": Case(
        lambda: PatchDiscriminator(channels=8), ((3, 64, 64),), (1, 3, 72, 72), "divisible by 16"
    ),
    "projected": Case(
        lambda: ProjectedDiscriminator(channels=8), ((3, 64, 64),), (1, 3, 72, 72), "divisible by 32"
    ),
    "perceptual": Case(PerceptualFeatures, ((3, 64, 64),), (1, 3, 72, 72), "divisible by 32"),
}
GENERATORS = [name for name, case in CASES.items() if len(case.shapes) > 1 and name != "hear"]

each = pytest.mark.parametrize("name", CASES)


def tensors(output: Any) -> list[Tensor]:
    """All tensors in an output, in order."""
    if isinstance(output, Tensor):
        return [output]
    if isinstance(output, GeneratorOutput):
        return list(output.to_tuple())
    return [tensor for part in output for tensor in tensors(part)]


@torch.no_grad()
def outputs(network: Any, inputs: list[Tensor]) -> list[Tensor]:
    return tensors(network(*inputs))


@each
def test_comes_back_bit_equal(name: str, tmp_path: Path) -> None:
    network = CASES[name].build().eval()
    network.save_pretrained(tmp_path)
    loaded = load_network(tmp_path)
    assert type(loaded) is type(network)
    assert not loaded.training
    assert str(tmp_path) not in loaded.to_json_string()
    inputs = CASES[name].inputs(2)
    for before, after in zip(outputs(network, inputs), outputs(loaded, inputs), strict=True):
        assert torch.equal(before, after)


@each
def test_runs_in_bfloat16(name: str) -> None:
    network = CASES[name].build().eval()
    inputs = CASES[name].inputs(2)
    exact = outputs(network, inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network = network.to(torch.bfloat16)
    made = outputs(network, [tensor.to(torch.bfloat16) for tensor in inputs])
    for full, half in zip(exact, made, strict=True):
        assert half.dtype == torch.bfloat16
        assert torch.isfinite(half).all()
        # Eight bits of mantissa through a dozen layers: the two must still tell the same story.
        assert (full - half.float()).pow(2).mean().sqrt() < 0.25 * full.pow(2).mean().sqrt() + 1e-3


# Every class once: tracing is slow, and a variant of the same code traces alike.
@pytest.mark.parametrize(
    "name", sorted(CASES.keys() - {"simswap_deep", "faceshifter_512", "light_without_guidance"})
)
def test_compiles_in_one_graph(name: str) -> None:
    torch._dynamo.reset()
    network = CASES[name].build().eval()
    inputs = CASES[name].inputs(2)
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    for plain, fast in zip(outputs(network, inputs), outputs(compiled, inputs), strict=True):
        assert torch.allclose(plain, fast, atol=1e-5)


@each
def test_samples_of_an_odd_batch_do_not_mix(name: str) -> None:
    network = CASES[name].build().eval()
    inputs = CASES[name].inputs(3)
    together = outputs(network, inputs)
    alone = outputs(network, [tensor[2:] for tensor in inputs])
    for three, one in zip(together, alone, strict=True):
        assert three.shape[0] == 3
        assert torch.allclose(three[2:], one, rtol=1e-3, atol=1e-4)


@each
def test_refuses_wrong_shapes_by_name(name: str) -> None:
    case = CASES[name]
    rest = case.inputs(1)[1:]
    with pytest.raises(ValueError, match=case.expected):
        case.build()(torch.zeros(case.wrong), *rest)


@pytest.mark.parametrize("name", GENERATORS)
def test_generators_answer_alike(name: str) -> None:
    network = CASES[name].build().eval()
    target, identity, *guidance = CASES[name].inputs(2)
    with torch.no_grad():
        output = network(target, identity, *guidance)
        other = network(target, identity.flip(0), *guidance)
    image, mask = output
    assert image is output.image is output[0]
    assert image.shape == target.shape
    assert mask.shape == (2, 1, *target.shape[2:])
    assert mask.min() >= 0
    assert mask.max() <= 1
    assert not torch.allclose(image, other.image, atol=1e-4), "the identity changes nothing"
    with pytest.raises(ValueError, match=rf"identity .* expected \(2, {identity.shape[1]}\)"):
        network(target, identity[:, 1:])


@pytest.mark.parametrize("name", ["simswap", "faceshifter", "light_without_guidance"])
def test_refuses_guidance_it_would_ignore(name: str) -> None:
    target, identity = CASES[name].inputs(1)
    with pytest.raises(ValueError, match="takes no guidance"):
        CASES[name].build()(target, identity, torch.zeros(1, 4, *target.shape[2:]))


@pytest.mark.parametrize("target_colours", [0, 16])
def test_light_without_guidance_sees_nothing_valid_as_in_training(target_colours: int) -> None:
    network = LightGenerator(
        channels=(8, 12, 16, 24), block_count=1, identity_dim=24, target_colours=target_colours
    )
    target, identity, guidance = CASES["light"].inputs(1)
    nothing = torch.cat([-torch.ones_like(target), torch.zeros_like(target[:, :1])], 1)
    assert np.array_equal(nothing[0], corrupt_guidance(guidance[0].numpy(), "missing", np.random.default_rng(0)))
    with torch.no_grad():
        assert torch.equal(network(target, identity).image, network(target, identity, nothing).image)
        assert not torch.allclose(network(target, identity).image, network(target, identity, guidance).image)
    with pytest.raises(ValueError, match=r"guidance .* expected \(1, 4, 64, 64\)"):
        network(target, identity, guidance[:, :3])


def test_light_mask_has_logits_and_leaves_the_image_alone() -> None:
    network = CASES["light"].build()
    image, mask = output = network(*CASES["light"].inputs(1))
    assert output.mask_logits is not None
    assert torch.allclose(torch.sigmoid(output.mask_logits), mask)
    # The image must not depend on the mask head: the last of the head's four channels.
    (gradient,) = torch.autograd.grad(image.square().sum(), [network.head.weight])
    assert gradient[3].abs().max() == 0
    assert gradient[:3].abs().max() > 0


def test_light_is_within_its_budget() -> None:
    assert 5e6 < LightGenerator(identity_dim=128, fixer_dim=128).parameter_count < 6.5e6
    assert FixerNet().parameter_count <= 1.5e6


@pytest.mark.parametrize("name", [*GENERATORS, "mobilefacenet", "fixer", "hear", "patches", "projected"])
def test_gradients_reach_every_input(name: str) -> None:
    inputs = [tensor.requires_grad_() for tensor in CASES[name].inputs(2)]
    made = tensors(CASES[name].build()(*inputs))
    sum(tensor.square().sum() for tensor in made).backward()
    for tensor in inputs:
        assert tensor.grad is not None
        assert torch.isfinite(tensor.grad).all()
        assert tensor.grad.abs().max() > 0


def test_every_light_weight_learns() -> None:
    network = CASES["light"].build()
    output = network(*CASES["light"].inputs(2))
    (output.image.square().sum() + output.mask.sum()).backward()
    idle = [name for name, p in network.named_parameters() if p.grad is None or p.grad.abs().max() == 0]
    assert idle == []


def test_faceshifter_hands_out_its_attributes() -> None:
    network = CASES["faceshifter"].build().eval()
    maps = network.attributes(CASES["faceshifter"].inputs(1)[0])
    assert [tensor.shape[-1] for tensor in maps] == [2, 4, 8, 16, 32, 64, 128, 256]
    with pytest.raises(ValueError, match="choose 256 or 512"):
        FaceShifterGenerator(size=128)


def test_hear_refines_what_the_generator_lost() -> None:
    generator, hear = CASES["faceshifter"].build().eval(), HearNet(channels=4).eval()
    target, identity = CASES["faceshifter"].inputs(1)
    own = -identity
    with torch.no_grad():
        lost = target - generator(target, own).image
        wanted = hear(generator(target, identity).image, lost)
        assert torch.equal(hear.refine(generator, target, identity, own), wanted)


def test_light_learns_to_use_its_guidance() -> None:
    network = CASES["light"].build()
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    target, identity = torch.rand(4, 3, 32, 32) * 2 - 1, torch.randn(4, 24)
    texture = (torch.rand(4, 3, 1, 1) * 2 - 1).expand_as(target)
    target = torch.nn.functional.avg_pool2d(target, 15, 1, 7)
    valid = torch.zeros(4, 1, 32, 32)
    valid[..., 8:24, 8:24] = 1
    truth = torch.where(valid > 0, texture, target)
    losses = []
    for _ in range(80):
        output = network(target, identity, torch.cat([texture * valid, valid], dim=1))
        mask_loss = torch.nn.functional.binary_cross_entropy_with_logits(output.mask_logits, valid)
        loss = (output.image - truth).abs().mean() + mask_loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.25 * losses[0]


def test_discriminators_judge_at_every_scale() -> None:
    pictures = torch.rand(2, 3, 64, 64)
    patches = PatchDiscriminator(channels=8, scales=3)(pictures)
    assert [logits.shape for logits in patches.logits] == [(2, 1, s, s) for s in (8, 4, 2)]
    assert [len(maps) for maps in patches.features] == [4, 4, 4]
    projected = ProjectedDiscriminator(channels=8)(pictures)
    assert [logits.shape for logits in projected.logits] == [(2, 1, 2, 2)] * 4


def test_patch_discriminator_is_lipschitz_bounded() -> None:
    network = PatchDiscriminator(channels=8, halvings=2, scales=1)
    for _ in range(30):  # the power iterations that training would do
        network(torch.rand(1, 3, 32, 32))
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            largest = torch.linalg.matrix_norm(module.weight.detach().flatten(1), ord=2)
            assert largest.item() == pytest.approx(1, abs=0.05)


def test_projected_features_stay_frozen() -> None:
    discriminator = ProjectedDiscriminator(channels=8).train()
    frozen = {
        name: tensor.clone() for name, tensor in discriminator.state_dict().items() if "judges" not in name
    }
    optimiser = torch.optim.SGD((p for p in discriminator.parameters() if p.requires_grad), lr=0.1)
    before = discriminator.judges[0].head.bias.clone()
    sum(logits.sum() for logits in discriminator(torch.rand(2, 3, 64, 64)).logits).backward()
    optimiser.step()
    after = discriminator.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in frozen.items())
    assert not torch.equal(before, discriminator.judges[0].head.bias)


def test_only_the_judges_of_a_projected_discriminator_can_be_thawed() -> None:
    discriminator = ProjectedDiscriminator(channels=8)
    judges = {f"judges.{name}" for name, _ in discriminator.judges.named_parameters()}
    for learning in (False, True):
        discriminator.requires_grad_(learning)
        thawed = {name for name, p in discriminator.named_parameters() if p.requires_grad}
        assert thawed == (judges if learning else set())


def test_projected_looks_through_another_copy_that_it_does_not_save() -> None:
    discriminator = ProjectedDiscriminator(channels=8).eval()
    before, names = discriminator(torch.ones(1, 3, 64, 64)).logits[0], set(discriminator.state_dict())
    discriminator.use_features(frozen_copy(discriminator.features))
    assert set(discriminator.state_dict()) == names
    assert torch.allclose(discriminator(torch.ones(1, 3, 64, 64)).logits[0], before, atol=1e-4)
    other = PerceptualFeatures()
    torch.nn.init.ones_(other.stem[0].weight)
    discriminator.use_features(other)
    assert not torch.allclose(discriminator(torch.ones(1, 3, 64, 64)).logits[0], before, atol=1e-4)


def test_projected_takes_over_its_features() -> None:
    features = PerceptualFeatures()
    discriminator = ProjectedDiscriminator.from_features(features, channels=8)
    pictures = torch.rand(1, 3, 64, 64)
    for ours, theirs in zip(discriminator.features(pictures), features(pictures), strict=True):
        assert torch.equal(ours, theirs)


def test_per_channel_norm_survives_large_means_in_half_precision() -> None:
    x = torch.randn(2, 3, 16, 16) + torch.tensor([0.0, 10.0, 100.0]).view(1, 3, 1, 1)
    normed = per_channel_norm(x, eps=1e-5)
    assert normed.mean((2, 3)).abs().max() < 1e-4
    assert normed.var((2, 3), correction=0).sub(1).abs().max() < 1e-3
    half = per_channel_norm(x.bfloat16(), eps=1e-5)
    assert half.dtype == torch.bfloat16
    assert torch.isfinite(half).all()
    assert (half.float().var((2, 3), correction=0) - 1).abs().max() < 0.05


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_modulated_norm_has_the_gradient_of_its_parts(kind: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    x, scale, shift, weight = draw(2, 4, 9, 7) * 2 + 5, draw(2, 4), draw(2, 4), draw(2, 4, 9, 7)
    exact = [one.double().requires_grad_() for one in (x, scale, shift)]
    plain = torch.nn.functional.instance_norm(exact[0], eps=1e-5)
    answer = plain * (exact[1] + 1)[..., None, None] + exact[2][..., None, None]
    wanted = torch.autograd.grad((answer * weight).sum(), exact)
    given = [one.to(kind).requires_grad_() for one in (x, scale, shift)]
    ours = modulated_norm(*given, eps=1e-5)
    found = torch.autograd.grad((ours.float() * weight).sum(), given)
    tolerance = 1e-5 if kind == torch.float32 else 0.05
    assert ours.dtype == kind
    assert (ours - answer).abs().max() < tolerance * answer.abs().max()
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == kind
        assert (one - other).abs().max() < tolerance * other.abs().max()
    with torch.no_grad():
        assert (modulated_norm(*given, eps=1e-5) - ours).abs().max() < tolerance * answer.abs().max()


def test_a_generator_with_target_colours_keeps_its_own_lightness() -> None:
    lightness = torch.rand(1, 1, 16, 16).repeat_interleave(8, 2).repeat_interleave(8, 3) * 0.2 + 0.5
    made = lightness * torch.tensor([0.95, 1.0, 1.1]).view(1, 3, 1, 1) - 1
    warm = torch.tensor([1.0, 0.7, 0.4]).view(1, 3, 1, 1).expand(1, 3, 128, 128) - 1
    result = with_coarse_colours(made, warm, 16) + 1
    luma = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    assert ((result - made - 1) * luma).sum(1).abs().max() < 1e-5
    share, goal = ((one * luma / (one * luma).sum()).sum((0, 2, 3)) for one in (result, warm + 1))
    assert torch.allclose(share, goal, atol=0.01)
    # What changes from cell to cell stays the made face's.
    chequered = made + 0.05 * torch.tensor([1.0, 0.0, -1.0]).view(1, 3, 1, 1) * (
        (torch.arange(128) // 2) % 2 * 2 - 1
    )
    kept = with_coarse_colours(chequered, warm, 16) - with_coarse_colours(made, warm, 16)
    assert (kept - (chequered - made)).abs().max() < 0.01


def test_expected_colours_are_the_guidances_in_the_targets_light() -> None:
    target = torch.tensor([0.6, 0.1, -0.4]).view(1, 3, 1, 1).expand(1, 3, 64, 64).clone()
    target[..., 32:] -= 0.3  # a lamp from the left
    texture = torch.zeros(1, 3, 64, 64)
    texture[:, 0, 30:34, 8:56] = 0.4  # lips
    valid = torch.zeros(1, 1, 64, 64)
    valid[..., 8:56, 8:56] = 1
    found = expected_colours(target, torch.cat([texture, valid], 1))
    assert torch.equal(found[..., :8], target[..., :8])
    assert (found - target)[:, :, 12:18, 12:18].abs().max() < 0.1
    lips = (found - target)[:, :, 30:34, 14:26].mean((0, 2, 3))
    assert lips[0] > 0.25
    assert lips[1:].abs().max() < 0.1
    assert torch.equal(expected_colours(target, None), target)


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
    with pytest.raises(WeightsError, match=r"trained on mine \(16-d.*not on theirs \(16-d"):
        check_encoder(generator, stranger)
    with pytest.raises(WeightsError, match="no checksum"):
        check_encoder(LightGenerator(**settings), encoder)
    with pytest.raises(WeightsError, match="no fixer vector beside mine, but got a 128-d fixer vector"):
        check_encoder(generator, encoder, FixerNet())
    with_fixer = LightGenerator(
        **settings, fixer_dim=128, identity_encoder="mine", identity_checksum=encoder.checksum()
    )
    check_encoder(with_fixer, encoder, FixerNet())
    with pytest.raises(WeightsError, match="load its FixerNet too"):
        check_encoder(with_fixer, encoder)
