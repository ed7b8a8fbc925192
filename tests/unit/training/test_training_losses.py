"""The losses of generators, each with its own truth, and the guidance that is spoiled on purpose."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.generator_tasks import (
    ALL_KINDS,
    EVERY_LOSS,
    SIZE,
    batch_of_every_kind,
    settings_for,
    small_light,
    task_for,
)
from torch import Tensor, nn

from reliableswap.bundled import bundled
from reliableswap.data.triplet_dataset import Mix, TripletDataset
from reliableswap.errors import ReliableSwapError
from reliableswap.geometry import measures as geometry
from reliableswap.models import (
    FaceShifterGenerator,
    FixerNet,
    GeneratorOutput,
    IdentityEncoder,
    MeshNet,
    PatchDiscriminator,
    PerceptualFeatures,
    ProjectedDiscriminator,
)
from reliableswap.runtime.torch import frozen_copy
from reliableswap.training.tasks.generator import losses
from reliableswap.training.tasks.generator.probe import (
    Likeness,
    MeshProbe,
    eye_patches,
    fixer_window,
    identity_window,
    jittered,
    openings,
)
from reliableswap.training.tasks.generator.spoiling import Spoiling, spoil
from reliableswap.training.tasks.generator.task import run


def sizes_of_gradients(loss: Tensor, network: nn.Module) -> float:
    learning = [p for p in network.parameters() if p.requires_grad]
    grads = torch.autograd.grad(loss, learning, retain_graph=True, allow_unused=True)
    return sum(float(g.abs().sum()) for g in grads if g is not None)


def test_every_loss_moves_the_generator_and_leaves_its_inputs_alone(triplets: Path, encoders: Path) -> None:
    task = task_for(settings_for(triplets, **EVERY_LOSS, **ALL_KINDS), encoders)
    network = small_light(task)
    batch = batch_of_every_kind(task)
    before = {name: value.clone() for name, value in batch.items()}
    found = task.losses(network, batch)
    expected = {name.removesuffix("_weight") for name in EVERY_LOSS} - {"penalty"}
    assert set(found) == expected
    for name, loss in found.items():
        assert 0 < sizes_of_gradients(loss, network) < float("inf"), name
    assert all(torch.equal(batch[name], value) for name, value in before.items())


def test_further_encoders_take_part_in_the_identity_loss_alone(triplets: Path, encoders: Path) -> None:
    same, other = str(encoders / "identity"), str(bundled("identity"))
    values = dict.fromkeys(EVERY_LOSS, 0.0) | {
        "identity_weight": 1.0,
        "l1_weight": 1.0,
        "identity_jitter": 0.0,
    }
    found = {}
    for more in ("", same, other, f"{same}, {other}"):
        task = task_for(settings_for(triplets, **values, **ALL_KINDS, more_identities=more), encoders)
        network = small_light(task)
        found[more] = task.losses(network, batch_of_every_kind(task))
        assert sizes_of_gradients(found[more]["identity"], network) > 0
        assert ("also asks" in task.facts().get("identity encoder", "")) == bool(more)
    identity = {more: float(one["identity"].detach()) for more, one in found.items()}
    assert identity[same] == pytest.approx(identity[""], abs=1e-6)
    assert abs(identity[other] - identity[""]) > 0.1
    third = (2 * identity[""] + 2 * identity[other] - identity[""]) / 3
    assert identity[f"{same}, {other}"] == pytest.approx(third, abs=1e-6)
    with pytest.raises(ReliableSwapError, match="give it an --identity_weight"):
        run(settings_for(triplets, more_identities=other, identity_weight=0.0))
    assert len({float(one["l1"].detach()) for one in found.values()}) == 1


@pytest.mark.parametrize("kind", [PatchDiscriminator, ProjectedDiscriminator])
def test_the_discriminator_learns_from_its_own_loss_and_teaches_nobody_else(
    kind: type, triplets: Path, encoders: Path
) -> None:
    name = "patch" if kind is PatchDiscriminator else "projected"
    task = task_for(settings_for(triplets, **EVERY_LOSS, **ALL_KINDS, discriminator=name), encoders)
    assert isinstance(task.discriminator, kind)
    network, judge = small_light(task), task.discriminator
    assert judge is not None
    batch = batch_of_every_kind(task)
    before = {name: value.clone() for name, value in batch.items()}
    task.losses(network, batch)
    for name, loss in task.discriminator_losses(judge, batch).items():
        assert 0 < sizes_of_gradients(loss, judge) < float("inf"), name
        assert sizes_of_gradients(loss, network) == 0, name
    assert all(torch.equal(batch[name], value) for name, value in before.items())


def test_a_projected_discriminator_judges_the_features_of_the_losses(triplets: Path, encoders: Path) -> None:
    settings = settings_for(
        triplets, adversarial_weight=1.0, discriminator="projected", lower_face_weight=0.0
    )
    task = task_for(settings, encoders)
    pictures = torch.rand(2, 3, SIZE, SIZE) * 2 - 1
    before = task.discriminator(pictures).logits  # type: ignore[misc]
    with torch.no_grad():
        task.features.stem[0].weight.mul_(2)  # type: ignore[union-attr, operator, index]
    after = task.discriminator(pictures).logits  # type: ignore[misc]
    assert not any(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    with pytest.raises(ReliableSwapError, match="none were given"):
        task_for(dataclasses.replace(settings, perceptual_weight=0.0), encoders)
    with pytest.raises(ReliableSwapError, match="unknown --discriminator 'pixel'"):
        task_for(dataclasses.replace(settings, discriminator="pixel"), encoders)


def test_the_attribute_loss_moves_faceshifter_and_no_other_base_takes_it(
    triplets: Path, encoders: Path
) -> None:
    values = dict.fromkeys(EVERY_LOSS, 0.0) | {"attribute_weight": 1.0, "l1_weight": 1.0}
    task = task_for(settings_for(triplets, **values), encoders)
    torch.manual_seed(0)
    network = FaceShifterGenerator(size=256, channels=32, identity_dim=16)
    batch = torch.utils.data.default_collate([task.samples[i] for i in range(2)])
    for name in ("target", "plain", "source", "truth", "guidance", "face_mask", "glasses"):
        batch[name] = nn.functional.interpolate(batch[name], size=(256, 256))
    assert 0 < sizes_of_gradients(task.losses(network, batch)["attribute"], network) < float("inf")
    with pytest.raises(ReliableSwapError, match="needs --base faceshifter"):
        task.losses(small_light(task), batch)


def test_without_a_truth_the_face_is_free_and_only_the_background_is_held(
    triplets: Path, encoders: Path
) -> None:
    values = dict.fromkeys(EVERY_LOSS, 0.0) | {"l1_weight": 1.0}
    task = task_for(settings_for(triplets, **values, supervision="vanilla"), encoders)
    sample = next(s for s in map(task.samples.__getitem__, range(50)) if not s["has_truth"])
    image = torch.zeros(1, 3, SIZE, SIZE, requires_grad=True)

    class Painter(nn.Module):
        guidance_channels = 0

        def forward(self, *_: Any) -> GeneratorOutput:
            return GeneratorOutput(image=image, mask=torch.ones(1, 1, SIZE, SIZE))

    task.losses(Painter(), torch.utils.data.default_collate([sample]))["l1"].backward()
    assert image.grad is not None
    face = sample["face_mask"][0] == 1
    assert float(image.grad[..., face].abs().max()) == 0
    assert float(image.grad[..., sample["face_mask"][0] == 0].abs().min()) > 0


def test_what_glasses_of_the_target_hide_is_no_matter_to_the_identity_losses(
    triplets: Path, encoders: Path
) -> None:
    weights = {"identity_weight": 1.0, "lower_face_weight": 1.0, "identity_jitter": 0.0, "l1_weight": 1.0}
    only_cycle = {"supervision": "cycle", "vanilla_share": 0.0}
    names = ("identity", "lower_face")
    image = torch.rand(2, 3, SIZE, SIZE, generator=torch.manual_seed(0)).requires_grad_()

    class Painter(nn.Module):
        guidance_channels = 0

        def forward(self, *_: Any) -> GeneratorOutput:
            return GeneratorOutput(image=image, mask=torch.ones(2, 1, SIZE, SIZE))

    found: dict[float, list[float]] = {}
    for glasses in (0.0, 1.0):
        values = dict.fromkeys(EVERY_LOSS, 0.0) | weights | {"glasses": glasses}
        task = task_for(settings_for(triplets, **values, **only_cycle), encoders)
        batch = torch.utils.data.default_collate([task.samples[i] for i in range(2)])
        batch["glasses"][:, 3] = 0
        batch["glasses"][0, 3, 20:45, 10:54] = 1
        result = task.losses(Painter(), batch)
        found[glasses] = [float(result[name].detach()) for name in names]
        (grad,) = torch.autograd.grad(result["identity"] + result["lower_face"], image)
        assert float(grad[1, :, 20:45, 10:54].abs().sum()) > 0
        assert (float(grad[0, :, 20:45, 10:54].abs().sum()) == 0) == bool(glasses)
        assert float(grad[0, :, 45:].abs().sum()) > 0
        # The truth is asked for there all the same: whoever wants the glasses off gets a whole face.
        (grad,) = torch.autograd.grad(result["l1"], image)
        assert (grad[0, :, 20:45, 10:54] != 0).float().mean() > 0.9
    assert found[0.0] != found[1.0]


def test_each_sample_gets_the_losses_of_its_own_kind() -> None:
    values, chosen = torch.tensor([1.0, 10.0, 3.0]), torch.tensor([1.0, 0.0, 1.0])
    assert float(losses.mean_over(values, chosen)) == pytest.approx(2.0)
    nobody = losses.mean_over(values.requires_grad_(), torch.zeros(3))
    assert float(nobody.detach()) == 0
    nobody.backward()
    assert float(values.grad.abs().sum()) == 0


@pytest.mark.parametrize(
    ("loss", "arguments"),
    [
        (losses.l1_loss, (torch.ones(2, 1, 8, 8),)),
        (losses.gradient_loss, (torch.ones(2, 1, 8, 8),)),
        (losses.colour_loss, (torch.ones(2, 1, 8, 8),)),
        (losses.chroma_loss, (torch.ones(2, 1, 8, 8), 8)),
    ],
)
def test_pixel_losses_are_zero_for_equals_and_grow_with_the_error(loss: Any, arguments: tuple) -> None:
    truth = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    noise = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1)) - 0.5
    nothing, little, much = (loss(truth + f * noise, truth, *arguments) for f in (0.0, 0.1, 1.0))
    assert nothing.shape == (2,)
    assert float(nothing.abs().max()) < 1e-6
    assert bool((little > 1e-4).all() and (much > 5 * little).all())


def test_gaze_is_about_the_pattern_and_not_about_colour_or_light() -> None:
    eye = torch.zeros(1, 2, 6, 12)
    eye[..., 4:7] = -1
    moved = eye.roll(3, dims=3)
    assert float(losses.gaze_loss(0.5 * eye + 0.2, eye)) < 0.02
    assert float(losses.gaze_loss(moved, eye)) > 0.5


def test_the_probe_sees_a_mouth_open_and_where_the_eyes_are(triplets: Path, encoders: Path) -> None:
    task = task_for(settings_for(triplets), encoders)
    sample = task.held_out.swaps[0]
    probe = MeshProbe(MeshNet.from_pretrained(bundled("landmarks")).float())
    with torch.no_grad():
        mesh = probe(sample["target"][None])[0]
    known = sample["mesh"] / (sample["mesh"][33] - sample["mesh"][263]).norm()
    # The factory found the same points in the photo itself, at more pixels than these 64.
    assert torch.allclose(openings(mesh[None]), openings(known[None]), atol=0.06)
    patches = eye_patches(sample["target"][None], sample["mesh"][None])
    assert patches.shape == (1, 2, 6, 12)
    assert float(patches.std(dim=(2, 3)).min()) > 0.02


def test_expression_and_pose_of_the_loss_are_those_of_the_evaluation(
    triplets: Path, rng: np.random.Generator
) -> None:
    made, other = (
        torch.stack(
            [TripletDataset(triplets, "train", mix=Mix(vanilla=1), seed=seed)[i]["mesh"] for i in range(4)]
        )
        for seed in (0, 1)
    )
    likeness = Likeness()
    found = losses.expression_loss(likeness.expression(made, other))
    wanted = [geometry.expression_error(a, b) for a, b in zip(made.numpy(), other.numpy(), strict=True)]
    # The evaluation lets lids and lips keep how open they are where it takes the other person's shape away.
    assert np.corrcoef(found.numpy(), wanted)[0, 1] > 0.95
    assert found.numpy() == pytest.approx(np.array(wanted), rel=0.35)

    angle = np.radians(4.0)
    turned = made.numpy() @ np.array(
        [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]], np.float32
    )
    by = losses.pose_loss(likeness.turn(torch.from_numpy(turned), made))
    assert by.numpy() == pytest.approx(np.full(4, angle), rel=0.02)
    assert geometry.pose_error(turned[0], made[0].numpy()) == pytest.approx(4.0, abs=0.01)


def test_places_and_turns_are_exact_whatever_the_training_rounds_to(triplets: Path) -> None:
    dataset = TripletDataset(triplets, "train", mix=Mix(vanilla=1))
    pictures = torch.stack([dataset[i]["target"] for i in range(4)])
    pictures, others = pictures[:2], pictures[2:]
    probe = MeshProbe(MeshNet.from_pretrained(bundled("landmarks")).float())
    likeness = Likeness()
    with torch.no_grad():
        mesh, other = probe(pictures), probe(others)
        exact = likeness.expression(mesh, other), likeness.turn(mesh, other), probe.crops(pictures)
        with torch.autocast("cpu", torch.bfloat16):
            found = likeness.expression(mesh, other), likeness.turn(mesh, other), probe.crops(pictures)
            rounded = probe.landmarks(probe.crops(pictures))[0]
    assert all(torch.equal(a, b) for a, b in zip(exact, found, strict=True))
    # The convolutions are rounded; where a mesh's points lie is not a multiple of half a pixel.
    assert rounded.dtype == torch.float32
    assert not torch.equal(rounded, rounded.bfloat16().float())


def test_identity_losses_are_cosines_of_vectors_of_any_length(rng: np.random.Generator) -> None:
    one, other = torch.from_numpy(rng.normal(size=(2, 5, 16)).astype(np.float32))
    same = losses.lower_face_loss(3 * one, one)
    assert same.abs().max() < 1e-5
    assert torch.allclose(
        losses.lower_face_loss(one, other), losses.lower_face_loss(one, 7 * other), atol=1e-5
    )


def test_what_is_painted_on_a_target_is_no_example_of_a_photo(triplets: Path, encoders: Path) -> None:
    values = EVERY_LOSS | {"cycle_weight": 0.0, "feature_matching_weight": 0.0}
    shares = dict.fromkeys(ALL_KINDS, 0.0) | {"vanilla_share": 1.0}
    task = task_for(settings_for(triplets, **values, **shares, painted_glasses=1.0), encoders)
    samples = [task.samples[i] for i in range(6)]
    batch = torch.utils.data.default_collate(samples)
    changed = (batch["plain"] != batch["target"]).flatten(1).any(1)
    assert changed.any()
    network = small_light(task)

    class Bare(nn.Module):
        guidance_channels = 4

        def forward(self, *given: Any) -> GeneratorOutput:
            return GeneratorOutput(batch["plain"], None, torch.zeros(len(samples), 1, SIZE, SIZE))

    found = task.losses(Bare(), batch)
    for name in ("colour", "chroma", "mesh", "expression", "pose", "gaze"):
        # The face itself, as it was before it was painted on; flat eyes have no pattern to be alike in.
        assert float(found[name]) < (0.05 if name == "gaze" else 2e-3), name
    assert float(found["l1"]) < 0.01 * float(task.losses(network, batch)["l1"].detach())
    seen: list[Tensor] = []

    class Watching(nn.Module):
        def forward(self, pictures: Tensor) -> Any:
            seen.append(pictures)
            return task.discriminator(pictures)  # type: ignore[misc]

    task.discriminator_losses(Watching(), batch)
    assert torch.equal(seen[0][: len(samples)], batch["plain"])


def test_a_jittered_crop_is_the_same_face_a_little_moved() -> None:
    torch.manual_seed(0)
    pictures = torch.rand(6, 3, 4, 4).repeat_interleave(16, 2).repeat_interleave(16, 3) * 2 - 1
    assert torch.allclose(jittered(pictures, 0.0).abs().mean(), pictures.abs().mean(), atol=1e-3)
    moved = jittered(pictures)
    assert moved.shape == pictures.shape
    assert float((moved - pictures).abs().mean((1, 2, 3)).min()) > 0.02
    straight = (moved - pictures).abs().mean((1, 2, 3))
    mirrored = (moved - pictures.flip(3)).abs().mean((1, 2, 3))
    assert 0 < int((mirrored < straight).sum()) < 6
    assert float(torch.minimum(straight, mirrored).max()) < 0.3


@pytest.mark.parametrize(
    ("network", "size"),
    [
        (IdentityEncoder(embedding_size=16), 112),
        (FixerNet(embedding_size=8), 56),
        (IdentityEncoder(body="iresnet18", embedding_size=16), 112),
        (PerceptualFeatures(), 64),
        (MeshNet(), 128),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else None,
)
def test_a_frozen_copy_answers_the_same(network: nn.Module, size: int) -> None:
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2)
    network.eval()
    pictures = torch.rand(2, 3, size, size) * 2 - 1
    quick = frozen_copy(network)
    ours, theirs = (flat(one(pictures.requires_grad_())) for one in (quick, network))
    assert (ours - theirs).abs().max() < 1e-3 * theirs.abs().max()
    ours.square().sum().backward()
    assert pictures.grad is not None
    assert 0 < float(pictures.grad.abs().sum()) < float("inf")
    assert sum(isinstance(one, nn.BatchNorm2d) for one in quick.modules()) < sum(
        isinstance(one, nn.BatchNorm2d) for one in network.modules()
    )
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        rounded = flat(frozen_copy(network, torch.bfloat16)(pictures)).float()
        as_before = flat(network(pictures)).float()
    assert (rounded - theirs).abs().mean() < 2 * (as_before - theirs).abs().mean() + 1e-4


def flat(answer: Any) -> Tensor:
    answer = [answer] if isinstance(answer, Tensor) else list(answer)
    return torch.cat([one.flatten() for one in answer])


def test_windows_are_slices_of_the_crop() -> None:
    crop = torch.arange(3 * 128 * 128, dtype=torch.float32).reshape(1, 3, 128, 128)
    assert torch.equal(identity_window(crop), crop[..., 0:112, 8:120])
    assert torch.equal(fixer_window(crop), identity_window(crop)[..., 56:112, 28:84])
    assert identity_window(torch.zeros(1, 3, 256, 256)).shape == (1, 3, 112, 112)


@pytest.mark.parametrize("kind", [one.name for one in dataclasses.fields(Spoiling)])
def test_spoiled_guidance_is_worse_and_the_given_stays(kind: str, rng: np.random.Generator) -> None:
    guidance = rng.uniform(-1, 1, (4, SIZE, SIZE)).astype(np.float32)
    guidance[3] = 1
    kept = guidance.copy()
    made = spoil(guidance, kind, rng)
    assert (guidance == kept).all()
    assert made.shape == guidance.shape
    assert np.abs(made[:3]).max() <= 1
    assert (made != guidance).mean() > 0.01
    if kind == "missing":
        assert made[3].max() == 0
    elif kind in ("half", "parts"):
        assert 0.02 < (made[3] < 0.5).mean() < 0.9
        assert (made[:3, made[3] == 0] == -1).all()
    else:
        assert (made[3] == 1).all()


def test_kinds_of_spoiling_come_as_often_as_asked(rng: np.random.Generator) -> None:
    drawn = [Spoiling().draw(rng) for _ in range(4000)]
    for one in dataclasses.fields(Spoiling):
        assert drawn.count(one.name) / 4000 == pytest.approx(one.default, abs=0.02)
