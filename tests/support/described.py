"""A data set of described faces, which are drawn heads with visible attributes; and tiny networks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from reliableswap.data.cells import encode_picture
from reliableswap.data.describe.attributes import ATTRIBUTES
from reliableswap.data.describe.language import caption, questions, vocabulary
from reliableswap.data.describe.rows import write_rows
from reliableswap.models.unified.tokeniser import FaceTokeniser
from reliableswap.models.unified.transformer import UnifiedTransformer

TINY_TOKENISER: dict[str, Any] = {
    "widths": (8, 8, 8), "decoder_widths": (8, 8, 8, 8), "codes": 32, "code_width": 8,
}  # fmt: skip
TINY: dict[str, Any] = {"layers": 2, "width": 32, "heads": 2, "token_experts": 2, "expert_width": 16}


def head(attributes: dict[str, str], rng: np.random.Generator) -> np.ndarray:
    """(128,128,3) a head drawn as an oval with eyes, and glasses if the attributes say so."""
    picture = np.full((128, 128, 3), int(rng.integers(60, 200)), np.uint8)
    shift = {"front": 0, "left": -12, "right": 12}[attributes["pose"]]
    cv2.ellipse(picture, (64, 70), (38, 50), 0, 0, 360, (220, 170, 150), -1)
    for x in (50, 78):
        cv2.circle(picture, (x + shift, 62), 5, (40, 40, 40), -1)
        if attributes["glasses"] == "glasses":
            cv2.circle(picture, (x + shift, 62), 12, (0, 0, 255), 4)
    return picture


def write_described(folder: Path, train: int = 24, validation: int = 8) -> Path:
    """Write a folder as `reliableswap describe-data` does."""
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("validation", validation)):
        rows = []
        for number in range(count):
            attributes = {
                "gender": str(rng.choice(["woman", "man"])),
                "glasses": str(rng.choice(["none", "glasses"])),
                "pose": str(rng.choice(["front", "left", "right"])),
                "smile": str(rng.choice(["smiling", "serious"])),
            }
            vector = rng.normal(size=128)
            name = f"{split}{number}"
            rows.append(
                {
                    "id": name, "person": name, "photo": f"{name}.jpg",
                    "picture": {"bytes": encode_picture(head(attributes, rng), "jpeg"), "path": f"{name}.jpg"},
                    **{one: attributes.get(one) for one in ATTRIBUTES},
                    "labelled": [], "captions": [caption(attributes, rng) for _ in range(4)],
                    "questions": [vars(one) for one in questions(attributes, rng)],
                    "v_id": (vector / np.linalg.norm(vector)).tolist(), "measures": "{}", "seed": 0,
                }
            )  # fmt: skip
        write_rows(folder / "data" / f"{split}-00000-of-00001.parquet", rows, {"settings": {}})
    return folder


def tiny_tokeniser() -> FaceTokeniser:
    torch.manual_seed(0)
    return FaceTokeniser(**TINY_TOKENISER).eval()


def tiny_transformer(tokeniser: FaceTokeniser | None = None, **more: Any) -> UnifiedTransformer:
    torch.manual_seed(1)
    checksum = tokeniser.checksum() if tokeniser is not None else ""
    settings = {**TINY, "codes": 32, "dropout": 0.0, "tokeniser_checksum": checksum, **more}
    return UnifiedTransformer(vocabulary(), **settings).eval()
