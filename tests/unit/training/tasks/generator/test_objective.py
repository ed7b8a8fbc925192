"""Which samples get which losses, and what they compare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support.generator_tasks import (
    ALL_KINDS,
    EVERY_LOSS,
    SIZE,
    batch_of,
    batch_of_every_kind,
    resized,
    settings_for,
    sizes_of_gradients,
    small_light,
    task_for,
)
from torch import Tensor, nn

from reliableswap.bundled import bundled
from reliableswap.errors import ReliableSwapError
from reliableswap.models import FaceShifterGenerator, GeneratorOutput
from reliableswap.models.layers import reduced
from reliableswap.models.light import no_guidance
from reliableswap.training.tasks.generator import losses
from reliableswap.training.tasks.generator.task import run


@pytest.mark.slow
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


@pytest.mark.slow
def test_further_encoders_take_part_in_the_identity_loss_alone(triplets: Path, encoders: Path) -> None:
    same, other = str(encoders / "identity"), str(bundled("identity"))
    values = dict.fromkeys(EVERY_LOSS, 0.0) | {
        "identity_weight": 1.0,
        "l1_weight": 1.0,
        "identity_jitter": 0.0,
    }
    found = {}
    batch = batch_of_every_kind(task_for(settings_for(triplets, **values, **ALL_KINDS), encoders))
    for more in ("", same, other, f"{same}, {other}"):
        task = task_for(settings_for(triplets, **values, **ALL_KINDS, more_identities=more), encoders)
        network = small_light(task)
        found[more] = task.losses(network, batch)
        assert sizes_of_gradients(found[more]["identity"], network) > 0
        assert ("also uses" in task.facts().get("identity encoder", "")) == bool(more)
    identity = {more: float(one["identity"].detach()) for more, one in found.items()}
    assert identity[same] == pytest.approx(identity[""], abs=1e-6)
    assert abs(identity[other] - identity[""]) > 0.1
    third = (2 * identity[""] + 2 * identity[other] - identity[""]) / 3
    assert identity[f"{same}, {other}"] == pytest.approx(third, abs=1e-6)
    with pytest.raises(ReliableSwapError, match="needs an --identity_weight"):
        run(settings_for(triplets, more_identities=other, identity_weight=0.0))
    assert len({float(one["l1"].detach()) for one in found.values()}) == 1


def test_the_attribute_loss_moves_faceshifter_and_no_other_base_takes_it(
    triplets: Path, encoders: Path
) -> None:
    values = dict.fromkeys(EVERY_LOSS, 0.0) | {"attribute_weight": 1.0, "l1_weight": 1.0}
    task = task_for(settings_for(triplets, **values), encoders)
    torch.manual_seed(0)
    network = FaceShifterGenerator(size=256, channels=32, identity_dim=16)
    batch = batch_of(task, range(2))
    batch = resized(batch, 256)
    assert 0 < sizes_of_gradients(task.losses(network, batch)["attribute"], network) < float("inf")
    with pytest.raises(ReliableSwapError, match="needs --base faceshifter"):
        task.losses(small_light(task), batch)


def test_without_a_truth_the_pixel_loss_applies_to_the_background_only(
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

    batch = task.prepare(task.collate([sample]))
    task.losses(Painter(), batch)["l1"].backward()
    assert image.grad is not None
    face = batch["face_mask"][0, 0] == 1
    assert float(image.grad[..., face].abs().max()) == 0
    assert float(image.grad[..., batch["face_mask"][0, 0] == 0].abs().min()) > 0


@pytest.mark.slow
def test_identity_losses_ignore_what_the_targets_glasses_hide(triplets: Path, encoders: Path) -> None:
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
        batch = batch_of(task, range(2))
        batch["glasses"][:, 3] = 0
        batch["glasses"][0, 3, 20:45, 10:54] = 1
        result = task.losses(Painter(), batch)
        found[glasses] = [float(result[name].detach()) for name in names]
        (grad,) = torch.autograd.grad(result["identity"] + result["lower_face"], image)
        assert float(grad[1, :, 20:45, 10:54].abs().sum()) > 0
        assert (float(grad[0, :, 20:45, 10:54].abs().sum()) == 0) == bool(glasses)
        assert float(grad[0, :, 45:].abs().sum()) > 0
        # The pixel loss compares with the truth there all the same, so that taking glasses off leaves a whole face.
        (grad,) = torch.autograd.grad(result["l1"], image)
        assert (grad[0, :, 20:45, 10:54] != 0).float().mean() > 0.9
    assert found[0.0] != found[1.0]


def test_target_covers_need_an_opacity(triplets: Path) -> None:
    with pytest.raises(ReliableSwapError, match="--target_covers needs --glasses"):
        run(settings_for(triplets, target_covers=True, glasses=0.0))


@pytest.mark.slow
def test_losses_compare_with_the_target_without_painted_glasses(triplets: Path, encoders: Path) -> None:
    values = EVERY_LOSS | {"cycle_weight": 0.0, "feature_matching_weight": 0.0}
    shares = dict.fromkeys(ALL_KINDS, 0.0) | {"vanilla_share": 1.0}
    task = task_for(settings_for(triplets, **values, **shares, painted_glasses=1.0), encoders)
    samples = [task.samples[i] for i in range(6)]
    batch = task.prepare(task.collate(samples))
    changed = (batch["plain"] != batch["target"]).flatten(1).any(1)
    assert changed.any()
    network = small_light(task)

    class Bare(nn.Module):
        guidance_channels = 4

        def forward(self, *given: Any) -> GeneratorOutput:
            return GeneratorOutput(batch["plain"], None, torch.zeros(len(samples), 1, SIZE, SIZE))

    found = task.losses(Bare(), batch)
    for name in ("colour", "chroma", "mesh", "expression", "pose", "gaze"):
        # The face before the painting is right. The gaze loss is larger: flat eyes have no pattern to compare.
        assert float(found[name]) < (0.05 if name == "gaze" else 2e-3), name
    assert float(found["l1"]) < 0.01 * float(task.losses(network, batch)["l1"].detach())
    seen: list[Tensor] = []

    class Watching(nn.Module):
        def forward(self, pictures: Tensor) -> Any:
            seen.append(pictures)
            return task.discriminator(pictures)  # type: ignore[misc]

    task.discriminator_losses(Watching(), batch)
    assert torch.equal(seen[0][: len(samples)], batch["plain"])


def test_the_cycle_loss_swaps_back_with_nothing_valid_as_guidance(triplets: Path, encoders: Path) -> None:
    values = dict.fromkeys(EVERY_LOSS, 0.0) | {"cycle_weight": 1.0}
    task = task_for(settings_for(triplets, **values, supervision="vanilla"), encoders)
    network = small_light(task)
    batch = batch_of(task, range(3))
    found = task.losses(network, batch)["cycle"]
    with torch.no_grad():
        made = network(batch["target"], task.frozen.vectors(batch["source"]), batch["guidance"]).image
        back = network(made, task.frozen.vectors(batch["plain"]), no_guidance(made)).image
    s = task.settings
    weight = s.background_weight + (s.face_weight - s.background_weight) * batch["face_mask"]
    each = ((back - batch["plain"]).abs() * weight).mean((1, 2, 3))
    unknown = 1 - batch["has_truth"]
    assert float(found.detach()) == pytest.approx(float((each * unknown).sum() / unknown.sum()), rel=1e-5)


def test_no_loss_at_all_is_an_error(triplets: Path, encoders: Path) -> None:
    task = task_for(settings_for(triplets, **dict.fromkeys(EVERY_LOSS, 0.0)), encoders)
    batch = batch_of(task, [0])
    with pytest.raises(ReliableSwapError, match="no loss is active"):
        task.losses(small_light(task), batch)


def test_the_drawn_layer_is_held_back_most_where_the_texture_is_valid(triplets: Path, encoders: Path) -> None:
    task = task_for(
        settings_for(
            triplets, **dict.fromkeys(EVERY_LOSS, 0.0), **ALL_KINDS, drawn_weight=1.0, drawn_truth_weight=0.0
        ),
        encoders,
    )
    batch = batch_of_every_kind(task)
    network = LayeredAnswer(drawn=0.75)
    batch["guidance"][:, 3:] = 1.0
    everywhere = task.losses(network, batch)["drawn"]
    assert float(everywhere) == pytest.approx(0.75 * float(batch["face_mask"].mean()), rel=1e-4)
    batch["guidance"][:, 3:] = 0.0
    nowhere = task.losses(network, batch)["drawn"]
    assert float(nowhere) == pytest.approx(0.3 * float(everywhere), rel=1e-4)


def test_the_drawn_layer_is_compared_with_the_truth_by_itself(triplets: Path, encoders: Path) -> None:
    task = task_for(
        settings_for(triplets, **dict.fromkeys(EVERY_LOSS, 0.0), **ALL_KINDS, drawn_weight=0.0),
        encoders,
    )
    batch = batch_of_every_kind(task)
    found = task.losses(LayeredAnswer(drawn=0.5), batch)
    assert set(found) == {"drawn_truth"}
    assert float(found["drawn_truth"].detach()) > 0.001
    batch["truth"] = batch["target"].clone()
    batch["guidance"][:, 3:] = 0.0  # for samples without a truth: no texture is laid over the target
    assert float(task.losses(LayeredAnswer(drawn=0.5), batch)["drawn_truth"]) < 1e-6


def test_colours_of_layers_are_those_of_the_texture_laid_over_the_target(
    triplets: Path, encoders: Path
) -> None:
    values = dict.fromkeys(EVERY_LOSS, 0.0) | {
        "colour_weight": 1.0,
        "drawn_weight": 0.0,
        "drawn_truth_weight": 0.0,
    }
    task = task_for(settings_for(triplets, **values, vanilla_share=1.0), encoders)
    batch = batch_of(task, range(3))
    batch["has_truth"][:] = 0.0
    network = LayeredAnswer(drawn=0.5)
    assert float(task.losses(network, batch)["colour"].detach()) > 1e-3  # the network returns its target
    batch["guidance"][:, 3:] = 0.0
    batch["plain"] = batch["target"]
    assert float(task.losses(network, batch)["colour"].detach()) < 1e-6


class LayeredAnswer(nn.Module):
    """Returns its target, with the same layer weights everywhere."""

    guidance_channels = 4

    def __init__(self, drawn: float) -> None:
        super().__init__()
        self.drawn = drawn

    def forward(self, target: Tensor, vector: Tensor, guidance: Tensor | None) -> GeneratorOutput:
        weights = torch.zeros_like(target)
        weights[:, 2] = self.drawn
        mask = torch.ones_like(target[:, :1])
        return GeneratorOutput(
            image=target, mask=mask, mask_logits=mask, layers=weights, drawn=reduced(target)
        )


def test_coarse_pictures_share_pixel_and_identity_loss(triplets: Path, encoders: Path) -> None:
    values = dict.fromkeys(EVERY_LOSS, 0.0) | {
        "identity_weight": 1.0,
        "l1_weight": 1.0,
        "identity_jitter": 0.0,
    }
    task = task_for(settings_for(triplets, **values, supervision="cycle"), encoders)
    layers = nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, 16)
    task.frozen.identity = nn.Sequential(*layers)  # unlike a random encoder it tells pictures apart
    task.frozen.identity.embedding_size = 16
    batch = batch_of(task, range(2))
    fine = torch.rand(2, 3, SIZE, SIZE, generator=torch.manual_seed(0)) * 2 - 1
    coarse = -nn.functional.interpolate(fine, scale_factor=0.5)

    def found(image: Tensor, *smaller: Tensor) -> dict[str, Tensor]:
        class Painter(nn.Module):
            guidance_channels = 0

            def forward(self, *_: Any) -> GeneratorOutput:
                return GeneratorOutput(image=image, mask=torch.ones(2, 1, SIZE, SIZE), coarse=smaller or None)

        return task.losses(Painter(), batch)

    enlarged = nn.functional.interpolate(coarse, size=(SIZE, SIZE), mode="bilinear", align_corners=False)
    alone, small, both = found(fine), found(enlarged), found(fine, coarse)
    for name in ("identity", "l1"):
        values = [float(one[name].detach()) for one in (alone, small, both)]
        assert values[2] == pytest.approx((values[0] + values[1]) / 2, abs=1e-5)
        assert abs(values[0] - values[1]) > 1e-3


def test_the_identity_loss_is_zero_within_its_margin() -> None:
    ours = torch.tensor([[1.0, 0.1], [1.0, 3.0]], requires_grad=True)
    theirs = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    plain, spared = losses.identity_loss(ours, theirs), losses.identity_loss(ours, theirs, margin=0.1)
    near, far = spared.tolist()
    assert near == 0
    assert far == pytest.approx(plain.tolist()[1] - 0.1)
    spared.sum().backward()
    assert ours.grad is not None
    assert float(ours.grad[0].abs().sum()) == 0 < float(ours.grad[1].abs().sum())
