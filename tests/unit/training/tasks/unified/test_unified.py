"""Samples, losses and trainings of the unified model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.described import TINY, TINY_TOKENISER, tiny_tokeniser, tiny_transformer, write_described
from support.toy_training import same_run

from reliableswap.data.describe.language import vocabulary
from reliableswap.data.describe.rows import read_rows
from reliableswap.errors import ReliableSwapError
from reliableswap.models.perceptual import PerceptualFeatures
from reliableswap.models.unified.tokeniser import FaceTokeniser
from reliableswap.models.unified.transformer import UnifiedTransformer
from reliableswap.models.unified.words import SPECIAL_TOKENS, join_words
from reliableswap.training.tasks.unified import tokeniser as tokeniser_task
from reliableswap.training.tasks.unified import unified as unified_task
from reliableswap.training.tasks.unified.jitter import jittered
from reliableswap.training.tasks.unified.samples import IGNORED, FaceOrder, SampleTables, tokens_of
from reliableswap.training.tasks.unified.settings import TokeniserSettings, UnifiedSettings
from reliableswap.training.tasks.unified.tokeniser import TokeniserTask, codebook_use
from reliableswap.training.tasks.unified.unified import UnifiedTask, words_loss

QUICK: dict[str, Any] = {
    "train_batch_size": 4, "max_train_steps": 4, "lr_warmup_steps": 0, "logging_steps": 2, "report_to": "none",
    "mixed_precision": "no", "dataloader_num_workers": 0, "validation_steps": 4, "checkpointing_steps": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_described(tmp_path_factory.mktemp("described"))


def tokeniser_settings(data: Path, output: Path, **more: Any) -> TokeniserSettings:
    shapes = {name: ",".join(map(str, TINY_TOKENISER[name])) for name in ("widths", "decoder_widths")}
    small = {
        "codes": 32,
        "code_width": 8,
        "perceptual_weight": 0.0,
        "discr_channels": 4,
        "discr_start_step": 2,
    }
    return TokeniserSettings(
        data=data, output_dir=output, **{**QUICK, **shapes, **small, "validation_pictures": 4, **more}
    )


def unified_settings(data: Path, output: Path, tokeniser: Path, **more: Any) -> UnifiedSettings:
    given = {**QUICK, **TINY, "validation_faces": 4, **more}
    return UnifiedSettings(data=data, output_dir=output, tokeniser=tokeniser, **given)


def samples(data: Path, **more: Any) -> SampleTables:
    faces = read_rows(data, "train")
    tokens = np.random.default_rng(0).integers(0, 32, (len(faces), 2, 3, 64)).astype(np.int16)
    return SampleTables(UnifiedSettings(**more), faces, tokens, vocabulary())


def batch(made: SampleTables, count: int = 64) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return made.batch(torch.arange(count) % len(made.tables["tokens"]))


def test_every_face_comes_once_an_epoch() -> None:
    one, other = FaceOrder(5, 0), FaceOrder(5, 0)
    seen = [one[i] for i in range(10)]
    assert sorted(seen[:5]) == sorted(seen[5:]) == list(range(5))
    assert seen[:5] != seen[5:]
    assert [other[i] for i in (9, 2)] == [seen[9], seen[2]]


def test_wanted_words_are_the_answer_shifted_by_one(data: Path) -> None:
    found = batch(samples(data, drawing_share=0.0, described_share=0.3, mirror=False))
    for words, wanted in zip(found["words"].tolist(), found["wanted"].tolist(), strict=True):
        start, end = words.index(SPECIAL_TOKENS.index("<answer>")), words.index(SPECIAL_TOKENS.index("<end>"))
        assert set(wanted[:start]) | set(wanted[end:]) == {IGNORED}
        assert wanted[start:end] == words[start + 1 : end + 1]
        assert join_words(words[start + 1 :], vocabulary())


def test_drawn_samples_are_last_and_have_no_identity_and_no_wanted_words(data: Path) -> None:
    made = samples(data, drawing_share=0.5, no_caption=0.5)
    found = batch(made)
    drawn = found["drawing"]
    assert drawn.tolist() == [False] * 32 + [True] * 32
    assert made.drawing_count(64) == 32
    assert not found["identified"][drawn].any()
    assert (found["wanted"][drawn] == IGNORED).all()
    assert (found["wanted"][~drawn] != IGNORED).any(1).all()
    assert set((found["words"][drawn] != 0).any(1).tolist()) == {True, False}


def test_a_mirror_image_has_its_own_tokens_and_words(data: Path) -> None:
    made = samples(data, drawing_share=1.0, no_caption=0.0)
    poses = [one.get("pose") for one in read_rows(data, "train").attributes]
    seen = set()
    found = batch(made, 200)
    for picture, words in zip(found["picture"], found["words"].tolist(), strict=True):
        same = (made.tables["tokens"] == picture).all(3)
        row, mirrored, view = same.nonzero()[0].tolist()
        text = join_words(words, vocabulary())
        for side, other in (("left", "right"), ("right", "left")):
            if side in text:
                assert poses[row] == (other if mirrored else side)
                seen.add((bool(mirrored), view))
    assert len(seen) == 6


def test_a_text_that_is_too_long_is_an_error(data: Path) -> None:
    faces = read_rows(data, "train")
    tokens = np.zeros((len(faces), 2, 1, 64), np.int16)
    with pytest.raises(ReliableSwapError, match="reads 2 at most"):
        SampleTables(UnifiedSettings(), faces, tokens, vocabulary(), longest=2)


def test_jitter_changes_pictures_a_little() -> None:
    torch.manual_seed(0)
    pictures = torch.rand(8, 3, 32, 32) - 0.5
    smooth = torch.nn.functional.avg_pool2d(pictures, 9, 1, 4)
    assert torch.allclose(jittered(smooth, 0.0), smooth, atol=1e-5)
    change = (jittered(smooth) - smooth).abs().mean((1, 2, 3))
    assert (change > 1e-4).all()
    assert (change < 0.15).all()


def test_the_words_loss_is_a_mean_of_each_row() -> None:
    logits = torch.zeros(2, 3, 5)
    wanted = torch.tensor([[1, IGNORED, 2], [IGNORED] * 3])
    assert words_loss(logits, wanted).tolist() == pytest.approx([np.log(5), 0.0])


def test_tokens_are_made_once(data: Path, tmp_path: Path) -> None:
    faces, tokeniser = read_rows(data, "validation"), tiny_tokeniser()
    tokens = tokens_of(faces, tokeniser, "x", tmp_path, views=2)
    assert tokens.shape == (len(faces), 2, 2, 64)
    (file,) = tmp_path.iterdir()
    np.save(file, tokens + 1)
    assert np.array_equal(tokens_of(faces, tokeniser, "x", tmp_path, views=2), tokens + 1)


def test_codebook_use() -> None:
    assert codebook_use(torch.arange(8), 8) == pytest.approx({"codes_used": 1.0, "perplexity": 8.0})
    assert codebook_use(torch.zeros(8, dtype=torch.long), 8) == pytest.approx(
        {"codes_used": 0.125, "perplexity": 1.0}
    )


def test_jitter_by_whole_pixels_keeps_them() -> None:
    torch.manual_seed(0)
    pictures = torch.rand(16, 3, 32, 32) * 2 - 1
    found = jittered(pictures, 3.0, whole_pixels=True)
    moved = 0
    for one, other in zip(found[:, :, 8:24, 8:24], pictures, strict=True):
        fits = []
        for y in range(17):
            for x in range(17):
                part = other[:, y : y + 16, x : x + 16]
                # Colours change by one gain for all channels and an offset per channel, then they are clipped.
                inside = one.abs() < 0.999
                gain = one[inside].std() / part[inside].std()
                fits.append((float((one - gain * part)[inside].std()), (y, x)))
        moved += min(fits)[1] != (8, 8)
        assert min(fits)[0] < 0.2 < sorted(fits)[1][0]
    assert moved > 8


def test_a_decoder_is_trained_alone(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    features = PerceptualFeatures()
    monkeypatch.setattr(tokeniser_task, "pretrained_perceptual_features", lambda: features)
    start = tiny_tokeniser()
    start.save_pretrained(tmp_path / "start")
    settings = tokeniser_settings(
        data, tmp_path / "run", initial=tmp_path / "start", decoder_only=True, last_blocks=2, perceptual_weight=0.5,
        discriminator="texture", discr_start_step=1, discr_ramp_steps=2, ema_decay=0.5,
    )  # fmt: skip
    figures = tokeniser_task.run(settings)
    assert {"l1", "detail", "codes_used", "perplexity", "perceptual"} == figures.keys()
    made = FaceTokeniser.from_pretrained(tmp_path / "run")
    assert made.checksum() == start.checksum()
    assert made.config["last_blocks"] == 2
    assert torch.equal(made.quantiser.codes, start.quantiser.codes)
    assert not torch.equal(made.decoder[0].weight, start.decoder[0].weight)
    tokens = torch.arange(64)[None] % 32
    with torch.no_grad():
        assert not torch.allclose(made.decode(tokens), start.decode(tokens), atol=1e-4)


def test_the_discriminators_weight_ramps_up(data: Path, tmp_path: Path) -> None:
    task = TokeniserTask(tokeniser_settings(data, tmp_path, discr_start_step=2, discr_ramp_steps=4))
    shares = []
    for step in range(7):
        task.step = step
        shares.append(task.adversarial)
    assert shares == [0, 0, 0.25, 0.5, 0.75, 1, 1]
    task.settings.discr_ramp_steps = 0
    task.step = 2
    assert task.adversarial == 1


@pytest.mark.parametrize(
    ("loss", "names"),
    [("d3diff", {"mask", "score"}), ("mask", {"mask"}), ("score", {"score"})],
)
def test_the_losses_of_drawing_can_be_chosen(data: Path, tmp_path: Path, loss: Any, names: set[str]) -> None:
    tokeniser = tiny_tokeniser()
    task = UnifiedTask(unified_settings(data, tmp_path, tmp_path, loss=loss), tokeniser)
    batch = task.prepare(torch.arange(8))
    torch.manual_seed(0)
    found = task.losses(tiny_transformer(tokeniser), batch)
    assert set(found) == {"balance", "words", *names}
    if loss == "d3diff":
        torch.manual_seed(0)
        task.settings.alpha = 1.0
        more = task.losses(tiny_transformer(tokeniser), batch)
        assert float(more["score"]) == pytest.approx(100 * float(found["score"]), rel=1e-4)
        assert float(more["mask"]) == pytest.approx(float(found["mask"]))


@pytest.mark.slow
def test_both_trainings_go_on_exactly(data: Path, tmp_path: Path) -> None:
    runs = {"lr_scheduler": "constant_with_warmup", "resume_from_checkpoint": "latest"}
    for name, steps in (("whole", (4,)), ("parts", (2, 4))):
        for last in steps:
            figures = tokeniser_task.run(
                tokeniser_settings(data, tmp_path / name, max_train_steps=last, **runs)
            )
    assert {"l1", "detail", "codes_used", "perplexity"} == figures.keys()
    assert same_run(tmp_path / "whole", tmp_path / "parts")
    place = tmp_path / "whole"
    for name, steps in (("u", (4,)), ("v", (2, 4))):
        for last in steps:
            found = unified_task.run(
                unified_settings(data, tmp_path / name, place, max_train_steps=last, **runs)
            )
    assert same_run(tmp_path / "u", tmp_path / "v")
    assert {"answers", "majority", "mask_90", "mask_50"} == found.keys()
    loaded = UnifiedTransformer.from_pretrained(tmp_path / "u")
    assert loaded.vocabulary == vocabulary()
    assert sorted((tmp_path / "u" / "grids").iterdir())


@pytest.mark.slow
def test_it_learns_to_see_glasses(data: Path, tmp_path: Path) -> None:
    """Given tokens that show glasses, answers become right even where the most frequent answer is wrong."""
    faces = read_rows(data, "train")
    worn = np.array([one["glasses"] == "glasses" for one in faces.attributes])
    tokens = np.repeat(np.where(worn, 3, 5).astype(np.int16)[:, None, None, None], 2, 1).repeat(64, 3)
    torch.manual_seed(0)
    network = tiny_transformer().train()
    settings = UnifiedSettings(drawing_share=0.0, described_share=0.0, mirror=False)
    asked = [[q for q in own if q["attribute"] == "glasses"] for own in faces.questions]
    object.__setattr__(faces, "questions", asked)
    made = SampleTables(settings, faces, tokens, vocabulary())
    order = FaceOrder(len(faces), 0)
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    for step in range(120):
        batch = made.batch(torch.tensor([order[step * 16 + i] for i in range(16)]))
        output = network(
            batch["words"], batch["picture"], batch["drawing"], batch["identity"], batch["identified"]
        )
        loss = words_loss(output.words, batch["wanted"]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss) < 0.15


def test_errors_on_wrong_settings_name_them() -> None:
    with pytest.raises(ReliableSwapError, match="--width is 30"):
        UnifiedSettings(width=30, heads=4)
    with pytest.raises(ReliableSwapError, match="--top_k is 9"):
        UnifiedSettings(top_k=9)
    with pytest.raises(ReliableSwapError, match="--widths is 1,2"):
        _ = TokeniserSettings(widths="1,2").shapes
    with pytest.raises(ReliableSwapError, match="give its folder as --initial"):
        TokeniserSettings(decoder_only=True)
    with pytest.raises(ReliableSwapError, match="--last_blocks is 0"):
        TokeniserSettings(last_blocks=0)
    with pytest.raises(ReliableSwapError, match="--discriminator texture"):
        TokeniserSettings(discriminator="texture", perceptual_weight=0.0)
    with pytest.raises(ReliableSwapError, match="--no_caption is 2"):
        UnifiedSettings(no_caption=2)
