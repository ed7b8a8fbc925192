"""Training generators: losses that move them, samples as they should be, exact resume, and runs from nothing."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from accelerate import debug_launcher
from accelerate.state import AcceleratorState
from conftest import person
from PIL import Image
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent.parent))
import train_accelerate
from reliableswap.bundled import bundled
from reliableswap.errors import ReliableSwapError
from reliableswap.evaluation import geometry
from reliableswap.models import (
    FaceShifterGenerator,
    FixerNet,
    GeneratorOutput,
    IdentityEncoder,
    LightGenerator,
    MeshNet,
    PerceptualFeatures,
    SimSwapGenerator,
)
from reliableswap.models.frozen import quickened
from reliableswap.training import losses
from reliableswap.training.checkpoint import checkpoints
from reliableswap.training.generator import GeneratorSettings, GeneratorTask, build
from reliableswap.training.guidance import Spoiling, spoil
from reliableswap.training.loop import train
from reliableswap.training.presets import PRESETS
from reliableswap.training.probe import (
    Likeness,
    MeshProbe,
    eye_patches,
    fixer_window,
    identity_window,
    jittered,
    openings,
)
from reliableswap.training.samples import SUPERVISION, GeneratorSamples
from reliableswap.training.schedule import Positions
from reliableswap.training.watch import tracker_of
from reliableswap.triplets.dataset import KINDS, Mix, TripletDataset
from reliableswap.triplets.factory import make_triplets
from reliableswap.triplets.settings import FilterSettings, PairSettings, QualitySettings, TripletSettings

SIZE = 64
SMALL = (8, 12, 16, 24)
EVERY_LOSS = {
    f"{name}_weight": 1.0
    for name in (
        "identity", "lower_face", "l1", "gradient", "perceptual", "colour", "chroma", "feature_matching", "adversarial",
        "penalty", "cycle", "mask", "mesh", "gaze", "expression", "pose",
    )
}  # fmt: skip


@pytest.fixture(scope="module")
def triplets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small folder of triplets of ten people who do not exist."""
    photos, output = tmp_path_factory.mktemp("photos"), tmp_path_factory.mktemp("triplets")
    for number in range(1, 11):
        for picture in ("studio_portrait", "amateur_selfie"):
            image = Image.open(person(number, picture)).convert("RGB")
            image.thumbnail((256, 256))
            (photos / f"P{number:03d}").mkdir(exist_ok=True)
            image.save(photos / f"P{number:03d}" / f"{picture}.png")
    settings = TripletSettings(
        size=SIZE,
        pairs=12,
        shard_pairs=3,
        split=(60, 40, 0),
        quality=QualitySettings(max_enlargement=9, min_sharpness=0, max_yaw=90, max_pitch=90, max_covered=1),
        pairing=PairSettings(max_turn=90, max_light=90),
        filter=FilterSettings(min_shown=0.1, min_sharpness_kept=0.1, max_folded=1),
    )
    make_triplets(photos, output, settings, progress=False)
    return output


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("encoders")
    IdentityEncoder(embedding_size=16, name="tiny").save_pretrained(folder / "identity")
    FixerNet(embedding_size=8).save_pretrained(folder / "fixer")
    return folder


def settings_for(triplets: Path, **more: Any) -> GeneratorSettings:
    values = {
        "triplets": str(triplets), "train_batch_size": 5, "mixed_precision": "no", "dataloader_num_workers": 0,
        "lr_warmup_steps": 0, "validation_pairs": 4, "discriminator_channels": 4, "report_to": "none",
    }  # fmt: skip
    return GeneratorSettings.of("light", **{**values, **more})


def task_for(settings: GeneratorSettings, encoders: Path) -> GeneratorTask:
    torch.manual_seed(1)
    return GeneratorTask(
        settings,
        IdentityEncoder.from_pretrained(encoders / "identity"),
        FixerNet.from_pretrained(encoders / "fixer") if settings.lower_face_weight else None,
        MeshNet.from_pretrained(bundled("landmarks")).float(),
        PerceptualFeatures() if settings.perceptual_weight else None,
    )


def small_light(task: GeneratorTask) -> LightGenerator:
    torch.manual_seed(2)
    fixer = task.fixer.embedding_size if task.fixer else 0
    return LightGenerator(channels=SMALL, block_count=1, identity_dim=16, fixer_dim=fixer)


def batch_of_every_kind(task: GeneratorTask) -> dict[str, Tensor]:
    """One sample of each kind, whichever come first."""
    found: dict[int, dict[str, Tensor]] = {}
    for i in range(200):
        sample = task.samples[i]
        found.setdefault(int(sample["kind"]), sample)
        if len(found) == len(KINDS):
            return torch.utils.data.default_collate(list(found.values()))
    raise AssertionError(f"only kinds {sorted(found)} among 200 samples")


ALL_KINDS = {f"{kind}_share": 1.0 for kind in KINDS}


def sizes_of_gradients(loss: Tensor, network: nn.Module) -> float:
    grads = torch.autograd.grad(loss, list(network.parameters()), retain_graph=True, allow_unused=True)
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


def test_the_discriminator_learns_from_its_own_loss_and_teaches_nobody_else(
    triplets: Path, encoders: Path
) -> None:
    task = task_for(settings_for(triplets, **EVERY_LOSS, **ALL_KINDS), encoders)
    network, judge = small_light(task), task.discriminator
    assert judge is not None
    batch = batch_of_every_kind(task)
    before = {name: value.clone() for name, value in batch.items()}
    task.losses(network, batch)
    for name, loss in task.discriminator_losses(judge, batch).items():
        assert 0 < sizes_of_gradients(loss, judge) < float("inf"), name
        assert sizes_of_gradients(loss, network) == 0, name
    assert all(torch.equal(batch[name], value) for name, value in before.items())


def test_the_attribute_loss_moves_faceshifter_and_no_other_base_takes_it(
    triplets: Path, encoders: Path
) -> None:
    values = dict.fromkeys(EVERY_LOSS, 0.0) | {"attribute_weight": 1.0, "l1_weight": 1.0}
    task = task_for(settings_for(triplets, **values), encoders)
    torch.manual_seed(0)
    network = FaceShifterGenerator(size=256, channels=32, identity_dim=16)
    batch = torch.utils.data.default_collate([task.samples[i] for i in range(2)])
    for name in ("target", "source", "truth", "guidance", "face_mask"):
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
def test_a_quickened_network_answers_the_same(network: nn.Module, size: int) -> None:
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2)
    network.eval()
    pictures = torch.rand(2, 3, size, size) * 2 - 1
    quick = quickened(network)
    ours, theirs = (flat(one(pictures.requires_grad_())) for one in (quick, network))
    assert (ours - theirs).abs().max() < 1e-3 * theirs.abs().max()
    ours.square().sum().backward()
    assert pictures.grad is not None
    assert 0 < float(pictures.grad.abs().sum()) < float("inf")
    assert sum(isinstance(one, nn.BatchNorm2d) for one in quick.modules()) < sum(
        isinstance(one, nn.BatchNorm2d) for one in network.modules()
    )
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        rounded = flat(quickened(network, torch.bfloat16)(pictures)).float()
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


def test_eight_triplets_can_be_learnt_by_heart(triplets: Path, encoders: Path) -> None:
    values = dict.fromkeys(EVERY_LOSS, 0.0) | {"l1_weight": 1.0}
    shares = dict.fromkeys(ALL_KINDS, 0.0) | {"cycle_share": 1.0}
    task = task_for(settings_for(triplets, **values, **shares, spoiled_guidance=0.0), encoders)
    torch.manual_seed(0)
    network = LightGenerator(channels=(16, 24, 32, 48), block_count=2, identity_dim=16)
    batch = torch.utils.data.default_collate([task.samples[i] for i in range(8)])
    for name in ("target", "source", "truth", "guidance", "face_mask"):  # as small as shows it
        batch[name] = nn.functional.interpolate(batch[name], size=(32, 32), mode="area")
    known = task.vectors(batch["source"])
    task.vectors = lambda _: known  # they never change
    optimizer = torch.optim.Adam(network.parameters(), 8e-3)
    steps, trace = 250, []
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 8e-3 * (1 - step / steps)
        optimizer.zero_grad()
        loss = task.losses(network, batch)["l1"]
        loss.backward()
        optimizer.step()
        trace.append(float(loss.detach()))
    assert trace[-1] < trace[0] / 5


def options(triplets: Path, encoders: Path, output: Path, *more: str) -> list[str]:
    return [
        "generator", "--triplets", str(triplets), "--identity", str(encoders / "identity"), "--output_dir", str(output),
        "--train_batch_size", "2", "--dataloader_num_workers", "0", "--validation_pairs", "4", "--mixed_precision",
        "no", "--lr_warmup_steps", "0", "--perceptual_weight", "0", "--report_to", "none", "--logging_steps", "1",
        *more,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        (
            ("--fixer", "{fixer}", "--adversarial_weight", "0.1", "--discriminator_channels", "4"),
            LightGenerator,
        ),
        (("--preset", "simswap", "--channels", "8", "--gradient_accumulation_steps", "2"), SimSwapGenerator),
    ],
)
def test_two_steps_from_nothing_give_a_folder_that_loads_with_all_that_belongs_to_it(
    more: tuple[str, ...], kind: type, triplets: Path, encoders: Path, tmp_path: Path
) -> None:
    given = [word.format(fixer=encoders / "fixer") for word in more]
    assert train_accelerate.main(options(triplets, encoders, tmp_path, *given, "--max_train_steps", "2")) == 0
    loaded = kind.from_pretrained(tmp_path)
    assert all(torch.isfinite(p).all() for p in loaded.parameters())
    assert loaded.config["identity_encoder"] == "tiny"
    figures = json.loads((tmp_path / "figures.jsonl").read_text().splitlines()[-1])
    assert {"identity", "target", "l1_truth", "expression", "pose", "copied"} <= set(figures)
    grid = Image.open(tmp_path / "grids" / "step-0000002.png")
    assert grid.width == 5 * SIZE
    card = (tmp_path / "README.md").read_text()
    for words in (kind.__name__, "l1_truth", "2 of 2 steps", "tiny, checksum", "Made by"):
        assert words in card
    written = yaml.safe_load((tmp_path / "settings.yaml").read_text())
    assert written["preset"] == ("simswap" if kind is SimSwapGenerator else "light")
    assert (checkpoints(tmp_path)[-1] / "discriminator" / "config.json").is_file()


def test_the_command_line_wins_over_the_file_and_the_file_over_the_preset(tmp_path: Path) -> None:
    def parsed(*more: str) -> GeneratorSettings:
        return train_accelerate.parse(["generator", *more])[1]

    assert dataclasses.asdict(parsed()) == dataclasses.asdict(GeneratorSettings.of("light"))
    file = tmp_path / "mine.yaml"
    file.write_text("preset: faceshifter\nlearning_rate: 1e-5\nidentity_weight: 7\nuse_ema: false\n")
    mine = parsed("--config", str(file), "--identity_weight", "8")
    assert (mine.preset, mine.learning_rate, mine.identity_weight, mine.use_ema) == (
        "faceshifter",
        1e-5,
        8,
        False,
    )
    assert mine.attribute_weight == PRESETS["faceshifter"].attribute_weight
    assert parsed("--preset=simswap").feature_matching_weight == 10


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rat: 1", "unknown settings learning_rat"),
        ("- 1", "holds no settings"),
        ("a: [", "can't be read as YAML"),
        ("use_ema: 3", "write a bool"),
        ("seed: many", "write a int"),
        ("preset: huge", "unknown --preset 'huge'"),
    ],
)
def test_a_bad_file_is_one_line(text: str, message: str, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    assert train_accelerate.main(["generator", "--config", str(tmp_path / "bad.yaml")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def losses_by_step(text: str) -> dict[int, str]:
    """The log's losses by step, without rate and time."""
    return {int(step): rest for step, rest in re.findall(r"step (\d+)/\d+ (.*?) \|", text)}


ADVERSARIAL = (
    "--adversarial_weight", "0.1", "--discriminator_channels", "4", "--penalty_weight", "0.1",
    "--max_train_steps", "4", "--checkpointing_steps", "2",
)  # fmt: skip


def test_a_resumed_run_goes_on_as_if_never_stopped(
    triplets: Path, encoders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train_accelerate.main(options(triplets, encoders, tmp_path / "whole", *ADVERSARIAL))
    whole = losses_by_step(capsys.readouterr().err)
    halves = options(triplets, encoders, tmp_path / "halves", *ADVERSARIAL)
    train_accelerate.main([*halves, "--max_train_minutes", "0"])
    first = losses_by_step(capsys.readouterr().err)
    assert train_accelerate.main(halves) == 2  # a fresh run would delete the checkpoints of this one
    assert "holds an earlier run" in capsys.readouterr().err
    train_accelerate.main([*halves, "--resume_from_checkpoint", "latest"])
    rest = losses_by_step(capsys.readouterr().err)
    assert (list(first), list(rest)) == ([1], [2, 3, 4])
    assert {**first, **rest} == whole
    assert same_run(tmp_path / "whole", tmp_path / "halves")


def same_run(one: Path, other: Path) -> bool:
    last = checkpoints(one)[-1].name
    files = [
        "averaged/diffusion_pytorch_model.safetensors", "discriminator/diffusion_pytorch_model.safetensors",
        "network/diffusion_pytorch_model.safetensors", "optimizer.safetensors", "discr_optimizer.safetensors",
    ]  # fmt: skip
    return all((one / last / f).read_bytes() == (other / last / f).read_bytes() for f in files)


def run_whole_and_in_halves(triplets: Path, encoders: Path, output: Path) -> None:
    """What each of two processes does."""
    AcceleratorState._reset_state(reset_partial_state=True)  # what was forked knows of one process only
    torch.set_num_threads(1)
    shared = (
        *ADVERSARIAL, "--gradient_accumulation_steps", "2", "--validation_steps", "100",
    )  # fmt: skip
    for name, more in (
        ("whole", ()),
        ("halves", ("--max_train_minutes", "0")),
        ("halves", ("--resume_from_checkpoint", "latest")),
    ):
        assert train_accelerate.main(options(triplets, encoders, output / name, *shared, *more)) == 0


def test_two_processes_resume_exactly_too(triplets: Path, encoders: Path, tmp_path: Path) -> None:
    debug_launcher(partial(run_whole_and_in_halves, triplets, encoders, tmp_path), num_processes=2)
    assert [p.name for p in checkpoints(tmp_path / "halves")][-1] == "checkpoint-0000004"
    assert same_run(tmp_path / "whole", tmp_path / "halves")


def test_fewer_processes_than_launched_is_an_error(
    triplets: Path, encoders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    task = task_for(settings_for(triplets, lower_face_weight=0.0, perceptual_weight=0.0), encoders)
    monkeypatch.setattr("reliableswap.training.loop.Accelerator", Lonely)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ReliableSwapError, match="2 processes were launched but 1 take part"):
        train(small_light(task), task, settings_for(triplets, output_dir=tmp_path))


class Lonely:
    """What Accelerate gives when it overlooked the launcher."""

    num_processes = 1

    def __init__(self, **_: Any) -> None:
        self.device = torch.device("cpu")


def test_losses_that_are_not_finite_stop_the_run(triplets: Path, encoders: Path, tmp_path: Path) -> None:
    settings = settings_for(triplets, output_dir=tmp_path, lower_face_weight=0.0, perceptual_weight=0.0)
    task = task_for(settings, encoders)
    network = small_light(task)
    with torch.no_grad():
        network.head.bias.fill_(float("nan"))
    with pytest.raises(ReliableSwapError, match=r"not finite at step 0.*lower --learning_rate"):
        train(network, task, settings)


def test_a_network_that_copies_its_target_is_warned_of(triplets: Path, encoders: Path) -> None:
    task = task_for(settings_for(triplets), encoders)

    class Copy(LightGenerator):
        def forward(self, target: Tensor, identity: Tensor, guidance: Tensor | None = None) -> Any:
            return GeneratorOutput(image=target, mask=torch.ones_like(target[:, :1]))

    copy = Copy(channels=SMALL, block_count=1, identity_dim=16, fixer_dim=8)
    figures = task.validate(copy)
    assert figures["copied"] == 1
    assert figures["l1_target"] == 0
    assert figures["expression"] == pytest.approx(0, abs=1e-5)
    said = " ".join(task.warnings(figures))
    assert "copies its target" in said
    assert "ignores the source" in said
    good = figures | {"l1_target": 0.2, "l1_truth": 0.1, "identity": 0.6, "before": 0.1}
    assert task.warnings(good) == []


def test_all_ranks_take_a_step_from_the_same_folder_as_often_as_asked(triplets: Path) -> None:
    batch, ranks = 2, 3
    mix = settings_for(triplets).mix
    folders = [triplets, triplets]
    samples = GeneratorSamples(folders, mix, batch, 1, 0, None, shares=[3, 1], ranks=ranks)
    asked: list[tuple[int, int]] = []
    samples.triplets = [  # type: ignore[assignment]
        type("Folder", (), {"__getitem__": lambda self, i, n=n: asked.append((n, i)) or {}})()
        for n in range(len(folders))
    ]
    for step in range(200):
        for rank in range(ranks):
            for position in next(iter(Positions(step, step + 1, batch, rank, ranks))):
                samples[position]
    turns = np.array([folder for folder, _ in asked]).reshape(200, ranks * batch)
    assert (turns == turns[:, :1]).all()
    assert 0.65 < (turns[:, 0] == 0).mean() < 0.85
    assert [i for _, i in asked] == list(range(200 * ranks * batch))


@pytest.mark.parametrize("shares", ["1", "1,-1", "0,0", "much,1"])
def test_shares_that_fit_no_folders_are_one_line(triplets: Path, shares: str) -> None:
    chosen = settings_for(triplets, triplet_shares=shares)
    folders = [triplets, triplets]
    with pytest.raises(ReliableSwapError, match="--triplet_shares"):
        GeneratorSamples(folders, chosen.mix, 2, 1, 0, None, chosen.shares)


def test_supervision_is_a_mix_and_shares_change_it(triplets: Path) -> None:
    assert settings_for(triplets, supervision="naive", strangers=0.0).mix == SUPERVISION["naive"]
    assert settings_for(triplets, strangers=0.3).mix.strangers == 0.3
    changed = settings_for(triplets, supervision="cycle", vanilla_share=0.0, strangers=0.0).mix
    assert changed == dataclasses.replace(SUPERVISION["cycle"], vanilla=0.0)
    with pytest.raises(ReliableSwapError, match="unknown --supervision"):
        settings_for(triplets, supervision="magic").mix  # noqa: B018


def test_a_start_from_another_encoder_is_refused(triplets: Path, encoders: Path, tmp_path: Path) -> None:
    identity = IdentityEncoder.from_pretrained(encoders / "identity")
    LightGenerator(channels=SMALL, block_count=1, identity_dim=16).save_pretrained(tmp_path)
    with pytest.raises(ReliableSwapError, match="identity_checksum"):
        build(settings_for(triplets, initial=tmp_path), identity, None, [SIZE])
    fresh = build(settings_for(triplets), identity, None, [SIZE])
    assert fresh.config["identity_checksum"] == identity.checksum()


def test_a_finished_run_goes_to_the_hub_without_its_checkpoints(
    triplets: Path, encoders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: dict[str, Any] = {}

    class Hub:
        def create_repo(self, place: str, private: bool, exist_ok: bool) -> Any:
            calls.update(created=place, private=private)
            return type("Repository", (), {"repo_id": f"somebody/{place}"})

        def upload_folder(self, **more: Any) -> None:
            calls.update(more)

    monkeypatch.setattr("reliableswap.training.publish.HfApi", Hub)
    more = ("--max_train_steps", "1", "--push_to_hub", "--hub_private", "--hub_model_id", "mine")
    assert train_accelerate.main(options(triplets, encoders, tmp_path, *more)) == 0
    assert (calls["created"], calls["repo_id"], calls["folder_path"]) == ("mine", "somebody/mine", tmp_path)
    assert calls["private"]
    kept_here = {
        "checkpoint-*",
        "grids/*",
        "*.np[yz]",
        "settings.yaml",
    }  # photos of people, and this machine's paths
    assert kept_here <= set(calls["ignore_patterns"])
    assert 'from_pretrained("mine")' in (tmp_path / "README.md").read_text()


def test_a_tracker_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tracker_of("none") is None
    with pytest.raises(ReliableSwapError, match="nonesuch is not installed"):
        tracker_of("nonesuch")
    monkeypatch.setattr("reliableswap.training.watch.importlib.util.find_spec", lambda name: None)
    assert tracker_of("auto") is None
