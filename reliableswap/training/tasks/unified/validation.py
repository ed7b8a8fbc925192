"""Figures of the transformer on held-out people, and a grid of drawn faces."""

from __future__ import annotations

from collections import Counter

import numpy as np
import torch
from torch import Tensor

from reliableswap.data.describe.language import fixed_questions
from reliableswap.data.describe.rows import DescribedFaces
from reliableswap.models.unified.drawing import mask_loss, masked
from reliableswap.models.unified.generate import answer, caption_words, draw, padded, question_words
from reliableswap.models.unified.tokeniser import FaceTokeniser
from reliableswap.models.unified.transformer import UnifiedTransformer
from reliableswap.models.unified.words import number_words

from .settings import UnifiedSettings

_DRAWN = 8  # faces in the grid
_SHARES = (0.9, 0.5)  # shares of masked tokens for which the mask loss is measured
_STEPS, _GUIDANCE = 12, 2.0


class Validation:
    """Held-out faces, each with one question about a known attribute; the same at every validation."""

    def __init__(
        self, settings: UnifiedSettings, faces: DescribedFaces, tokens: np.ndarray, tokeniser: FaceTokeniser
    ) -> None:
        self.faces, self.tokeniser = faces, tokeniser
        self.count = min(settings.validation_faces, len(faces))
        self.tokens = torch.from_numpy(tokens[: self.count, 0, 0].astype(np.int64))
        self.identity = torch.from_numpy(faces.v_id[: self.count])
        rng = np.random.default_rng(settings.seed)
        forms = fixed_questions()
        self.asked: list[tuple[str, str, str]] = []  # attribute, question, answer
        for i in range(self.count):
            known = [name for name in faces.attributes[i] if name in forms]
            name = str(rng.choice(known))
            question, answers = forms[name]
            self.asked.append((name, question, answers[faces.attributes[i][name]]))

    def figures(self, network: UnifiedTransformer) -> dict[str, float]:
        """answers: the share of correct answers; majority: the share that the commonest answer to each question would
        get; mask_N: the mean cross-entropy with N % of the tokens masked."""
        vocabulary = network.vocabulary
        questions = [question_words(question, vocabulary) for _, question, _ in self.asked]
        known = torch.ones(self.count, dtype=torch.bool)
        found: list[list[int]] = []
        for part in torch.arange(self.count).split(64):
            rows = part.tolist()
            found += answer(
                network, self.tokens[rows], [questions[i] for i in rows], self.identity[rows], known[rows], 4
            )
        right = [
            number_words(one[2], vocabulary) == words for one, words in zip(self.asked, found, strict=True)
        ]
        common: dict[str, Counter[str]] = {}
        for name, _, said in self.asked:
            common.setdefault(name, Counter())[said] += 1
        majority = sum(own.most_common(1)[0][1] for own in common.values()) / self.count
        figures = {"answers": float(np.mean(right)), "majority": majority}
        for share in _SHARES:
            figures[f"mask_{round(100 * share)}"] = self._mask_loss(network, share)
        return figures

    def _mask_loss(self, network: UnifiedTransformer, share: float) -> float:
        device, losses = network.device, []
        generator = torch.Generator().manual_seed(1)
        for part in torch.arange(self.count).split(64):
            tokens = self.tokens[part]
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
                hidden, where = masked(tokens, torch.full((len(part),), share), network.mask)
            drawing = torch.ones(len(part), dtype=torch.bool, device=device)
            words = padded([caption_words(self.faces.captions[int(i)][0], network.vocabulary) for i in part])
            output = network(
                words.to(device), hidden.to(device), drawing, self.identity[part].to(device), ~drawing
            )
            losses.append(mask_loss(output.picture.cpu(), tokens, where))
        return float(torch.cat(losses).mean())

    def grid(self, network: UnifiedTransformer) -> np.ndarray:
        """Held-out faces decoded from their tokens, above faces drawn from their captions."""
        count = min(_DRAWN, self.count)
        captions = [caption_words(self.faces.captions[i][0], network.vocabulary) for i in range(count)]
        generator = torch.Generator().manual_seed(0)
        drawn = draw(network, captions, steps=_STEPS, guidance=_GUIDANCE, generator=generator)
        rows = [self._pictures(self.tokens[:count]), self._pictures(drawn)]
        return np.concatenate([np.concatenate(list(row), 1) for row in rows])

    def _pictures(self, tokens: Tensor) -> np.ndarray:
        made = self.tokeniser.decode(tokens.to(self.tokeniser.device))
        return ((made + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
