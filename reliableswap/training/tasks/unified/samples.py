"""Training samples of the transformer: questions about faces, and captions of faces to draw."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from reliableswap.data.describe.language import describe_question, mirrored_text
from reliableswap.data.describe.rows import DescribedFaces
from reliableswap.data.storage import write_array
from reliableswap.errors import ReliableSwapError
from reliableswap.models.unified.generate import caption_words, padded, question_words
from reliableswap.models.unified.tokeniser import FaceTokeniser
from reliableswap.models.unified.words import END, MARKS, number_words
from reliableswap.training.tasks.pixels import to_network

from .settings import UnifiedSettings

IGNORED = -100  # of the words that no loss looks at
_BATCH = 32


def tokens_of(faces: DescribedFaces, tokeniser: FaceTokeniser, checksum: str, folder: Path) -> np.ndarray:
    """(N,2,64) int16 the tokens of every face and of its mirror image, made once and kept in a folder."""
    name = hashlib.sha256(f"{faces.key} {checksum}".encode()).hexdigest()[:16]
    file = folder / f"tokens-{name}.npy"
    if not file.is_file():
        write_array(file, _tokens(faces, tokeniser))
    return np.asarray(np.load(file))


@torch.inference_mode()
def _tokens(faces: DescribedFaces, tokeniser: FaceTokeniser) -> np.ndarray:
    found = np.zeros((len(faces), 2, 64), np.int16)
    for start in range(0, len(faces), _BATCH):
        crops = np.stack([faces.crop(i) for i in range(start, min(start + _BATCH, len(faces)))])
        pictures = to_network(torch.from_numpy(crops)).to(tokeniser.device)
        for side, seen in enumerate((pictures, pictures.flip(3))):
            found[start : start + len(crops), side] = tokeniser.encode(seen).cpu().numpy()
    return found


class UnifiedSamples(Dataset[dict[str, Any]]):
    """Sample i, which follows from the seed and i: words, the picture's tokens, the identity vector, and the task.

    wanted: for each word the one that should come next, or IGNORED.
    """

    def __init__(
        self, settings: UnifiedSettings, faces: DescribedFaces, tokens: np.ndarray, vocabulary: list[str]
    ) -> None:
        self.settings, self.faces, self.tokens, self.vocabulary = settings, faces, tokens, vocabulary

    def __len__(self) -> int:
        return 2**31

    def __getitem__(self, i: int) -> dict[str, Any]:
        settings = self.settings
        rng = np.random.default_rng([settings.seed, 4, i])
        epoch, place = divmod(i, len(self.faces))
        row = int(np.random.default_rng([settings.seed, 5, epoch]).permutation(len(self.faces))[place])
        mirror = settings.mirror and bool(rng.random() < 0.5)
        drawing = bool(rng.random() < settings.drawing_share)
        words, wanted = (self._caption if drawing else self._question)(row, mirror, rng)
        return {
            "words": words,
            "wanted": wanted,
            "picture": torch.from_numpy(self.tokens[row, int(mirror)].astype(np.int64)),
            "drawing": drawing,
            "identity": torch.from_numpy(self.faces.v_id[row]),
            "identified": not drawing and bool(rng.random() >= settings.no_identity),
        }

    def _caption(self, row: int, mirror: bool, rng: np.random.Generator) -> tuple[list[int], list[int]]:
        """The words of a caption, of which none is wanted."""
        captions = self.faces.captions[row]
        if rng.random() < self.settings.no_caption or not captions:
            return [], []
        text = captions[int(rng.integers(len(captions)))]
        return caption_words(mirrored_text(text) if mirror else text, self.vocabulary), []

    def _question(self, row: int, mirror: bool, rng: np.random.Generator) -> tuple[list[int], list[int]]:
        """The words of a question with its answer, and what is wanted after each."""
        asked, captions = self.faces.questions[row], self.faces.captions[row]
        if not asked or rng.random() < self.settings.described_share:
            # The first half of the captions states everything that is known.
            text = captions[int(rng.integers(len(captions) - len(captions) // 2))]
            question, answer = describe_question(rng), text
        else:
            one = asked[int(rng.integers(len(asked)))]
            question, answer = one["question"], one["answer"]
        if mirror:
            question, answer = mirrored_text(question), mirrored_text(answer)
        before = question_words(question, self.vocabulary)
        after = [*number_words(answer, self.vocabulary), MARKS.index(END)]
        words = [*before, *after]
        return words, [*[IGNORED] * (len(before) - 1), *after, IGNORED]


def collated(samples: list[dict[str, Any]], longest: int) -> dict[str, Tensor]:
    """A batch of samples; words are filled up to the longest row."""
    rows = [one["words"] for one in samples]
    if max(map(len, rows)) > longest:
        raise ReliableSwapError(
            f"a text has {max(map(len, rows))} words; the network reads {longest} at most"
        )
    words = padded(rows)
    wanted = torch.full_like(words, IGNORED)
    for number, one in enumerate(samples):
        wanted[number, : len(one["wanted"])] = torch.tensor(one["wanted"], dtype=torch.long)
    return {
        "words": words,
        "wanted": wanted,
        "picture": torch.stack([one["picture"] for one in samples]),
        "identity": torch.stack([one["identity"] for one in samples]),
        "drawing": torch.tensor([one["drawing"] for one in samples]),
        "identified": torch.tensor([one["identified"] for one in samples]),
    }
