"""Masked discrete diffusion: the losses, and drawing."""

from __future__ import annotations

import pytest
import torch
from support.described import tiny_transformer

from reliableswap.models.unified.drawing import draw_tokens, mask_loss, mask_share, masked, score_loss
from reliableswap.models.unified.generate import answer, caption_words, draw, padded, question_words


def test_the_masked_share_falls_from_one_to_zero() -> None:
    assert mask_share(torch.tensor([0.0, 1.0])).tolist() == pytest.approx([1, 0], abs=1e-6)


def test_as_many_tokens_are_masked_as_asked() -> None:
    tokens = torch.randint(0, 9, (3, 64))
    hidden, where = masked(tokens, torch.tensor([0.0, 0.5, 1.0]), 9)
    assert where.sum(1).tolist() == [1, 32, 64]
    assert torch.equal(hidden == 9, where)
    assert torch.equal(hidden[~where], tokens[~where])


def test_the_score_loss_bounds_the_weighted_cross_entropy() -> None:
    torch.manual_seed(0)
    logits, tokens = torch.randn(4, 64, 7), torch.randint(0, 7, (4, 64))
    _, where = masked(tokens, torch.tensor([0.1, 0.4, 0.7, 1.0]), 7)
    share = where.float().mean(1)
    entropy = mask_loss(logits, tokens, where) * where.sum(1) / 64 / share
    assert (score_loss(logits, tokens, where) > entropy).all()
    # With logits that are log probabilities the bound is tight.
    assert torch.allclose(score_loss(logits.log_softmax(2), tokens, where), entropy, atol=1e-4)


def test_the_score_loss_alone_finds_the_probabilities() -> None:
    torch.manual_seed(0)
    tokens = (torch.rand(256, 64) < 0.25).long()
    where = torch.ones(256, 64, dtype=torch.bool)
    logits = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.Adam([logits], 0.1)
    for _ in range(100):
        optimizer.zero_grad()
        score_loss(logits.expand(256, 64, 2), tokens, where).mean().backward()
        optimizer.step()
    assert logits.exp().tolist() == pytest.approx([0.75, 0.25], abs=0.02)


@pytest.mark.parametrize("steps", [1, 3, 16, 80])
def test_drawing_leaves_no_mask_and_keeps_what_is_drawn(steps: int) -> None:
    seen: list[torch.Tensor] = []

    def logits_of(tokens: torch.Tensor) -> torch.Tensor:
        seen.append(tokens.clone())
        return torch.zeros(2, 64, 5)

    tokens = draw_tokens(logits_of, 2, 5, steps, torch.Generator().manual_seed(0))
    assert int(tokens.max()) < 5
    assert (seen[0] == 5).all()
    for before, after in zip(seen, [*seen[1:], tokens], strict=True):
        kept = before != 5
        assert torch.equal(before[kept], after[kept])


def test_drawing_finds_what_is_certain() -> None:
    wanted = torch.randint(0, 5, (2, 64))
    logits = 30 * torch.nn.functional.one_hot(wanted, 5).float()
    drawn = draw_tokens(lambda tokens: logits, 2, 5, 4, torch.Generator().manual_seed(0))
    assert torch.equal(drawn, wanted)


def test_a_seed_draws_the_same_again() -> None:
    network = tiny_transformer()
    words = caption_words("a man with glasses", network.vocabulary)

    def drawn(seed: int) -> torch.Tensor:
        return draw(network, [words], steps=4, guidance=1.0, generator=torch.Generator().manual_seed(seed))

    assert torch.equal(drawn(3), drawn(3))
    assert not torch.equal(drawn(3), drawn(4))


def test_answers_of_a_batch_are_those_of_each_row() -> None:
    network = tiny_transformer()
    questions = [question_words(text, network.vocabulary) for text in ("glasses ?", "is this person old ?")]
    picture, identity = torch.randint(0, 32, (2, 64)), torch.randn(2, 128)
    known = torch.ones(2, dtype=torch.bool)
    both = answer(network, picture, questions, identity, known, 5)
    each = [
        answer(network, picture[i : i + 1], questions[i : i + 1], identity[i : i + 1], known[:1], 5)[0]
        for i in range(2)
    ]
    assert both == each
    assert all(len(one) <= 5 and min(one, default=9) > 2 for one in both)


def test_rows_without_words_are_padded() -> None:
    assert padded([[], []]).tolist() == [[0], [0]]
    assert padded([[5, 6], [7]]).tolist() == [[5, 6], [7, 0]]
