"""Use the unified transformer: answer questions about pictures, and draw pictures from captions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .drawing import draw_tokens
from .transformer import PLACES, UnifiedTransformer
from .words import ANSWER, END, PAD, SPECIAL_TOKENS, UNKNOWN, number_words

_NEVER = [SPECIAL_TOKENS.index(token) for token in (PAD, UNKNOWN, ANSWER)]


def padded(rows: Sequence[Sequence[int]]) -> Tensor:
    """Word numbers of several rows -> (B,T), padded with 0."""
    length = max(1, *(len(row) for row in rows))
    return torch.tensor([[*row, *[0] * (length - len(row))] for row in rows], dtype=torch.long)


def question_words(question: str, vocabulary: Sequence[str]) -> list[int]:
    """Return the word numbers of a question, up to where its answer begins."""
    return [*number_words(question, vocabulary), SPECIAL_TOKENS.index(ANSWER)]


def caption_words(caption: str, vocabulary: Sequence[str]) -> list[int]:
    """Return the word numbers of a caption to draw; none for an empty one."""
    return [*number_words(caption, vocabulary), SPECIAL_TOKENS.index(END)] if caption else []


@torch.inference_mode()
def answer(
    network: UnifiedTransformer,
    picture: Tensor,
    questions: Sequence[Sequence[int]],
    identity: Tensor,
    identified: Tensor,
    longest: int = 60,
) -> list[list[int]]:
    """Picture tokens (B,64), questions by `question_words`, identity vectors (B,D) and whether to use them (B,) ->
    word numbers of the answers by greedy decoding, without END."""
    device, end = network.device, SPECIAL_TOKENS.index(END)
    rows = [list(row) for row in questions]
    found: list[list[int]] = [[] for _ in questions]
    running = list(range(len(rows)))
    while running:
        words = padded([rows[i] for i in running]).to(device)
        drawing = torch.zeros(len(running), dtype=torch.bool, device=device)
        output = network(
            words,
            picture[running].to(device),
            drawing,
            identity[running].to(device),
            identified[running].to(device),
        )
        last = torch.tensor([len(rows[i]) - 1 for i in running], device=device)
        logits = output.words[torch.arange(len(running), device=device), last].float()
        logits[:, _NEVER] = -torch.inf
        for i, word in zip(list(running), logits.argmax(1).tolist(), strict=True):
            full = len(rows[i]) >= network.max_words or len(found[i]) >= longest
            if word == end or full:
                running.remove(i)
            else:
                rows[i].append(word)
                found[i].append(word)
    return found


@torch.inference_mode()
def draw(
    network: UnifiedTransformer,
    captions: Sequence[Sequence[int]],
    *,
    steps: int,
    guidance: float,
    generator: torch.Generator,
    temperature: float = 1.0,
) -> Tensor:
    """Captions by `caption_words` -> (B,64) picture tokens. guidance: how far to push the logits away from those
    without a caption; 0: not at all."""
    device, count = network.device, len(captions)
    empty: list[list[int]] = [[] for _ in captions]
    rows = [*captions, *empty] if guidance else list(captions)
    words = padded(rows).to(device)
    drawing = torch.ones(len(rows), dtype=torch.bool, device=device)
    identity = torch.zeros(len(rows), network.identity_size, device=device)

    def logits_of(tokens: Tensor) -> Tensor:
        pieces = tokens.to(device)
        given = torch.cat([pieces, pieces]) if guidance else pieces
        logits = network(words, given, drawing, identity, ~drawing).picture.float()
        if not guidance:
            return logits
        with_caption, without = logits.split(count)
        return with_caption + guidance * (with_caption - without)

    assert PLACES == 64
    return draw_tokens(logits_of, count, network.mask, steps, generator, temperature)
