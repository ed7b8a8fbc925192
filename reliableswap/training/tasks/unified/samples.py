"""Training samples of the transformer: questions about faces, and captions of faces to draw.

All words and tokens are tables on the device, and batches are assembled there: a GPU's step takes a few milliseconds,
in which no process could prepare the words of hundreds of samples.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from reliableswap.data.describe.language import describe_question, mirrored_text
from reliableswap.data.describe.rows import DescribedFaces
from reliableswap.data.storage import write_array
from reliableswap.errors import ReliableSwapError
from reliableswap.models.unified.tokeniser import FaceTokeniser
from reliableswap.models.unified.words import ANSWER, END, SPECIAL_TOKENS, number_words
from reliableswap.training.tasks.pixels import to_network

from .jitter import jittered
from .settings import UnifiedSettings

IGNORED = -100  # label of words that the loss ignores
_BATCH = 128
_WORDINGS = 2  # differently worded requests for each full description
_MULTIPLE = 8  # attention is fastest on sequences whose length is a multiple of this


def tokens_of(
    faces: DescribedFaces, tokeniser: FaceTokeniser, checksum: str, folder: Path, views: int = 1
) -> np.ndarray:
    """(N,2,V,64) int16 the tokens of every face and of its mirror image, made once and cached in a folder.

    The first view is the picture as it is; the others are jittered.
    """
    name = hashlib.sha256(f"{faces.key} {checksum} {views}".encode()).hexdigest()[:16]
    file = folder / f"tokens-{name}.npy"
    if not file.is_file():
        write_array(file, _tokens(faces, tokeniser, views))
    return np.asarray(np.load(file))


@torch.inference_mode()
def _tokens(faces: DescribedFaces, tokeniser: FaceTokeniser, views: int) -> np.ndarray:
    found = np.zeros((len(faces), 2, views, 64), np.int16)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for start in range(0, len(faces), _BATCH):
            crops = np.stack([faces.crop(i) for i in range(start, min(start + _BATCH, len(faces)))])
            pictures = to_network(torch.from_numpy(crops).to(tokeniser.device))
            for view in range(views):
                for side, seen in enumerate((pictures, pictures.flip(3))):
                    tokens = tokeniser.encode(jittered(seen) if view else seen)
                    found[start : start + len(crops), side, view] = tokens.cpu().numpy()
    return found


class FaceOrder(Dataset[int]):
    """Sample i is the index of a face. Every face comes once per epoch, in an order that depends on the seed."""

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed = count, seed
        self._order: tuple[int, np.ndarray] = (-1, np.zeros(0, np.int64))

    def __len__(self) -> int:
        return 2**31

    def __getitem__(self, i: int) -> int:
        epoch, place = divmod(i, self.count)
        if self._order[0] != epoch:
            self._order = epoch, np.random.default_rng([self.seed, 5, epoch]).permutation(self.count)
        return int(self._order[1][place])


class SampleTables:
    """Tables of all texts about the faces and their mirror images, as word numbers, and of all tokens.

    captions, questions, descriptions: for each face and side, the numbers of its captions to draw, of its questions
    with answers, and of its requests for a description, with the description.
    """

    def __init__(
        self,
        settings: UnifiedSettings,
        faces: DescribedFaces,
        tokens: np.ndarray,
        vocabulary: Sequence[str],
        longest: int = 96,
    ) -> None:
        self.settings = settings
        self._numbers = lru_cache(maxsize=None)(lambda text: tuple(number_words(text, vocabulary)))
        self._texts: dict[tuple[tuple[int, ...], int], int] = {((), 0): 0}
        captions, questions, descriptions = self._list_texts(faces)
        most = max(len(words) for words, _ in self._texts)
        if most > longest:
            raise ReliableSwapError(f"a text has {most} words; the network reads {longest} at most")
        self.width = min(
            longest, -(-(most + 1 + tokens.shape[-1]) // _MULTIPLE) * _MULTIPLE - 1 - tokens.shape[-1]
        )
        words = np.zeros((len(self._texts), self.width), np.int16)
        begins = np.zeros(len(self._texts), np.int16)
        for (text, begin), number in self._texts.items():
            words[number, : len(text)], begins[number] = text, begin
        self.tables = {
            "words": torch.from_numpy(words),
            "begins": torch.from_numpy(begins),
            "tokens": torch.from_numpy(np.ascontiguousarray(tokens)),
            "identity": torch.from_numpy(faces.v_id),
        }
        for name, lists in (("captions", captions), ("questions", questions), ("descriptions", descriptions)):
            self.tables |= _table(name, lists)

    def to(self, device: torch.device) -> None:
        if self.tables["words"].device != device:
            self.tables = {name: table.to(device) for name, table in self.tables.items()}

    def batch(self, rows: Tensor) -> dict[str, Tensor]:
        """Face indices (B,) -> a random batch, whose last rows are to be drawn.

        wanted (B,T): for each word, the one that should follow, or IGNORED.
        """
        settings, tables, device = self.settings, self.tables, self.tables["words"].device
        rows, count = rows.to(device), len(rows)
        drawn = self.drawing_count(count)
        drawing = torch.arange(count, device=device) >= count - drawn

        def chance() -> Tensor:
            return torch.rand(count, device=device)

        side = ((chance() < 0.5) & settings.mirror).long()

        def text(name: str) -> tuple[Tensor, Tensor]:
            """Return the number of a random text for each face (B,), and whether it has any."""
            many = tables[f"{name}_count"][rows, side]
            place = (chance() * many).long().clamp(max=tables[name].shape[2] - 1)
            return tables[name][rows, side, place].long(), many > 0

        captions, questions, descriptions = text("captions"), text("questions"), text("descriptions")
        caption = torch.where(chance() < settings.no_caption, 0, captions[0])
        question = torch.where(
            (chance() < settings.described_share) | ~questions[1], descriptions[0], questions[0]
        )
        chosen = torch.where(drawing, caption, question)
        words = tables["words"][chosen].long()
        tokens = tables["tokens"]
        view = (chance() * tokens.shape[2]).long().clamp(max=tokens.shape[2] - 1)
        if device.type == "cpu":  # elsewhere, finding the longest text would wait for the device
            words = words[:, : max(1, int((words != 0).sum(1).max()))]
        following = torch.cat([words[:, 1:], torch.zeros_like(words[:, :1])], 1)
        places = torch.arange(words.shape[1], device=device)
        answered = (
            (places >= tables["begins"][chosen].long()[:, None] - 1) & (following != 0) & ~drawing[:, None]
        )
        return {
            "words": words,
            "wanted": torch.where(answered, following, IGNORED),
            "picture": tokens[rows, side, view].long(),
            "identity": tables["identity"][rows],
            "drawing": drawing,
            "identified": ~drawing & (chance() >= settings.no_identity),
        }

    def drawing_count(self, count: int) -> int:
        """Return how many rows of a batch are to be drawn."""
        return round(self.settings.drawing_share * count)

    def _list_texts(self, faces: DescribedFaces) -> tuple[list[list[list[int]]], ...]:
        """List, for each face and side, the numbers of its texts."""
        captions: list[list[list[int]]] = []
        questions: list[list[list[int]]] = []
        descriptions: list[list[list[int]]] = []
        rng = np.random.default_rng([self.settings.seed, 4])
        for row in range(len(faces)):
            own = faces.captions[row]
            # The captions in the first half state everything that is known.
            full = own[: len(own) - len(own) // 2]
            requests = [(describe_question(rng), text) for text in full for _ in range(_WORDINGS)]
            pairs = [(one["question"], one["answer"]) for one in faces.questions[row]]
            sides = (str, mirrored_text) if self.settings.mirror else (str, str)
            captions.append([[self._caption(turned(text)) for text in own] for turned in sides])
            for found, given in ((questions, pairs), (descriptions, requests)):
                found.append([[self._answer(turned(q), turned(a)) for q, a in given] for turned in sides])
        return captions, questions, descriptions

    def _caption(self, text: str) -> int:
        words = (*self._numbers(text), SPECIAL_TOKENS.index(END)) if text else ()
        return self._texts.setdefault((words, 0), len(self._texts))

    def _answer(self, question: str, answer: str) -> int:
        before = (*self._numbers(question), SPECIAL_TOKENS.index(ANSWER))
        words = (*before, *self._numbers(answer), SPECIAL_TOKENS.index(END))
        return self._texts.setdefault((words, len(before)), len(self._texts))


def _table(name: str, lists: Sequence[Sequence[Sequence[int]]]) -> dict[str, Tensor]:
    """Lists of numbers for each face and side -> (N,2,M) padded with 0, and their lengths (N,2)."""
    most = max(1, *(len(one) for pair in lists for one in pair))
    filled = [[[*one, *[0] * (most - len(one))] for one in pair] for pair in lists]
    counts = [[len(one) for one in pair] for pair in lists]
    return {
        name: torch.tensor(filled, dtype=torch.int32),
        f"{name}_count": torch.tensor(counts, dtype=torch.int32),
    }
