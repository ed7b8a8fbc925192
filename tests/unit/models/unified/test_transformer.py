"""The transformer: which tokens attend to which, and its experts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support.described import tiny_transformer
from torch import Tensor

from reliableswap.data.describe.language import vocabulary
from reliableswap.models import load_network
from reliableswap.models.unified.experts import COPY, IDENTITY, NOISE, ZERO, SequenceExperts, TokenExperts
from reliableswap.models.unified.transformer import UnifiedOutput, UnifiedTransformer

ASK, DRAW = False, True


def called(network: UnifiedTransformer, task: bool, **changed: Tensor) -> UnifiedOutput:
    """The network's output for two fixed rows, with the inputs in `changed` replaced."""
    generator = torch.Generator().manual_seed(0)
    given: dict[str, Any] = {
        "words": torch.randint(4, 60, (2, 9), generator=generator),
        "picture": torch.randint(0, 32, (2, 64), generator=generator),
        "drawing": torch.full((2,), task),
        "identity": torch.randn(2, 128, generator=generator),
        "identified": torch.ones(2, dtype=torch.bool),
    }
    with torch.no_grad():
        return network(**(given | changed))


def words(**changed: int) -> Tensor:
    found = torch.randint(4, 60, (2, 9), generator=torch.Generator().manual_seed(0))
    for place, value in changed.items():
        found[0, int(place[1:])] = value
    return found


def picture_with(place: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    torch.randint(4, 60, (2, 9), generator=generator)
    found = torch.randint(0, 32, (2, 64), generator=generator)
    found[0, place] = (found[0, place] + 1) % 32
    return found


def test_words_do_not_see_later_words() -> None:
    network = tiny_transformer()
    before, after = called(network, ASK).words, called(network, ASK, words=words(_6=61)).words
    assert torch.allclose(before[0, :6], after[0, :6], atol=1e-6)
    assert not torch.allclose(before[0, 6], after[0, 6], atol=1e-4)


def test_answers_see_the_whole_picture() -> None:
    network = tiny_transformer()
    before = called(network, ASK).words
    for place in (0, 63):
        after = called(network, ASK, picture=picture_with(place)).words
        assert not torch.allclose(before[0, 0], after[0, 0], atol=1e-5)


def test_picture_tokens_see_each_other_and_the_caption() -> None:
    network = tiny_transformer()
    before = called(network, DRAW).picture
    for changed in ({"picture": picture_with(63)}, {"words": words(_8=61)}):
        after = called(network, DRAW, **changed).picture
        assert not torch.allclose(before[0, 0], after[0, 0], atol=1e-5)
        assert torch.allclose(before[1], after[1], atol=1e-6)  # the other row


def test_words_depend_on_the_picture_only_through_sequence_experts() -> None:
    network = tiny_transformer()
    for experts in network.sequence:
        for router in experts.routers:  # type: ignore[union-attr]
            torch.nn.init.normal_(router.weight)
    # Sequence experts are weighted by the picture; without them, words do not depend on it.
    plain = tiny_transformer(sequence_experts=False)
    for one, same in ((plain, True), (network, False)):
        before, after = called(one, DRAW).words, called(one, DRAW, picture=picture_with(5)).words
        assert torch.allclose(before, after, atol=1e-7) is same


@pytest.mark.parametrize("task", [ASK, DRAW])
def test_padding_changes_nothing(task: bool) -> None:
    network = tiny_transformer()
    longer = torch.cat([words(), torch.zeros(2, 7, dtype=torch.long)], 1)
    before, after = called(network, task), called(network, task, words=longer)
    assert torch.allclose(before.picture, after.picture, atol=1e-5)
    if task == ASK:
        assert torch.allclose(before.words, after.words[:, :9], atol=1e-5)


def test_both_tasks_in_one_batch_are_as_each_alone() -> None:
    network = tiny_transformer()
    mixed = called(network, ASK, drawing=torch.tensor([DRAW, ASK]))
    assert torch.allclose(mixed.picture[0], called(network, DRAW).picture[0], atol=1e-5)
    assert torch.allclose(mixed.words[1], called(network, ASK).words[1], atol=1e-5)


def test_the_identity_affects_answers_only() -> None:
    network = tiny_transformer()
    other = torch.randn(2, 128, generator=torch.Generator().manual_seed(9))
    nobody = torch.zeros(2, dtype=torch.bool)
    assert not torch.allclose(
        called(network, ASK).words, called(network, ASK, identity=other).words, atol=1e-5
    )
    without = called(network, ASK, identified=nobody).words
    assert torch.allclose(without, called(network, ASK, identity=other, identified=nobody).words)
    assert torch.equal(called(network, DRAW).picture, called(network, DRAW, identity=other).picture)


@pytest.mark.parametrize(
    "more",
    [{"token_experts": 0}, {"sequence_experts": False}, {"token_experts": 0, "sequence_experts": False}],
)
def test_experts_can_be_left_out(more: dict[str, Any], tmp_path: Path) -> None:
    network = tiny_transformer(**more)
    assert (float(called(network, ASK).balance) == 0) is (more.get("token_experts") == 0)
    network.save_pretrained(tmp_path)
    loaded = load_network(tmp_path)
    assert torch.equal(called(network, ASK).words, called(loaded, ASK).words)  # type: ignore[arg-type]


def test_the_default_has_at_most_fifteen_million_parameters() -> None:
    assert UnifiedTransformer(vocabulary()).parameter_count < 15e6


def test_a_new_networks_probabilities_sum_to_about_one() -> None:
    total = called(tiny_transformer(), DRAW).picture.exp().sum(2)
    assert torch.allclose(total, torch.ones_like(total), atol=0.2)


def test_the_balance_is_one_for_evenly_used_experts_and_their_count_for_a_single_one() -> None:
    experts = TokenExperts(4, 8, experts=4, top_k=1)
    x = torch.eye(4).repeat(8, 1)
    with torch.no_grad():
        experts.router.weight.copy_(20 * torch.eye(4))
        assert float(experts(x)[1]) == pytest.approx(1, abs=1e-3)
        experts.router.weight.copy_(torch.tensor([20.0, 0, 0, 0])[:, None].expand(4, 4))
        assert float(experts(x)[1]) == pytest.approx(4, abs=1e-3)


def test_every_weight_has_a_gradient_in_a_batch_of_one_task() -> None:
    """Otherwise ranks would wait forever for a gradient that never comes."""
    network = tiny_transformer().train()
    rows = {"words": torch.ones(2, 5, dtype=torch.long), "picture": torch.zeros(2, 64, dtype=torch.long)}
    known = torch.zeros(2, dtype=torch.bool)
    output = network(
        **rows, drawing=torch.ones(2, dtype=torch.bool), identity=torch.zeros(2, 128), identified=known
    )
    (output.words.sum() + output.picture.sum() + output.balance).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


def test_a_token_goes_to_its_best_experts_alone() -> None:
    torch.manual_seed(0)
    experts = TokenExperts(4, 8, experts=3, top_k=2)
    x = torch.randn(5, 4)
    with torch.no_grad():
        out, _ = experts(x)
        probabilities = experts.router(x).softmax(1)
        for row in range(5):
            best = probabilities[row].topk(2)
            parts = [w * experts.experts[int(e)](x[row : row + 1]) for w, e in zip(*best, strict=True)]
            assert torch.allclose(out[row], (experts.shared(x[row : row + 1]) + sum(parts))[0], atol=1e-5)


def test_sequences_are_weighted_by_task() -> None:
    experts = SequenceExperts(8)
    drawing, identified = torch.tensor([False, False, True]), torch.tensor([True, False, True])
    weights = experts.weights(torch.randn(3, 8), drawing, identified).detach()
    assert torch.allclose(weights.sum(1), torch.ones(3))
    assert float(weights[0, NOISE]) == 0
    assert float(weights[0, IDENTITY]) > 0
    assert float(weights[1, IDENTITY]) == 0
    assert float(weights[2, IDENTITY]) == 0
    assert float(weights[2, NOISE]) > 0
    assert (weights[:, COPY] > weights[:, ZERO]).all()


def test_wrong_inputs_are_named() -> None:
    network = tiny_transformer()
    with pytest.raises(ValueError, match="picture has shape"):
        called(network, ASK, picture=torch.zeros(2, 9, dtype=torch.long))
    with pytest.raises(ValueError, match="at most 96 are supported"):
        called(network, ASK, words=torch.ones(2, 200, dtype=torch.long))


def test_drawn_rows_that_are_last_need_no_search() -> None:
    network = tiny_transformer()
    torch.manual_seed(0)
    words, picture = torch.randint(4, 20, (5, 6)), torch.randint(0, 33, (5, 64))
    drawing = torch.tensor([False, False, False, True, True])
    vectors = torch.randn(5, 128)
    ours = network(words, picture, drawing, vectors, ~drawing)
    same = network(words, picture, drawing, vectors, ~drawing, drawn=2)
    assert torch.allclose(ours.picture, same.picture, atol=1e-5)
    assert torch.allclose(ours.words, same.words, atol=1e-5)
    order = torch.tensor([3, 0, 4, 1, 2])
    mixed = network(words[order], picture[order], drawing[order], vectors[order], ~drawing[order])
    assert torch.allclose(mixed.picture, ours.picture[order], atol=1e-5)


def test_similar_codes_begin_with_similar_embeddings() -> None:
    network = tiny_transformer()
    codes = torch.nn.functional.normalize(torch.randn(32, 8), dim=1)
    codes[1] = codes[0]
    network.start_from_codes(codes)
    for weight, spread in ((network.pieces.weight[:32], 0.4), (network.to_pieces.weight, 0.02)):
        table = weight.detach()
        unit = torch.nn.functional.normalize(table, dim=1)
        near = unit @ unit.t()
        assert near[0, 1] > 0.2
        assert near[2:].fill_diagonal_(0).abs().mean() < 0.25
        assert float(table.std()) == pytest.approx(spread, rel=0.3)


def test_what_blocks_add_is_small_at_first() -> None:
    network = tiny_transformer(layers=4, sequence_experts=False)
    words, picture = torch.randint(4, 20, (4, 6)), torch.randint(0, 33, (4, 64))
    drawing = torch.ones(4, dtype=torch.bool)
    x, _ = network._sequence(words, picture, drawing)
    before = x
    rows = (slice(0), slice(0, None))
    for block in network.blocks:
        x, _ = block(x, network._attention_mask(words, drawing), rows)
    assert float((x - before).norm()) < 0.5 * float(before.norm())
