"""UnifiedFacePipeline: a face in, words out; or words in, the face of a person who does not exist out."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.utils import BaseOutput
from PIL import Image

from reliableswap import __version__
from reliableswap.bundled import bundled
from reliableswap.errors import NoFaceError, ReliableSwapError, WeightsError
from reliableswap.faces.align import IDENTITY_WINDOW, align
from reliableswap.faces.align_torch import to_tensor
from reliableswap.faces.analysers.base import FaceAnalyser
from reliableswap.faces.analysers.bundled import BundledAnalyser
from reliableswap.faces.face import Face
from reliableswap.media import Picture, check_output
from reliableswap.models.compat import weights_checksum
from reliableswap.models.detector import FaceDetector
from reliableswap.models.identity import IdentityEncoder
from reliableswap.models.landmarks import MeshNet
from reliableswap.models.unified.generate import answer, caption_words, draw, question_words
from reliableswap.models.unified.tokeniser import SIZE, FaceTokeniser
from reliableswap.models.unified.transformer import UnifiedTransformer
from reliableswap.models.unified.words import join_words, split_words, unknown_words
from reliableswap.provenance.credentials import Credentials
from reliableswap.provenance.metadata import GENERATED
from reliableswap.provenance.record import Record
from reliableswap.provenance.seal import LAYERS, seal
from reliableswap.runtime.torch import cached_inference_copy
from reliableswap.safety.gates import Gates

from .inputs import PictureLike, to_picture
from .stored import StoredPipeline

logger = logging.getLogger(__name__)

TEMPLATE = "head_512"  # of the crops that the tokens encode
DESCRIBE = "describe this face"
DRAWN = "face drawing"
_MAX_WORDS = 95  # words of a description or a question


@dataclass
class DrawnFaces(BaseOutput):
    """Faces of people who do not exist. images: PIL's. pictures, records: the same, as `save` writes and marks them.

    `images` that Pillow saves are not marked.
    """

    images: list[Image.Image]
    pictures: list[Picture]
    records: list[Record]

    def save(
        self,
        path: str | os.PathLike[str],
        index: int = 0,
        *,
        overwrite: bool = False,
        quality: int = 95,
        label: bool = False,
        layers: Collection[str] = LAYERS,
        signer: Credentials | None = None,
    ) -> Path:
        """Write one of the faces, marked as made by AI; the extension sets the format. See `provenance.seal.seal`."""
        output = check_output(path, overwrite=overwrite)
        options: dict[str, Any] = {
            "overwrite": overwrite,
            "quality": quality,
            "label": label,
            "layers": layers,
        }
        return seal(self.pictures[index], output, self.records[index].with_new_id(), signer=signer, **options)


class UnifiedFacePipeline(StoredPipeline):
    """Describes faces, answers questions about them, and draws faces of people who do not exist:

    pipe = UnifiedFacePipeline.bundled()
    pipe.describe("photo.jpg"); pipe.ask("photo.jpg", "does she wear glasses?")
    pipe.draw("a bearded man with glasses, smiling", seed=0).save("drawn.png")

    Without a detector, landmarks or an identity encoder, the bundled ones are used. Its answers are estimates of one
    small network: see docs/unified.md for how often they are right.
    """

    model_cpu_offload_seq = "detector->landmarks->identity->tokeniser->transformer"
    _bundled = "unified"
    _optional_components = ["detector", "landmarks", "identity"]  # noqa: RUF012 (the base class's own convention)

    def __init__(
        self,
        tokeniser: FaceTokeniser,
        transformer: UnifiedTransformer,
        identity: IdentityEncoder | None = None,
        detector: FaceDetector | None = None,
        landmarks: MeshNet | None = None,
    ) -> None:
        super().__init__()
        self.register_modules(
            tokeniser=tokeniser,
            transformer=transformer,
            identity=identity,
            detector=detector,
            landmarks=landmarks,
        )
        self._analyser: FaceAnalyser | None = None
        self._encoder: IdentityEncoder | None = None
        # It fits the transformer, also after a change of dtype.
        self._checked_encoder: IdentityEncoder | None = None
        self._gates = Gates()
        _check_tokeniser(tokeniser, transformer)
        if identity is not None:
            self._check_encoder(identity)

    @property
    def analyser(self) -> FaceAnalyser:
        """The face analyser: detector and landmarks, or one that the caller set."""
        return self._analyser or BundledAnalyser(self.detector, self.landmarks)

    @analyser.setter
    def analyser(self, analyser: FaceAnalyser | None) -> None:
        self._analyser = analyser

    @property
    def encoder(self) -> IdentityEncoder:
        """The identity encoder that the transformer was trained with."""
        if self.identity is not None:
            encoder: IdentityEncoder = self.identity
        else:
            if self._encoder is None:
                self._encoder = IdentityEncoder.from_pretrained(bundled("identity")).to(self.device)
            encoder = self._encoder
        if encoder is not self._checked_encoder:
            self._check_encoder(encoder)
        return encoder

    def _check_encoder(self, encoder: IdentityEncoder) -> None:
        """Raise WeightsError unless the transformer was trained with this encoder."""
        wanted = self.transformer.config["identity_checksum"]
        if wanted and encoder.checksum() != wanted:
            raise WeightsError(
                "the identity encoder is not the one that this transformer was trained with; pass identity= with "
                f"checksum {wanted[:16]}"
            )
        self._checked_encoder = encoder

    def check_weights(self) -> None:
        """Raise WeightsError unless the networks fit together."""
        _check_tokeniser(self.tokeniser, self.transformer)
        if self.identity is not None:
            self._check_encoder(self.identity)

    def describe(self, picture: PictureLike, face: int = 0) -> str:
        """Describe a face of a picture; 0 is the largest."""
        return self._answers(picture, [face], DESCRIBE)[0]

    def describe_faces(self, picture: PictureLike, faces: Sequence[Face]) -> list[str]:
        """Describe faces that were found already."""
        pixels = to_picture(picture).pixels
        return self._answer_faces(pixels, faces, DESCRIBE) if faces else []

    def ask(self, picture: PictureLike, question: str, face: int = 0) -> str:
        """Answer a question about a face of a picture; 0 is the largest."""
        self._check_words(question, "a question")
        return self._answers(picture, [face], question if "?" in question else f"{question} ?")[0]

    @torch.inference_mode()
    def draw(
        self,
        description: str = "",
        *,
        seed: int = 0,
        steps: int = 16,
        guidance: float = 4.0,
        temperature: float = 1.0,
        count: int = 1,
    ) -> DrawnFaces:
        """Draw 128 px faces of people who do not exist.

        steps: passes of the network. guidance: how strictly to follow the description; 0: no guidance.
        temperature: below 1, likelier and less varied faces. The same seed gives the same faces on the same machine.
        """
        for name, value, least in (("steps", steps, 1), ("count", count, 1), ("guidance", guidance, 0)):
            if not least <= value < math.inf:  # refuses NaN too
                raise ReliableSwapError(f"{name} is {value}; give {least} or more")
        if not -(2**63) <= seed < 2**63:
            raise ReliableSwapError(f"seed is {seed}; give a whole number of at most 18 digits")
        if not 0 < temperature < 10:
            raise ReliableSwapError(f"temperature is {temperature}; give a number above 0, such as 0.9")
        if description:
            self._check_words(description, "a description")
        words = caption_words(description, self.transformer.vocabulary)
        generator = torch.Generator().manual_seed(seed)
        tokens = draw(
            self.transformer, [words] * count, steps=steps, guidance=guidance, generator=generator,
            temperature=temperature,
        )  # fmt: skip
        made = self.tokeniser.decode(tokens.to(self.tokeniser.device)).float()
        pixels = ((made + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        settings = {"seed": seed, "steps": steps, "guidance": guidance, "temperature": temperature}
        checksums = self.checksums()
        pictures, records = [], []
        for number, one in enumerate(pixels):
            self._check_drawing(one)
            pictures.append(Picture(np.ascontiguousarray(one), name=f"drawn {number}"))
            records.append(
                Record(DRAWN, engine="unified", settings=settings, networks=checksums, source_type=GENERATED)
            )
        return DrawnFaces([picture.to_pil() for picture in pictures], pictures, records)

    def checksums(self) -> dict[str, tuple[str, str]]:
        """Return class and weights' checksum of the networks that draw."""
        parts = {"tokeniser": self.tokeniser, "transformer": self.transformer}
        return {name: (type(one).__name__, weights_checksum(one, ())) for name, one in parts.items()}

    def card(self, place: str, figures: Mapping[str, float | str] | None) -> str:
        """Return the card's text."""
        return _card(self, place, figures)

    def _answers(self, picture: PictureLike, numbers: Sequence[int], question: str) -> list[str]:
        given = to_picture(picture)
        faces = self.analyser(given.pixels)
        if not faces:
            raise NoFaceError(f"no face found in {given.name}; use a sharper or larger photo of the face")
        for number in numbers:
            if not 0 <= number < len(faces):
                raise NoFaceError(f"{given.name} has no face {number}; it has {len(faces)}, numbered from 0")
        return self._answer_faces(given.pixels, [faces[number] for number in numbers], question)

    @torch.inference_mode()
    def _answer_faces(self, pixels: np.ndarray, faces: Sequence[Face], question: str) -> list[str]:
        """Answer one question about each of these faces of a picture (H,W,3)."""
        rows, columns = IDENTITY_WINDOW
        crops = torch.cat([to_tensor(align(pixels, face.points5, SIZE, TEMPLATE)[0]) for face in faces])
        windows = torch.cat([to_tensor(align(pixels, face.points5, 128)[0][rows, columns]) for face in faces])
        encoder, tokeniser = self.encoder, self.tokeniser
        tokens = tokeniser.encode(crops.to(tokeniser.device, tokeniser.dtype))
        vectors = cached_inference_copy(encoder)(windows.to(encoder.device, encoder.dtype)).to(
            self.transformer.dtype
        )
        words = question_words(question, self.transformer.vocabulary)
        known = torch.ones(len(faces), dtype=torch.bool)
        found = answer(
            self.transformer, tokens, [words] * len(faces), vectors, known, self.transformer.max_words
        )
        return [join_words(one, self.transformer.vocabulary) for one in found]

    def _check_words(self, text: str, what: str) -> None:
        """Raise if the network knows no word of a text or the text is too long; warn of unknown words."""
        vocabulary = self.transformer.vocabulary
        numbers = question_words(text, vocabulary)
        unknown = unknown_words(text, vocabulary)
        if not any(word.isalpha() and word not in unknown for word in split_words(text)):
            raise ReliableSwapError(
                f"{text!r} has no word that this network knows; write {what} such as "
                f"{'`does she wear glasses?`' if what == 'a question' else '`a bearded man with glasses, smiling`'}"
            )
        if len(numbers) > self.transformer.max_words - 8:
            raise ReliableSwapError(
                f"{what} of {len(numbers)} words is too long; use {_MAX_WORDS // 2} at most"
            )
        if unknown:
            logger.warning(
                "warning: this network does not know the words %s", ", ".join(dict.fromkeys(unknown))
            )

    def _check_drawing(self, pixels: np.ndarray) -> None:
        """Raise RefusedError for a drawn picture that the nudity gate refuses."""
        if self._gates.shows_nudity(pixels):
            raise self._gates.refusal("nudity", "the drawing was refused: it seems to show nudity")


def _check_tokeniser(tokeniser: Any, transformer: Any) -> None:
    """Raise WeightsError unless the transformer was trained on this tokeniser's tokens; the decoder may differ."""
    wanted = transformer.config["tokeniser_checksum"]
    if wanted and tokeniser.checksum() != wanted:
        raise WeightsError(
            "the tokeniser is not the one that this transformer was trained with; load both from one folder"
        )


def _card(pipe: UnifiedFacePipeline, place: str, figures: Mapping[str, float | str] | None) -> str:
    lines = [
        "---", "license: other", "library_name: reliableswap", "tags: [faces, reliableswap]", "---", "",
        "# ReliableSwap: a unified face model", "",
        f"Saved with ReliableSwap {__version__}. It describes faces of adults, answers questions about them, and draws "
        "faces of people who do not exist. Pictures saved as below are marked as made by AI.", "",
        "```python", "from reliableswap import UnifiedFacePipeline", "",
        f'pipe = UnifiedFacePipeline.from_pretrained("{place}")', 'print(pipe.describe("photo.jpg"))',
        'pipe.draw("a bearded man with glasses").save("drawn.png")', "```", "",
        "| component | class | parameters |", "|---|---|---|",
    ]  # fmt: skip
    for name, network in pipe.components.items():
        if network is not None:
            lines.append(f"| `{name}` | {type(network).__name__} | {network.parameter_count:,} |")
    lines += ["", "## Measured", ""]
    if figures:
        lines += [
            "| figure | value |",
            "|---|---|",
            *(f"| {name} | {value} |" for name, value in figures.items()),
        ]
    else:
        lines.append("This pipeline has not been measured yet; `python benchmarks/unified.py` measures it.")
    return "\n".join([*lines, ""])
