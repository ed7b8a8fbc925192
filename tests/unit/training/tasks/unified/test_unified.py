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
from reliableswap.models.unified.transformer import UnifiedTransformer
from reliableswap.models.unified.words import MARKS, written
from reliableswap.training.tasks.unified import tokeniser as tokeniser_task
from reliableswap.training.tasks.unified import unified as unified_task
from reliableswap.training.tasks.unified.samples import IGNORED, UnifiedSamples, collated, tokens_of
from reliableswap.training.tasks.unified.settings import TokeniserSettings, UnifiedSettings
from reliableswap.training.tasks.unified.tokeniser import codebook_use
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


def samples(data: Path, **more: Any) -> UnifiedSamples:
    faces = read_rows(data, "train")
    tokens = np.random.default_rng(0).integers(0, 32, (len(faces), 2, 64)).astype(np.int16)
    return UnifiedSamples(UnifiedSettings(**more), faces, tokens, vocabulary())


def test_a_sample_follows_from_its_number(data: Path) -> None:
    for i in (0, 7, 100):
        one, other = samples(data)[i], samples(data)[i]
        assert one["words"] == other["words"]
        assert torch.equal(one["picture"], other["picture"])


def test_wanted_words_are_the_answer_one_place_earlier(data: Path) -> None:
    made = samples(data, drawing_share=0.0, described_share=0.0, mirror=False)
    for i in range(20):
        one = made[i]
        start = one["words"].index(MARKS.index("<answer>"))
        wanted = one["wanted"]
        assert len(wanted) == len(one["words"])
        assert wanted[:start] == [IGNORED] * start
        assert wanted[start:-1] == one["words"][start + 1 :]
        assert wanted[-2] == MARKS.index("<end>")
        assert written(one["words"][start + 1 :], vocabulary())


def test_drawn_samples_have_no_identity_and_no_wanted_words(data: Path) -> None:
    made = samples(data, drawing_share=1.0, no_caption=0.5)
    found = [made[i] for i in range(30)]
    assert not any(one["identified"] or one["wanted"] for one in found)
    assert {len(one["words"]) == 0 for one in found} == {True, False}


def test_a_mirror_image_has_its_own_tokens_and_words(data: Path) -> None:
    made = samples(data, drawing_share=1.0, no_caption=0.0)
    poses = [one.get("pose") for one in read_rows(data, "train").attributes]
    seen = set()
    for i in range(200):
        one = made[i]
        row, mirrored = divmod(
            int(np.flatnonzero((made.tokens == one["picture"].numpy()).all(2).ravel())[0]), 2
        )
        text = written(one["words"], vocabulary())
        for side, other in (("left", "right"), ("right", "left")):
            if side in text:
                assert poses[row] == (other if mirrored else side)
                seen.add(bool(mirrored))
    assert seen == {False, True}


def test_words_of_a_batch_are_padded(data: Path) -> None:
    batch = collated([samples(data)[i] for i in range(8)], 96)
    assert batch["words"].shape == batch["wanted"].shape
    assert (batch["wanted"][batch["drawing"]] == IGNORED).all()
    with pytest.raises(ReliableSwapError, match="reads 2 at most"):
        collated([samples(data)[i] for i in range(8)], 2)


def test_the_words_loss_is_a_mean_of_each_row() -> None:
    logits = torch.zeros(2, 3, 5)
    wanted = torch.tensor([[1, IGNORED, 2], [IGNORED] * 3])
    assert words_loss(logits, wanted).tolist() == pytest.approx([np.log(5), 0.0])


def test_tokens_are_made_once(data: Path, tmp_path: Path) -> None:
    faces, tokeniser = read_rows(data, "validation"), tiny_tokeniser()
    tokens = tokens_of(faces, tokeniser, "x", tmp_path)
    assert tokens.shape == (len(faces), 2, 64)
    (file,) = tmp_path.iterdir()
    np.save(file, tokens + 1)
    assert np.array_equal(tokens_of(faces, tokeniser, "x", tmp_path), tokens + 1)


def test_codebook_use() -> None:
    assert codebook_use(torch.arange(8), 8) == pytest.approx({"codes_used": 1.0, "perplexity": 8.0})
    assert codebook_use(torch.zeros(8, dtype=torch.long), 8) == pytest.approx(
        {"codes_used": 0.125, "perplexity": 1.0}
    )


@pytest.mark.parametrize(
    ("loss", "names"),
    [("d3diff", {"mask", "score"}), ("mask", {"mask"}), ("score", {"score"})],
)
def test_the_losses_of_drawing_can_be_chosen(data: Path, tmp_path: Path, loss: Any, names: set[str]) -> None:
    tokeniser = tiny_tokeniser()
    task = UnifiedTask(unified_settings(data, tmp_path, tmp_path, loss=loss), tokeniser)
    batch = collated([task.dataset[i] for i in range(8)], 96)  # type: ignore[index]
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
    assert {"l1", "codes_used", "perplexity"} == figures.keys()
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
    """With tokens that show them, answers become right where the majority answer is wrong."""
    faces = read_rows(data, "train")
    worn = np.array([one["glasses"] == "glasses" for one in faces.attributes])
    tokens = np.repeat(np.where(worn, 3, 5).astype(np.int16)[:, None, None], 2, 1).repeat(64, 2)
    torch.manual_seed(0)
    network = tiny_transformer().train()
    settings = UnifiedSettings(drawing_share=0.0, described_share=0.0, mirror=False)
    made = UnifiedSamples(settings, faces, tokens, vocabulary())
    asked = [[q for q in own if q["attribute"] == "glasses"] for own in faces.questions]
    object.__setattr__(faces, "questions", asked)
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    for step in range(120):
        batch = collated([made[step * 16 + i] for i in range(16)], 96)
        output = network(
            batch["words"], batch["picture"], batch["drawing"], batch["identity"], batch["identified"]
        )
        loss = words_loss(output.words, batch["wanted"]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss) < 0.15


def test_wrong_settings_are_named() -> None:
    with pytest.raises(ReliableSwapError, match="--width is 30"):
        UnifiedSettings(width=30, heads=4)
    with pytest.raises(ReliableSwapError, match="--top_k is 9"):
        UnifiedSettings(top_k=9)
    with pytest.raises(ReliableSwapError, match="--widths is 1,2"):
        _ = TokeniserSettings(widths="1,2").shapes
    with pytest.raises(ReliableSwapError, match="--no_caption is 2"):
        UnifiedSettings(no_caption=2)
